"""Owns the resource of decisions: the history, page by page, and each decision with all that was looked at.

Never in here: how the history is kept.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from appliance.adapters.http.models import AnswerModel, DecisionModel, Word
from appliance.adapters.http.port import DecisionFilter, HomePort
from appliance.adapters.http.problems import REFUSALS, Refused
from appliance.adapters.http.threads import Threads

MAX_PAGE = 200
LARGEST_ID = 2**63 - 1


class DecisionQuery(BaseModel):
    """Which decisions, and which page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    appliance: Word | None = None
    action: Word | None = None
    since: AwareDatetime | None = Field(
        default=None, description="RFC 3339 time or Unix seconds: this and later"
    )
    until: AwareDatetime | None = Field(
        default=None, description="RFC 3339 time or Unix seconds: earlier than this"
    )
    cursor: str | None = Field(
        default=None,
        pattern=r"^[1-9][0-9]{0,18}$",
        description="`next` of the page before; it stays good for ever",
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)


class DecisionPage(AnswerModel):
    """Decisions, newest first."""

    decisions: tuple[DecisionModel, ...]
    next: str | None = Field(description="The cursor of the next, older page; null: there is none")


def nanoseconds(at: AwareDatetime) -> int:
    """Return Unix nanoseconds."""
    return round(at.timestamp() * 1e6) * 1000


def router(home: HomePort, threads: Threads) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/decisions", tags=["decisions"], responses=REFUSALS)

    @routes.get("", response_model=DecisionPage)
    async def decisions(query: Annotated[DecisionQuery, Query()]) -> Response:
        """The history, newest first."""
        which = DecisionFilter(
            appliance=query.appliance,
            action=query.action,
            since_ns=None if query.since is None else nanoseconds(query.since),
            until_ns=None if query.until is None else nanoseconds(query.until),
        )
        before = None if query.cursor is None else min(int(query.cursor), LARGEST_ID)

        def page() -> Response:
            # One more than asked for tells whether there is a further page. Spelt in the thread as well.
            found = home.decisions(which, before, query.limit + 1)
            shown = found[: query.limit]
            more = str(shown[-1].decision.id) if len(found) > query.limit else None
            return DecisionPage(
                decisions=tuple(DecisionModel.of(view) for view in shown), next=more
            ).response()

        return await threads.run(page)

    @routes.get("/{decision_id}", response_model=DecisionModel)
    async def decision(decision_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]) -> Response:
        """One decision: every voice, and what it rests on."""

        def one() -> Response | None:
            view = home.decision(decision_id)
            return None if view is None else DecisionModel.of(view).response()

        found = await threads.run(one)
        if found is None:
            raise Refused(
                404,
                "no-such-decision",
                "No decision has this id.",
                hint="It may be older than the history that is kept.",
            )
        return found

    return routes
