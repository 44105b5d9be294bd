"""Owns what the HTTP interface asks of a home, and the values in which it gets the answer.

Never in here: a web framework, or anything that knows how the answer is spelt on the wire.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from appliance.adapters.http.feed import Subscription
from appliance.core.arbitration import Authority
from appliance.core.clock import Instant
from appliance.core.events import Advice, Decision, Input, Override
from appliance.core.explain.flip import Flips


class DecisionView(msgspec.Struct, frozen=True):
    """A decision as it is remembered: made `count` times in a row, last at `last_at`.

    `recorded` is False for one that only the memory ring holds, because there was no disk to commit it to,
    and for one that was only supposed.
    """

    decision: Decision
    count: int
    last_at: Instant
    recorded: bool


class OverrideView(msgspec.Struct, frozen=True):
    """A person's word that holds now, and whether it is committed to disk."""

    override: Override
    recorded: bool


class AlarmView(msgspec.Struct, frozen=True):
    """A rule of life safety or equipment that speaks. `waits`: it goes on until a person acknowledges it."""

    rule: str
    because: str
    acknowledged: bool
    waits: bool
    authority: Authority = Authority.LIFE_SAFETY


class ApplianceView(msgspec.Struct, frozen=True):
    """One appliance as it stands now.

    `actions` are its ladder, weakest first, `rest` and `safe` are among them; `modes` are off the ladder.
    `doing` is what it reports, `commanded` what it was last told; None where nothing was heard or said.
    `available` is None where nobody told. `fault` is a sentence, or None. `channels` are what its rules may
    look at, as of now. `advice` waits for a person's answer; `alarms` sound now; `needs_person` are actions that only
    a person enters; `ends` are named conditions that an override may wait for; `learned` are the channels of models with their words, by
    which people may correct them.
    """

    id: str
    name: str
    profile: str
    actions: tuple[str, ...]
    modes: tuple[str, ...]
    rest: str
    safe: str
    doing: str | None
    doing_since: Instant | None
    commanded: str | None
    available: bool | None
    fault: str | None
    override: OverrideView | None
    decision: DecisionView | None
    channels: tuple[Input, ...]
    advice: tuple[Advice, ...] = ()
    alarms: tuple[AlarmView, ...] = ()
    needs_person: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    learned: Mapping[str, tuple[str, ...]] = {}


class WhyView(msgspec.Struct, frozen=True):
    """Why an appliance does what it does: one `sentence`, and the whole account in `lines`.

    `flips` says what would have changed it, where that was asked for and can be told.
    """

    appliance: str
    sentence: str
    lines: tuple[str, ...]
    decision: DecisionView | None
    flips: Flips | None = None


class WhyNotView(msgspec.Struct, frozen=True):
    """Why an appliance does not do `action`: one `sentence`, and what each rule that could ask for it waits for."""

    appliance: str
    action: str
    sentence: str
    lines: tuple[str, ...]
    decision: DecisionView | None


class SpanView(msgspec.Struct, frozen=True):
    """What a model's channel should have read from `since_ns` (None: the same) to `until_ns` (Unix time; None: now)."""

    label: str
    since_ns: int | None = None
    until_ns: int | None = None


class PointView(msgspec.Struct, frozen=True, gc=False):
    """One bin of a channel's history, from `wall_ns` (Unix time) on: mean, lowest and highest GOOD value.

    A word (a learned channel's label) stands in `value`, with `low` and `high` None. `quality` is "good",
    "uncertain", "bad" or "unknown"; a bin without a GOOD value has `value` None.
    """

    wall_ns: int
    value: float | str | None
    low: float | None
    high: float | None
    quality: str


class SeriesView(msgspec.Struct, frozen=True):
    """A channel's history, oldest first."""

    appliance: str
    channel: str
    unit: str | None
    points: tuple[PointView, ...]


class DecisionFilter(msgspec.Struct, frozen=True):
    """Which decisions are asked for; None leaves open. Unix nanoseconds: `since_ns` <= at < `until_ns`."""

    appliance: str | None = None
    action: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None


class Supposed(msgspec.Struct, frozen=True, gc=False):
    """A reading that nobody made: what if `channel` were `value`? `unit` None means the channel's own."""

    channel: str
    value: float | str
    unit: str | None


class PartView(msgspec.Struct, frozen=True):
    """How one part ("broker", "store", "model" ...) is; `detail` is a sentence where it is not ok."""

    name: str
    state: Literal["ok", "degraded", "down"]
    detail: str | None = None


class HealthView(msgspec.Struct, frozen=True):
    """How the whole is. "failing": control does not go round; "degraded": it does, with a part missing.

    `now` is the home's own clock. `ready` tells whether appliances are under control: connected, subscribed, and a full cycle done.
    """

    status: Literal["ok", "degraded", "failing"]
    ready: bool
    version: str
    uptime_s: float
    now: Instant
    parts: tuple[PartView, ...]


class CountedView(msgspec.Struct, frozen=True):
    """What audits and people counted on `day` (YYYY-MM-DD), of cases in which the local model said `label`."""

    day: str
    label: str
    audits: int
    disagreed: int
    labelled: int
    missed: int


class AuditView(msgspec.Struct, frozen=True):
    """How often one channel's local `model` disagrees with the bigger `edge`: at a rate between `low` and `high`, at every audit at once, with the
    confidence 1 - `level`. In `days_needed` five times the `budget` take its authority away, in nine of ten cases.
    """

    appliance: str
    channel: str
    model: str
    edge: str
    better: bool
    acts: bool
    because: str
    audits: int
    disagreed: int
    low: float
    high: float
    level: float
    budget: float | None
    days_needed: int | None
    labelled: int
    missed: int
    days: tuple[CountedView, ...]


class EdgeView(msgspec.Struct, frozen=True):
    """How the edge is: `answers` as its client says it, None where there is no edge, and what audits show."""

    answers: Mapping[str, Any] | None
    audits: tuple[AuditView, ...] = ()


class MetricView(msgspec.Struct, frozen=True):
    """One metric with its samples, labels -> value. `name` and label names are Prometheus names."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


class HomePort(Protocol):
    """What the daemon offers to the HTTP interface.

    Methods marked *loop* are called on the event loop and must answer from memory, at once. Those marked
    *thread* may wait for a disk: they are called from worker threads, several at a time, and must be safe
    there.
    """

    def appliances(self) -> Sequence[ApplianceView]:
        """*loop*: return every appliance of the home, in the order of the configuration."""
        ...

    def appliance(self, appliance: str) -> ApplianceView | None:
        """*loop*: return one appliance, None where there is none of this id."""
        ...

    async def why(self, appliance: str, at: str | None, *, flip: bool) -> WhyView | None:
        """*loop*: return why it does what it does, or did at the moment that `at` names.

        None where nothing was decided then, or nothing that is still kept. With `flip` also what would have changed it:
        that takes up to seconds, off the loop. The appliance exists.

        Raises:
            PayloadError: `at` names no moment of the past.
            StoreError: the history cannot be read, or not within a second.
        """
        ...

    async def why_not(self, appliance: str, action: str, at: str | None) -> WhyNotView | None:
        """*loop*: return why it does not do `action`, one of its actions or modes; as `why`."""
        ...

    def decisions(self, which: DecisionFilter, before_id: int | None, limit: int) -> Sequence[DecisionView]:
        """*thread*: return at most `limit` decisions with an id below `before_id`, newest first.

        Raises:
            StoreError: the history cannot be read, or not within a second.
        """
        ...

    def decision(self, decision_id: int) -> DecisionView | None:
        """*thread*: return one decision. Raises StoreError as `decisions` does."""
        ...

    def readings(
        self, appliance: str, channel: str, since_ns: int, until_ns: int, points: int
    ) -> SeriesView | None:
        """*thread*: return a channel's history in at most `points` bins, None where there is no such channel.

        Raises:
            StoreError: the history cannot be read, or not within a second.
        """
        ...

    def decide(self, appliance: str, readings: Sequence[Supposed]) -> DecisionView | None:
        """*loop*: return what would be decided now if these readings came in; nothing follows from it.

        None where there is no such appliance.

        Raises:
            PayloadError: a value or a unit cannot belong to its channel.
        """
        ...

    async def override(
        self, appliance: str, action: str, for_s: int | None, by: str, *, until: str | None, open_ended: bool
    ) -> OverrideView:
        """*loop*: let a person decide; return when that is committed, or is known to stay unrecorded.

        `appliance` and `action` exist. It ends after `for_s` seconds, or at `until`: a time of day, or a condition in words;
        or, `open_ended`, when they say so; without any of these by the appliance's own default.

        Raises:
            ConfigError: something of it is out of bounds, or understood by nobody.
            TooManyWords: people said more than anybody can mean.
        """
        ...

    async def answer_advice(self, appliance: str, source: str | None, *, accepted: bool, by: str) -> int:
        """*loop*: accept or dismiss what `source` recommends (None: all); return how much that was. Committed then."""
        ...

    async def acknowledge(self, appliance: str, rule: str | None, by: str) -> int:
        """*loop*: acknowledge the alarm of `rule` (None: all); return how many that were. Committed then."""
        ...

    async def label(self, appliance: str, channel: str, spans: Sequence[SpanView], by: str) -> bool:
        """*loop*: take what somebody tells of a model's channel, all of it or nothing. Return whether it is committed.

        Raises:
            ConfigError: the appliance, channel, label or time is none that there is.
            TooManyWords: people said more than anybody can mean.
        """
        ...

    async def clear_override(self, appliance: str, by: str) -> bool:
        """*loop*: end a person's word, if any. Return whether that is committed (False: unrecorded)."""
        ...

    def end_safe_mode(self) -> bool:
        """*loop*: let models and the newest config decide again, after crashes; return whether there was a safe mode to end."""
        ...

    def health(self) -> HealthView:
        """*loop*: return how the whole is."""
        ...

    def edge(self) -> EdgeView:
        """*loop*: return how the edge is, and what audits show of the local models."""
        ...

    def metrics(self) -> Sequence[MetricView]:
        """*loop*: return the counters and gauges of all rooms."""
        ...

    def subscribe(self) -> Subscription | None:
        """*loop*: return a subscription to what happens, None where there are too many (see `feed.Feed`)."""
        ...
