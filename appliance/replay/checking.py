"""Owns the check that a history, run again, gives the decisions that were made: the same actions, voices and reasons.

What can't be compared is said, never passed over: gaps, other configs, a start from nothing. Never in here: reading the
store, or printing.
"""

from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import Decision, LinkChanged, Record
from appliance.core.guards.switches import HOUR_NS
from appliance.core.home import Home
from appliance.replay import checkpoint
from appliance.replay.driving import UNBROKEN, History, Moment, Opening, pass_time

MAX_KEPT = 1000
"""Divergences and gaps of which the details are kept; all are counted."""
SHORTEST_S = 1.0
"""What is shorter is no gap that anybody asks about."""
OWN_TICKS_NS = 6 * SECOND
"""Where the ticks of then are not known, a decision of a timer may have come so much later than ours."""


class Gap(msgspec.Struct, frozen=True):
    """A time of which nothing is known, and why. `seconds` is by boot time, across boots by the wall clock."""

    since: Instant
    until: Instant
    why: str

    @property
    def seconds(self) -> float:
        """Its length."""
        passed = self.until.since(self.since)
        return (self.until.wall_ns - self.since.wall_ns if passed is None else passed) / SECOND


class Divergence(msgspec.Struct, frozen=True):
    """Where the two part: what was decided then, and what is now. None: no decision at that instant on that side."""

    at: Instant
    appliance: str
    then: Decision | None
    now: Decision | None


class Stretch(msgspec.Struct):
    """A stretch with no gap in it. `compared` decisions of `decisions`; `skipped` says why the others were not."""

    since: Instant
    until: Instant
    moments: int = 0
    decisions: int = 0
    compared: int = 0
    divergences: int = 0
    skipped: str | None = None


class Report(msgspec.Struct):
    """All of it. `uncovered` decisions lie outside of every stretch: what they rested on was not written."""

    stretches: list[Stretch] = []
    gaps: list[Gap] = []
    divergences: list[Divergence] = []
    uncovered: int = 0

    @property
    def compared(self) -> int:
        """How many decisions were compared."""
        return sum(stretch.compared for stretch in self.stretches)

    @property
    def diverged(self) -> int:
        """In how many places the two part."""
        return sum(stretch.divergences for stretch in self.stretches)


def warm_after_ns(home: Home) -> int:
    """Return how long something that was heard or done before may play a part: the longest span that anything looks back on."""
    spans = [HOUR_NS]
    for spec in home.appliances.values():
        nodes = [node for rule in (*spec.rules, *spec.instead) for node in rule.nodes()]
        spans += [getattr(node, "span_ns", 0) for node in nodes]
        spans += [channel.max_age_ns for channel in spec.channels.values()]
        spans += [
            getattr(guard, name)
            for guard in spec.guards
            for name in guard.__struct_fields__  # type: ignore[attr-defined]
            if name.endswith("_ns")
        ]
        spans.append(spec.hold_ns)
    for classifier in home.classifiers.values():
        spans += [getattr(feature, "span_ns", 0) or 0 for feature in classifier.spec.features]
    return max(spans)


def check(
    history: History,
    decided: Callable[[int], Iterator[Decision]],
    home: Home,
    *,
    regardless: bool = False,
    told: Callable[[Divergence], None] = lambda divergence: None,
) -> Report:
    """Return what came of running `history` again beside what was decided then.

    Args:
        history: openings and moments, as they were.
        decided: gives the decisions from a wall time on, in order.
        home: who decides now.
        regardless: compare also what another config or version decided.
        told: is told each divergence at once.
    """
    run = _Check(home, decided, told, regardless=regardless)
    for item in history:
        if isinstance(item, Opening):
            run.open(item)
        else:
            run.happen(item)
    run.close()
    return run.report


class _Pair:
    """The decisions of one appliance that have no counterpart yet: of then, and of now."""

    def __init__(self) -> None:
        self.then: deque[Decision] = deque()
        self.now: deque[Decision] = deque()

    def match(
        self,
        compare: Callable[[Decision | None, Decision | None], None],
        now_ns: int | None,
        slack_ns: int,
    ) -> None:
        """Give `compare` what belongs together. What is alone may wait for `slack_ns`; at the end (None) no longer."""
        then, now = self.then, self.now
        while then and now:
            apart = now[0].at.boottime_ns - then[0].at.boottime_ns
            compare(
                then.popleft() if apart >= -slack_ns else None, now.popleft() if apart <= slack_ns else None
            )
        for alone in (then, now):
            while alone and (now_ns is None or alone[0].at.boottime_ns + slack_ns <= now_ns):
                one = alone.popleft()
                compare(one if alone is then else None, one if alone is now else None)


class _Check:
    def __init__(
        self,
        home: Home,
        decided: Callable[[int], Iterator[Decision]],
        told: Callable[[Divergence], None],
        *,
        regardless: bool,
    ) -> None:
        self.report = Report()
        self._home = home
        self._digest = checkpoint.digest(home)
        self._warm_after_ns = warm_after_ns(home)
        self._told = told
        self._regardless = regardless
        self._open_decided = decided
        self._decided: Iterator[Decision] | None = None
        self._next: Decision | None = None
        self._boots: set[str] = set()
        self._stretch: Stretch | None = None
        self._controller: Controller | None = None
        self._own_ticks = False
        self._from_ns = 0
        self._pairs = {name: _Pair() for name in home.appliances}
        self._link_down: Instant | None = None

    def open(self, opening: Opening) -> None:
        """Begin a stretch."""
        before = self._stretch
        self.close()
        at = opening.at
        if self._decided is None:
            self._decided = self._open_decided(at.wall_ns)
            self._advance()
        if before is not None and opening.why not in UNBROKEN:
            why = opening.why if at.boot_id == before.until.boot_id else f"{opening.why}; another boot"
            if not opening.stopped:
                why += "; it had ended without a word, so up to a minute before it is missing too"
            self._gap(Gap(before.until, at, why))
        while (found := self._next) is not None and self._lies_before(found.at, at):
            self.report.uncovered += 1
            self._advance()
        self._boots.add(at.boot_id)
        self._stretch = Stretch(at, at)
        self.report.stretches.append(self._stretch)
        kept = opening.checkpoint
        self._own_ticks, self._from_ns, self._controller = kept is None, at.boottime_ns, None
        if kept is None:
            self._from_ns += self._warm_after_ns
            minutes = self._warm_after_ns // (60 * SECOND)
            self._stretch.skipped = f"the first {minutes} min: no state was kept at its beginning"
            self._controller = Controller(self._home, self._home.at_start({}, at))
        elif kept.digest == self._digest or self._regardless:
            home = self._home
            if home.observe is not kept.observe:
                home = home.but(observe=kept.observe)
            begin = checkpoint.go_on if kept.digest == self._digest else checkpoint.begin
            self._controller = Controller(home, begin(home, kept, at))
        else:
            self._stretch.skipped = "another config, model or version decided"

    def happen(self, moment: Moment) -> None:
        """Run one moment, and compare what can be."""
        stretch, controller, at = self._stretch, self._controller, moment.at
        assert stretch is not None
        stretch.moments += 1
        unmatched = self._own_ticks
        if controller is not None:
            if self._own_ticks:
                for _, effect in pass_time(controller, stretch.until, at):
                    if isinstance(effect, Record):
                        self._pairs[effect.decision.appliance].now.append(effect.decision)
            for effect in controller.handle(moment.events, at):
                if isinstance(effect, Record):
                    self._pairs[effect.decision.appliance].now.append(effect.decision)
                    unmatched = True
        stretch.until = at
        for event in moment.events:
            if isinstance(event, LinkChanged):
                self._link(at, connected=event.connected)
        while (found := self._next) is not None and (
            found.at.boot_id == at.boot_id and found.at.boottime_ns <= at.boottime_ns
        ):
            stretch.decisions += 1
            if found.appliance in self._pairs:
                self._pairs[found.appliance].then.append(found)
                unmatched = True
            self._advance()
        if unmatched:
            for pair in self._pairs.values():
                pair.match(self._compare, at.boottime_ns, OWN_TICKS_NS if self._own_ticks else 0)

    def close(self) -> None:
        """End the stretch: whatever has no counterpart now never gets one."""
        if self._stretch is not None:
            for pair in self._pairs.values():
                pair.match(self._compare, None, 0)
            if self._link_down is not None:
                self._link(self._stretch.until, connected=True)

    def _compare(self, then: Decision | None, now: Decision | None) -> None:
        stretch = self._stretch
        one = then or now
        assert stretch is not None
        assert one is not None
        if self._controller is None or one.at.boottime_ns < self._from_ns:
            return
        stretch.compared += then is not None
        if then is not None and now is not None and said(then) == said(now):
            return
        stretch.divergences += 1
        found = Divergence(one.at, one.appliance, then, now)
        if len(self.report.divergences) < MAX_KEPT:
            self.report.divergences.append(found)
        self._told(found)

    def _link(self, at: Instant, *, connected: bool) -> None:
        if not connected:
            self._link_down = self._link_down or at
        elif self._link_down is not None:
            self._gap(Gap(self._link_down, at, "no link to the broker: nothing was heard"))
            self._link_down = None

    def _gap(self, gap: Gap) -> None:
        # A daemon that ends takes its link down a moment before: no gap of its own.
        if gap.seconds >= SHORTEST_S and len(self.report.gaps) < MAX_KEPT:
            self.report.gaps.append(gap)

    def _lies_before(self, found: Instant, at: Instant) -> bool:
        if found.boot_id == at.boot_id:
            return found.boottime_ns < at.boottime_ns
        return found.boot_id in self._boots or found.wall_ns < at.wall_ns

    def _advance(self) -> None:
        assert self._decided is not None
        self._next = next(self._decided, None)


def said(decision: Decision) -> tuple[object, ...]:
    """Return what is the same where the same was decided: all but its number and its inputs."""
    return (
        decision.action,
        decision.source,
        decision.authority,
        decision.because,
        decision.voices,
        decision.commanded,
    )
