"""Owns the question "what if": readings in, the decision that would follow out.

Never in here: any effect. Nothing is commanded and nothing is remembered.
"""

from fastapi import APIRouter
from starlette.responses import Response

from appliance.adapters.http.appliances import no_such_appliance
from appliance.adapters.http.models import DecisionModel, WhatIf
from appliance.adapters.http.port import HomePort, Supposed
from appliance.adapters.http.problems import REFUSALS, Refused


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
