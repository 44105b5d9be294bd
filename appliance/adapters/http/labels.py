"""Owns the resource of labels: what a model's channel should have read, as people tell it.

Never in here: what a label does to a model; or the token (see `limits`).
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from appliance.adapters.http.appliances import no_such_appliance
from appliance.adapters.http.decisions import nanoseconds
from appliance.adapters.http.models import AnswerModel, BodyModel, Word
from appliance.adapters.http.port import HomePort, SpanView
from appliance.adapters.http.problems import REFUSALS

_DESCRIBED = Security(
    HTTPBearer(auto_error=False, description="The token that the home made at its first start")
)
# JSON has no times: a text, or a number, is not strictly one.
Time = Annotated[AwareDatetime | None, Field(strict=False)]
MAX_LABELS = 200


class Label(BodyModel):
    """What was so, from one time to another, both included; without times: now."""

    label: Word = Field(description="One of the channel's words")
    since: Time = Field(default=None, description="RFC 3339 time or Unix seconds; null: the same as `until`")
    until: Time = Field(default=None, description="RFC 3339 time or Unix seconds; null: now")


class Labels(BodyModel):
    """What somebody tells of a model's channel."""

    appliance: Word
    channel: Word
    labels: Annotated[tuple[Label, ...], Field(strict=False, min_length=1, max_length=MAX_LABELS)]
    by: Literal["http", "page", "cli"] = Field(default="http", description="Through what the person speaks")


class Taken(AnswerModel):
    """How much was taken."""

    count: int
    recorded: bool = Field(description="Whether that is committed to disk")


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/labels", tags=["labels"], responses=REFUSALS, dependencies=[_DESCRIBED])

    @routes.post("", response_model=Taken)
    async def labels(told: Labels) -> Response:
        """Tell what a model's channel should have read: all of it is taken, or nothing. Answered when committed."""
        if home.appliance(told.appliance) is None:
            raise no_such_appliance()
        spans = [
            SpanView(
                one.label,
                None if one.since is None else nanoseconds(one.since),
                None if one.until is None else nanoseconds(one.until),
            )
            for one in told.labels
        ]
        recorded = await home.label(told.appliance, told.channel, spans, told.by)
        return Taken(count=len(spans), recorded=recorded).response()

    return routes
