"""Owns the resource of readings: the history of one channel, in as many points as a chart can show.

Never in here: which readings are trusted.
"""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from appliance.adapters.http.decisions import nanoseconds
from appliance.adapters.http.models import AnswerModel, QualityName, Word, wall
from appliance.adapters.http.port import HomePort, PointView, SeriesView
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


class PointModel(AnswerModel):
    """One bin of a channel's history: the mean, lowest and highest good value in it."""

    at: datetime = Field(description="When the bin begins")
    value: float | str | None
    low: float | None
    high: float | None
    quality: QualityName

    @classmethod
    def of(cls, given: PointView) -> "PointModel":
        """Spell `given`."""
        return cls.model_validate(
            {
                "at": wall(given.wall_ns),
                "value": given.value,
                "low": given.low,
                "high": given.high,
                "quality": given.quality,
            }
        )


class SeriesModel(AnswerModel):
    """A channel's history, oldest first."""

    appliance: str
    channel: str
    unit: str | None
    points: tuple[PointModel, ...]

    @classmethod
    def of(cls, given: SeriesView) -> "SeriesModel":
        """Spell `given`."""
        points = tuple(PointModel.of(point) for point in given.points)
        return cls(appliance=given.appliance, channel=given.channel, unit=given.unit, points=points)


def router(home: HomePort, threads: Threads) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/readings", tags=["readings"], responses=REFUSALS)

    @routes.get("", response_model=SeriesModel)
    async def readings(query: Annotated[ReadingQuery, Query()]) -> Response:
        """The history of one channel of one appliance, oldest first."""
        # Now is the home's own: a demonstration's clock runs ahead of this machine's.
        until = home.health().now.wall_ns if query.until is None else nanoseconds(query.until)
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
