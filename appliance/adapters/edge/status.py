"""Owns how the client is, as it is shown. Never in here: finding it out."""

import msgspec

from appliance.adapters.edge.breaker import State
from appliance.adapters.edge.budget import BudgetStatus
from appliance.adapters.edge.measuring import WrongHits


class TeacherStatus(msgspec.Struct, frozen=True):
    """One bigger model: whether its answers are `believed`, and `why` not. `wrong_hits`: what asking again has shown of its cached ones."""

    name: str
    version: int
    believed: bool
    why: str | None
    wrong_hits: WrongHits


class CacheStatus(msgspec.Struct, frozen=True):
    """Cached answers: how many there are, what lookups since the start found, and why nothing is kept on disk, if so.

    `hit_share` is that of all lookups, `exact_hit_share` what a cache of exact rows would have had of the same lookups. `slow`: the disk
    had no answer in time.
    """

    entries: int
    hits: int
    misses: int
    stale: int
    negative: int
    slow: int
    asked_again: int
    hit_share: float | None
    exact_hit_share: float | None
    reason: str | None


class EdgeStatus(msgspec.Struct, frozen=True):
    """How the edge and what is asked of it stand. Counts are since the start.

    `breaker` is of the link, `why` the reason where it is not well, `retry_s` the seconds until it is tried again. `offered` counts cases and
    audits; of these `replaced` by a newer one of their channel, `shed` as too many waited, `unusable` as no teacher fits them, `gone` while
    the link was down, `disbelieved` while the model was not proved, `late` before they could be asked. `answered` by the edge in `median_ms`,
    `cached` without it. `failed` counts questions by reason.
    """

    url: str
    breaker: State
    why: str | None
    retry_s: float | None
    weaknesses: tuple[str, ...]
    teachers: tuple[TeacherStatus, ...]
    budget: BudgetStatus
    cache: CacheStatus
    offered: int
    replaced: int
    shed: int
    unusable: int
    gone: int
    disbelieved: int
    late: int
    answered: int
    cached: int
    retries: int
    failed: dict[str, int]
    median_ms: float | None
