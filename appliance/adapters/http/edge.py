"""Owns the resource of the edge: how it is, what it cost, and what audits show of the local models.

Never in here: asking it, or what follows from an audit.
"""

from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from appliance.adapters.http.models import AnswerModel
from appliance.adapters.http.port import AuditView, EdgeView, HomePort
from appliance.adapters.http.problems import REFUSALS


class WrongHitsModel(AnswerModel):
    """Of `asked` cached answers that were asked again `wrong` had another likeliest label."""

    asked: int
    wrong: int
    low: float = Field(description="The true share is not below, with 95 %, however often somebody looks")
    high: float = Field(description="Nor above")
    scale: int = Field(description="How often the cache's buckets were halved")
    stopped: bool = Field(description="The cache is used no more")


class TeacherModel(AnswerModel):
    """One bigger model: whether its answers are believed, and why not."""

    name: str
    version: int
    believed: bool
    why: str | None
    wrong_hits: WrongHitsModel


class BudgetModel(AnswerModel):
    """What was spent since the start, and what is left now."""

    cases_percent: float
    mb_a_day: float
    seen: int = Field(description="Cases that the local models had")
    asked: int = Field(description="Of these, cases that the edge was asked")
    bytes_out: int
    bytes_in: int
    cases_left: int
    bytes_left: int
    refused_cases: int = Field(description="Not asked, as the share of cases was used up")
    refused_bytes: int = Field(description="Not asked, as the bytes were")


class CacheModel(AnswerModel):
    """Cached answers, and what lookups since the start found."""

    entries: int
    hits: int
    misses: int
    stale: int
    negative: int
    slow: int = Field(description="Lookups that the disk had no answer to in time")
    asked_again: int
    hit_share: float | None
    exact_hit_share: float | None = Field(description="What a cache of exact rows would have found")
    reason: str | None = Field(description="Why nothing is kept on disk")


class AnswersModel(AnswerModel):
    """How the edge is. Counts are since the start."""

    url: str
    breaker: Literal["closed", "open", "half-open"]
    why: str | None
    retry_s: float | None = Field(description="So long until it is tried again")
    weaknesses: tuple[str, ...]
    teachers: tuple[TeacherModel, ...]
    budget: BudgetModel
    cache: CacheModel
    offered: int = Field(description="Hard cases and audits")
    replaced: int = Field(description="By a newer one of the same channel")
    shed: int = Field(description="Too many waited")
    unusable: int
    gone: int = Field(description="The edge was away")
    disbelieved: int = Field(description="The model had not proved that it is the one of its bundle")
    late: int
    answered: int
    cached: int
    retries: int
    failed: dict[str, int] = Field(description="Questions that failed, by reason")
    median_ms: float | None


class DayModel(AnswerModel):
    """What was counted on one day in the home's zone, of cases in which the local model said `label`."""

    day: str
    label: str
    audits: int
    disagreed: int
    labelled: int = Field(description="Labels of people while it said so")
    missed: int = Field(description="Of these, other ones")


class AuditModel(AnswerModel):
    """How often one local model disagrees with the bigger one in this home, and whether it may act."""

    appliance: str
    channel: str
    model: str
    edge: str
    better: bool = Field(
        description="Whether the bigger model's card is the better one: else its word is only shown"
    )
    acts: bool
    because: str
    audits: int = Field(description="Since it last rose or fell")
    disagreed: int
    low: float = Field(
        description="Its rate of disagreement is not below, with the confidence 1 - level, at every audit at once"
    )
    high: float = Field(description="Nor above")
    level: float
    budget: float | None = Field(description="What its card allows")
    days_needed: int | None = Field(
        description="In so many days five times the budget takes its authority away, in nine of ten cases; null: never"
    )
    labelled: int
    missed: int
    days: tuple[DayModel, ...]

    @classmethod
    def of(cls, given: AuditView) -> "AuditModel":
        """Spell `given`."""
        return cls.model_validate(given, from_attributes=True)


class EdgeModel(AnswerModel):
    """The edge: `answers` is null where the config names none."""

    answers: AnswersModel | None
    audits: tuple[AuditModel, ...]

    @classmethod
    def of(cls, given: EdgeView) -> "EdgeModel":
        """Spell `given`."""
        answers = None if given.answers is None else AnswersModel.model_validate(given.answers)
        return cls(answers=answers, audits=tuple(map(AuditModel.of, given.audits)))


def router(home: HomePort) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1", tags=["health"], responses=REFUSALS)

    @routes.get("/edge", response_model=EdgeModel)
    async def edge() -> Response:
        """How the edge is, what it cost, and what audits show of the local models."""
        return EdgeModel.of(home.edge()).response()

    return routes
