"""Owns how the daemon is watched: alive, ready.

Never in here: judging that (the daemon does).
"""

from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from appliance.adapters.http.models import AnswerModel
from appliance.adapters.http.port import HealthView, HomePort
from appliance.adapters.http.problems import REFUSALS


class PartModel(AnswerModel):
    """How one part is."""

    name: str
    state: Literal["ok", "degraded", "down"]
    detail: str | None


class HealthModel(AnswerModel):
    """How the whole is: degraded means that control goes on with a part missing, failing that it does not."""

    status: Literal["ok", "degraded", "failing"]
    ready: bool = Field(description="Whether appliances are under control")
    version: str
    uptime_s: float
    now: str = Field(description="The home's own clock, RFC 3339")
    parts: tuple[PartModel, ...]

    @classmethod
    def of(cls, given: HealthView) -> "HealthModel":
        """Spell `given`."""
        parts = tuple(PartModel(name=part.name, state=part.state, detail=part.detail) for part in given.parts)
        return cls(
            status=given.status,
            ready=given.ready,
            version=given.version,
            uptime_s=given.uptime_s,
            now=given.now.isoformat(),
            parts=parts,
        )


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
