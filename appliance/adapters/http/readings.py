"""Owns the resource of readings: the history of one channel, in as many points as a chart can show.

Never in here: which readings are trusted.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from appliance.adapters.http.decisions import nanoseconds
from appliance.adapters.http.models import SeriesModel, Word
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import REFUSALS, Refused
from appliance.adapters.http.threads import Threads

MAX_POINTS = 1000
SPAN = timedelta(hours=24)
"""How far back is looked where `since` is not given."""


class ReadingQuery(BaseModel):
    """Which readings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    appliance: Word
    channel: Word
    since: AwareDatetime | None = Field(
        default=None, description="RFC 3339 time or Unix seconds; else a day before `until`"
    )
    until: AwareDatetime | None = Field(default=None, description="RFC 3339 time or Unix seconds; else now")
    points: int = Field(default=240, ge=1, le=MAX_POINTS, description="At most so many bins")


def router(home: HomePort, threads: Threads) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/readings", tags=["readings"], responses=REFUSALS)

    @routes.get("", response_model=SeriesModel)
    async def readings(query: Annotated[ReadingQuery, Query()]) -> Response:
        """The history of one channel of one appliance, oldest first."""
        until = nanoseconds(query.until or datetime.now(UTC))
        since = nanoseconds(query.since) if query.since else until - round(SPAN.total_seconds() * 1e9)
        if since >= until:
            raise Refused(422, "no-time", "`since` is not before `until`.")

        def series() -> Response | None:
            view = home.readings(query.appliance, query.channel, since, until, query.points)
            return None if view is None else SeriesModel.of(view).response()

        found = await threads.run(series)
        if found is None:
            raise Refused(
                404,
                "no-such-channel",
                "No appliance has such a channel.",
                hint="GET /v1/appliances lists the channels of each.",
            )
        return found

    return routes
