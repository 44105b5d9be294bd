"""Owns the description of the interface, as OpenAPI.

Never in here: documentation pages: they would load scripts from elsewhere.
"""

import json
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from appliance.adapters.http.models import ReadingHappened
from appliance.adapters.http.problems import Problem
from appliance.adapters.http.threads import Threads

SUMMARY = (
    "What the appliances of this home do, and why. Reading is open on this machine; writing needs the token."
)


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of `app`: every route, every model."""
    told = get_openapi(title=app.title, version=app.version, summary=SUMMARY, routes=app.routes)
    schemas = told["components"]["schemas"]
    # Named by `problems.REFUSALS` and by the event stream, but the body of no route.
    for model in (Problem, ReadingHappened):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        for name, part in schema.pop("$defs", {}).items():
            schemas.setdefault(name, part)
        schemas[model.__name__] = schema
    return told


def router(app: FastAPI, threads: Threads) -> APIRouter:
    """Return the route; the document is made when first asked for, off the event loop, and kept."""
    routes = APIRouter(tags=["health"])
    made: list[bytes] = []

    def document() -> bytes:
        return json.dumps(describe(app)).encode()

    @routes.get("/openapi.json", response_class=Response)
    async def openapi() -> Response:
        """The description that this is."""
        if not made:
            made.append(await threads.run(document))
        return Response(made[0], media_type="application/json")

    return routes
