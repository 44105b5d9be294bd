"""Owns how the daemon is watched: alive, ready.

Never in here: judging that (the daemon does).
"""

from fastapi import APIRouter
from starlette.responses import Response

from appliance.adapters.http.models import HealthModel
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import REFUSALS

_FAILING: dict[int | str, dict[str, object]] = {503: {"model": HealthModel, "description": "It is not"}}


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["health"], responses={**_FAILING, **REFUSALS})

    @routes.get("/healthz", response_model=HealthModel)
    async def healthz() -> Response:
        """Whether control goes round: 200 also where it is degraded, 503 where it fails."""
        view = home.health()
        return HealthModel.of(view).response(503 if view.status == "failing" else 200)

    @routes.get("/readyz", response_model=HealthModel)
    async def readyz() -> Response:
        """Whether appliances are under control: 200 or 503."""
        view = home.health()
        return HealthModel.of(view).response(200 if view.ready else 503)

    return routes
