"""Owns the resource of safe mode: a person ends it.

Never in here: when there is one; or the token (see `limits`).
"""

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer
from pydantic import Field
from starlette.responses import Response

from appliance.adapters.http.models import AnswerModel
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import REFUSALS

_DESCRIBED = Security(
    HTTPBearer(auto_error=False, description="The token that the home made at its first start")
)


class Ended(AnswerModel):
    """There is no safe mode any more."""

    ended: bool = Field(description="Whether there was one")


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1", tags=["health"], responses=REFUSALS, dependencies=[_DESCRIBED])

    @routes.delete("/safe-mode", response_model=Ended)
    async def end_safe_mode() -> Response:
        """End safe mode: the newest config and its models are taken in. Ending what is not there is no error."""
        return Ended(ended=home.end_safe_mode()).response()

    return routes
