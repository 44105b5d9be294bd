"""Owns the questions "why" and "why not" of an appliance, now or at a moment of the past.

Never in here: the answers.
"""

from contextlib import nullcontext
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from appliance.adapters.http.appliances import no_such_appliance
from appliance.adapters.http.models import AnswerModel, DecisionModel
from appliance.adapters.http.port import HomePort, WhyNotView, WhyView
from appliance.adapters.http.problems import REFUSALS, Refused
from appliance.adapters.http.threads import Line
from appliance.core.explain.flip import Flips
from appliance.core.explain.moment import HINT, LONGEST

LONGEST_LINE = 32
"""So many search for flips or in the past at once: one after the other, for 2 s at most, while the others wait."""

At = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=LONGEST,
        description=f"A moment of the past; null: now. {HINT[0].upper()}{HINT[1:]}.",
    ),
]


class WhyQuery(BaseModel):
    """Of which moment, and how much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: At = None
    flip: bool = Field(default=False, description="Also what would have changed it; takes up to seconds")


class WhyNotQuery(BaseModel):
    """Of which moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: At = None


class ChangeModel(AnswerModel):
    """A reading that would change the decision."""

    channel: str
    value: float = Field(description="At this value of its newest reading the action is `action`")
    unit: str | None
    was: float | None = Field(description="What it read; null: it was unknown")
    steps: int | None = Field(
        description="So many steps of the quantity's resolution away; null: it was unknown"
    )
    action: str | None
    exact: bool = Field(
        description="Whether no smaller change of this channel does; else the nearest that was found"
    )


class NamedModel(AnswerModel):
    """Something other than a value that would change the decision."""

    what: str
    action: str | None


class FlipModel(AnswerModel):
    """What would change the decision."""

    nearest: ChangeModel | None = Field(
        description="The smallest change of one known channel; null: none in range"
    )
    changes: tuple[ChangeModel, ...] = Field(description="The nearest of each channel, the smallest first")
    named: tuple[NamedModel, ...] = Field(
        description="An override or a guard that ends, a label, a channel's age"
    )
    unsettled: tuple[str, ...] = Field(description="Channels that were not searched to the end")
    evaluations: int
    basis: str = Field(description="What the search rests on")
    lines: tuple[str, ...] = Field(description="The same in words")

    @classmethod
    def of(cls, given: Flips) -> "FlipModel":
        """Spell `given`."""
        changes = tuple(
            ChangeModel(
                channel=change.channel,
                value=change.value,
                unit=change.unit,
                was=change.was,
                steps=change.steps,
                action=change.action,
                exact=change.exact,
            )
            for change in given.changes
        )
        return cls(
            nearest=next((change for change in changes if change.steps is not None), None),
            changes=changes,
            named=tuple(NamedModel(what=named.what, action=named.action) for named in given.named),
            unsettled=given.unsettled,
            evaluations=given.evaluations,
            basis=given.basis,
            lines=given.lines(),
        )


class WhyModel(AnswerModel):
    """Why an appliance does, or did, what it does."""

    appliance: str
    sentence: str
    lines: tuple[str, ...] = Field(description="The whole account")
    decision: DecisionModel | None
    flip: FlipModel | None = Field(
        description="What would have changed it, where that was asked for and can be told"
    )

    @classmethod
    def of(cls, given: WhyView) -> "WhyModel":
        """Spell `given`."""
        return cls(
            appliance=given.appliance,
            sentence=given.sentence,
            lines=given.lines,
            decision=None if given.decision is None else DecisionModel.of(given.decision),
            flip=None if given.flips is None else FlipModel.of(given.flips),
        )


class WhyNotModel(AnswerModel):
    """Why an appliance does not, or did not, do an action."""

    appliance: str
    action: str
    sentence: str
    lines: tuple[str, ...] = Field(
        description="What stops it, and what each rule that could ask for it waits for"
    )
    decision: DecisionModel | None

    @classmethod
    def of(cls, given: WhyNotView) -> "WhyNotModel":
        """Spell `given`."""
        return cls(
            appliance=given.appliance,
            action=given.action,
            sentence=given.sentence,
            lines=given.lines,
            decision=None if given.decision is None else DecisionModel.of(given.decision),
        )


def nothing_then() -> Refused:
    """Return the problem of a moment of which no decision is kept."""
    return Refused(
        404,
        "no-such-decision",
        "No decision of this appliance is kept of that moment.",
        hint="GET /v1/decisions lists what is kept; older ones are let go after [store] decisions_days.",
    )


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/appliances", tags=["appliances"], responses=REFUSALS)
    searching = Line(LONGEST_LINE)

    @routes.get("/{appliance}/why", response_model=WhyModel)
    async def why(appliance: str, query: Annotated[WhyQuery, Query()]) -> Response:
        """Why it does what it does, or did then: a sentence, and the whole account."""
        if home.appliance(appliance) is None:
            raise no_such_appliance()
        with searching.place() if query.flip or query.at is not None else nullcontext():
            view = await home.why(appliance, query.at, flip=query.flip)
        if view is None:
            raise nothing_then()
        return WhyModel.of(view).response()

    @routes.get("/{appliance}/why-not/{action}", response_model=WhyNotModel)
    async def why_not(appliance: str, action: str, query: Annotated[WhyNotQuery, Query()]) -> Response:
        """Why it does not do this action, or did not then: what stops it, and what could ask for it."""
        known = home.appliance(appliance)
        if known is None:
            raise no_such_appliance()
        actions = (*known.actions, *known.modes)
        if action not in actions:
            raise Refused(
                404,
                "no-such-action",
                "The appliance has no such action.",
                hint=f"It has {', '.join(actions)}.",
            )
        with searching.place() if query.at is not None else nullcontext():
            view = await home.why_not(appliance, action, query.at)
        if view is None:
            raise nothing_then()
        return WhyNotModel.of(view).response()

    return routes
