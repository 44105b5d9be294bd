"""Owns the resource of a person's word: setting and ending an override.

Never in here: what an override does to a decision; or the token (see `limits`).
"""

from typing import Literal

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer
from pydantic import Field
from starlette.responses import Response

from appliance.adapters.http.appliances import no_such_appliance
from appliance.adapters.http.models import AnswerModel, BodyModel, OverrideModel, Word
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import REFUSALS, Refused

# The check itself lies in `limits`, before any body is read; this only describes it.
_DESCRIBED = Security(
    HTTPBearer(auto_error=False, description="The token that the home made at its first start")
)


LONGEST_S = 24 * 3600
"""No override holds longer than a day."""


class OverrideWish(BodyModel):
    """What a person wants an appliance to do."""

    action: Word = Field(description="One of the appliance's actions or modes")
    for_s: int | None = Field(
        default=None, ge=1, le=LONGEST_S, description="Seconds; null: the appliance's own default"
    )
    until: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="A time of day, as 07:00; or a condition, as pm2_5 < 5, or the name of one",
    )
    open_ended: bool = Field(default=False, description="Until a person says otherwise")
    by: Literal["http", "page", "cli"] = Field(default="http", description="Through what the person speaks")


class Cleared(AnswerModel):
    """There is no override any more."""

    recorded: bool = Field(description="Whether that is committed to disk")


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(
        prefix="/v1/appliances", tags=["overrides"], responses=REFUSALS, dependencies=[_DESCRIBED]
    )

    @routes.put("/{appliance}/override", response_model=OverrideModel)
    async def override(appliance: str, wish: OverrideWish) -> Response:
        """Let a person decide, for a time. Answered when it is committed; a newer one replaces it."""
        view = home.appliance(appliance)
        if view is None:
            raise no_such_appliance()
        if wish.action not in (*view.actions, *view.modes):
            raise Refused(
                422,
                "no-such-action",
                "The appliance has no such action.",
                hint="It has " + ", ".join((*view.actions, *view.modes)) + ".",
            )
        set_to = await home.override(
            appliance, wish.action, wish.for_s, wish.by, until=wish.until, open_ended=wish.open_ended
        )
        return OverrideModel.of(set_to).response()

    @routes.delete("/{appliance}/override", response_model=Cleared)
    async def clear_override(appliance: str) -> Response:
        """Hand the appliance back. Ending what is not there is no error."""
        if home.appliance(appliance) is None:
            raise no_such_appliance()
        return Cleared(recorded=await home.clear_override(appliance, "http")).response()

    return routes
