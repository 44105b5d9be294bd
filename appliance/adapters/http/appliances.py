"""Owns the resource of appliances: what each does now.

Never in here: changing that (see `overrides`), or the account of it (see `whys`).
"""

from fastapi import APIRouter
from starlette.responses import Response

from appliance.adapters.http.models import ApplianceList, ApplianceModel
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import REFUSALS, Refused


def no_such_appliance() -> Refused:
    """Return the problem of an id that no appliance has."""
    return Refused(
        404, "no-such-appliance", "No appliance has this id.", hint="GET /v1/appliances lists them."
    )


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/appliances", tags=["appliances"], responses=REFUSALS)

    @routes.get("", response_model=ApplianceList)
    async def appliances() -> Response:
        """All appliances, in the order of the configuration."""
        return ApplianceList(
            appliances=tuple(ApplianceModel.of(view) for view in home.appliances())
        ).response()

    @routes.get("/{appliance}", response_model=ApplianceModel)
    async def appliance(appliance: str) -> Response:
        """One appliance: what it does, what was decided, what it rests on."""
        view = home.appliance(appliance)
        if view is None:
            raise no_such_appliance()
        return ApplianceModel.of(view).response()

    return routes
