"""Owns the question "what if": readings in, the decision that would follow out.

Never in here: any effect. Nothing is commanded and nothing is remembered.
"""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from appliance.adapters.http.appliances import no_such_appliance
from appliance.adapters.http.models import BodyModel, DecisionModel, Word
from appliance.adapters.http.port import HomePort, Supposed
from appliance.adapters.http.problems import REFUSALS, Refused

MAX_READINGS = 64
"""So many readings may be supposed at once."""


class SupposedReading(BodyModel):
    """A reading that nobody made."""

    channel: Word
    value: float | Annotated[str, Field(min_length=1, max_length=64)]
    unit: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="Null: the channel's own"
    )


class WhatIf(BodyModel):
    """The question what would be decided if these readings came in now."""

    appliance: Word
    readings: Annotated[list[SupposedReading], Field(max_length=MAX_READINGS)]


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1", tags=["decisions"], responses=REFUSALS)

    @routes.post("/decide", response_model=DecisionModel)
    async def decide(question: WhatIf) -> Response:
        """What would be decided now, if these readings came in. Nothing is commanded."""
        view = home.appliance(question.appliance)
        if view is None:
            raise no_such_appliance()
        known = {channel.channel for channel in view.channels}
        asked = [reading.channel for reading in question.readings]
        if not known.issuperset(asked) or len(set(asked)) < len(asked):
            raise Refused(
                422,
                "no-such-channel",
                "A reading is of a channel that the appliance does not have, or a channel comes twice.",
                hint="It has " + ", ".join(sorted(known)) + ".",
            )
        supposed = [Supposed(reading.channel, reading.value, reading.unit) for reading in question.readings]
        decided = home.decide(question.appliance, supposed)
        if decided is None:
            raise no_such_appliance()
        return DecisionModel.of(decided, supposed=True).response()

    return routes
