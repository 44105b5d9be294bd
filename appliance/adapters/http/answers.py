"""Owns the resources of a person's answers: accepting or dismissing what is recommended, acknowledging an alarm.

Never in here: what an answer does to a decision; or the token (see `limits`).
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer
from pydantic import Field
from starlette.responses import Response

from appliance.adapters.http.appliances import no_such_appliance
from appliance.adapters.http.models import AnswerModel, BodyModel
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import REFUSALS, Refused

_DESCRIBED = Security(
    HTTPBearer(auto_error=False, description="The token that the home made at its first start")
)
Source = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_. -]+$")]


class Answer(BodyModel):
    """What a person answers."""

    answer: Literal["accept", "dismiss"]
    source: Source | None = Field(
        default=None, description="The voice, or its rule; null: all that is recommended"
    )
    by: Literal["http", "page", "cli"] = Field(default="http", description="Through what the person speaks")


class Seen(BodyModel):
    """Which alarm a person saw."""

    rule: Source | None = Field(default=None, description="Its rule; null: all that sound")
    by: Literal["http", "page", "cli"] = Field(default="http", description="Through what the person speaks")


class Answered(AnswerModel):
    """How much was answered."""

    count: int


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(
        prefix="/v1/appliances", tags=["answers"], responses=REFUSALS, dependencies=[_DESCRIBED]
    )

    @routes.post("/{appliance}/advice", response_model=Answered)
    async def advice(appliance: str, answer: Answer) -> Response:
        """Accept what is recommended (it is then done, as an override), or dismiss it. Answered when committed."""
        if home.appliance(appliance) is None:
            raise no_such_appliance()
        count = await home.answer_advice(
            appliance, answer.source, accepted=answer.answer == "accept", by=answer.by
        )
        if not count:
            raise Refused(
                409,
                "nothing-recommended",
                "Nothing like that is recommended now.",
                hint="What is, stands in the appliance's advice.",
            )
        return Answered(count=count).response()

    @routes.post("/{appliance}/alarms", response_model=Answered)
    async def alarms(appliance: str, seen: Seen) -> Response:
        """Acknowledge an alarm: one that waits for a person then ends, once its cause has. Answered when committed."""
        if home.appliance(appliance) is None:
            raise no_such_appliance()
        count = await home.acknowledge(appliance, seen.rule, seen.by)
        if not count:
            raise Refused(
                409,
                "no-alarm",
                "No alarm waits for an acknowledgement now.",
                hint="What sounds, stands in the appliance's alarms.",
            )
        return Answered(count=count).response()

    return routes
