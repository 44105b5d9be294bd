"""Owns the comparison of two configs over one history: where they decide differently, for how long, why, and what it sums to.

What no replay can know: with other decisions the air would have been different. Both sides are given the air of then.
Never in here: reading the store, or how the answer is shown.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from appliance.core.clock import SECOND, Instant
from appliance.core.conditions.nodes import Compare
from appliance.core.events import Decision, LinkChanged, PersonSpoke
from appliance.core.explain import sentence
from appliance.core.home import Home
from appliance.core.profile import Appliance
from appliance.core.senses import Sense
from appliance.replay.checking import SHORTEST_S, Gap
from appliance.replay.driving import BEGINS, UNBROKEN, History, Moment, Opening
from appliance.replay.obeying import Obedient

DAY_NS = 86_400 * SECOND
MAX_POINTS = 100_000
POINT_NS = 300 * SECOND
"""A picture has a point of the air so often."""

Limit = tuple[str, float]
"""A channel, and a threshold of a rule on it."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """From `since` to `until` the two sides decide so; `why` are their sentences, of when each last decided anew (`decided`)."""

    appliance: str
    since: Instant
    until: Instant
    actions: tuple[str | None, str | None]
    why: tuple[str, str]
    decided: tuple[Instant, Instant]

    @property
    def seconds(self) -> float:
        """How long."""
        return (self.until.boottime_ns - self.since.boottime_ns) / SECOND

    @property
    def differs(self) -> bool:
        """Whether the two sides part in it."""
        return self.actions[0] != self.actions[1]


class Contradiction(msgspec.Struct, frozen=True):
    """A person chose `action` at `at`, through `by`, where a side would have decided something else by itself."""

    appliance: str
    at: Instant
    action: str
    by: str
    instead: str | None


class Total(msgspec.Struct):
    """What one side sums to for one appliance. Times in seconds; `above` and `resting` by limit.

    `resting`: of the time above the limit, how long this side left the appliance at its lowest action. `unmetered`: how
    long it was in an action whose watts nobody says.
    """

    days: float = 0.0
    switches: int = 0
    running: float = 0.0
    energy_wh: float = 0.0
    unmetered: float = 0.0
    above: dict[Limit, float] = {}
    resting: dict[Limit, float] = {}
    contradicted: list[Contradiction] = []


class Course(msgspec.Struct):
    """One appliance over the whole history: its pieces in order, both sides' totals, and how often persons spoke."""

    sides: tuple[Total, Total]
    pieces: list[Piece] = []
    overrides: int = 0
    air: list[tuple[int, float]] = []
    channel: str | None = None

    @property
    def differing(self) -> list[Piece]:
        """The pieces in which the two sides part."""
        return [piece for piece in self.pieces if piece.differs]


class Said(msgspec.Struct, frozen=True, gc=False):
    """What a side decided from an instant (`boottime_ns`) on, in a sentence."""

    at_ns: int
    action: str | None
    why: str


class Walk(msgspec.Struct):
    """One side through a stretch with no gap in it: by appliance what it said, in order."""

    since: Instant
    until: Instant
    said: dict[str, list[Said]] = {}


class Side(msgspec.Struct):
    """What one side made of a history: its walks, and by appliance its totals, the persons' words, and the air."""

    walks: list[Walk] = []
    totals: dict[str, Total] = {}
    overrides: dict[str, int] = {}
    channels: dict[str, str] = {}
    air: dict[str, list[tuple[int, float]]] = {}
    gaps: list[Gap] = []


class Difference(msgspec.Struct):
    """All of it, by appliance; of appliances that one side alone has, nothing but the name."""

    courses: dict[str, Course] = {}
    only: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    gaps: list[Gap] = []
    since: Instant | None = None
    until: Instant | None = None
    readings: int = 0


def limits(spec: Appliance) -> list[Limit]:
    """Return the thresholds of the appliance's rules on measured channels, from below: what it calls too much."""
    found = {
        (node.channel, node.threshold)
        for rule in spec.rules
        for node in rule.when.walk()
        if isinstance(node, Compare) and node.op in (">", ">=") and node.channel in spec.channels
    }
    return sorted(found)


def common(
    old: Mapping[str, Appliance], new: Mapping[str, Appliance]
) -> tuple[frozenset[str], dict[str, list[Limit]]]:
    """Return what both sides share: the devices that either commands, and for each appliance of both the limits of either."""
    told = frozenset(spec.actuator.device for specs in (old, new) for spec in specs.values())
    both = {name: sorted({*limits(old[name]), *limits(new[name])}) for name in new if name in old}
    return told, both


def live(
    history: History,
    home: Home,
    told: frozenset[str],
    which: Mapping[str, Sequence[Limit]],
    *,
    since_ns: int = 0,
) -> Side:
    """Return what one side makes of `history`; what lies before wall time `since_ns` only warms up.

    The sides know nothing of each other. `told` are the devices that any side commands; `which` limits are summed up.
    """
    run = _Living(home, told, which, since_ns)
    for item in history:
        if isinstance(item, Opening):
            run.open(item)
        else:
            run.happen(item)
    run.close()
    return run.side


def combine(one: Side, other: Side, old: Mapping[str, Appliance], new: Mapping[str, Appliance]) -> Difference:
    """Return both sides of one history side by side."""
    difference = Difference(
        only=(tuple(name for name in old if name not in new), tuple(name for name in new if name not in old)),
        gaps=other.gaps,
        since=other.walks[0].since if other.walks else None,
        until=other.walks[-1].until if other.walks else None,
    )
    for name in new:
        if name not in old:
            continue
        course = difference.courses[name] = Course(
            sides=(one.totals[name], other.totals[name]),
            overrides=other.overrides.get(name, 0),
            air=other.air.get(name, []),
            channel=other.channels.get(name),
        )
        for ours, theirs in zip(one.walks, other.walks, strict=True):
            course.pieces += _pieces(name, ours, theirs)
    return difference


class _Meter:
    """Sums up one side's time above the limits of one appliance."""

    def __init__(self, spec: Appliance, which: Iterable[Limit], total: Total) -> None:
        self._total = total
        self._lowest = spec.ladder.actions[0]
        self._channels: dict[str, tuple[Limit, ...]] = {}
        for limit in which:
            if limit[0] in spec.channels:
                self._channels[limit[0]] = (*self._channels.get(limit[0], ()), limit)
                total.above[limit] = total.resting[limit] = 0.0
        self._seen: dict[str, tuple[Sense, float | None, int]] = {}

    def look(self, senses: Mapping[str, Sense], now: Instant, action: str | None) -> None:
        """Take note of the values `now`; `action` was in force since the last look."""
        for channel, which in self._channels.items():
            sense = senses[channel]
            seen = self._seen.get(channel)
            if seen is not None:
                if seen[0] is sense and seen[1] is None:
                    continue
                self._sum(seen, which, now.boottime_ns, action)
            self._seen[channel] = (sense, sense.value(now), now.boottime_ns)

    def forget(self) -> None:
        """Start anew: what lies between is not known."""
        self._seen.clear()

    def _sum(
        self, seen: tuple[Sense, float | None, int], which: tuple[Limit, ...], now_ns: int, action: str | None
    ) -> None:
        sense, value, since_ns = seen
        if value is None or value <= which[0][1]:
            return
        good_ns = max(
            (heard.good_ns for heard in sense.sources.values() if heard.good_ns is not None), default=since_ns
        )
        seconds = max(0, min(now_ns, good_ns + sense.channel.max_age_ns) - since_ns) / SECOND
        for limit in which:
            if value > limit[1]:
                self._total.above[limit] += seconds
                if action == self._lowest:
                    self._total.resting[limit] += seconds


class _Living:
    """One side on its way through a history."""

    def __init__(
        self, home: Home, told: frozenset[str], which: Mapping[str, Sequence[Limit]], since_ns: int
    ) -> None:
        self.side = Side()
        self._home = home
        self._obedient = Obedient(home, told)
        self._since_ns = since_ns
        self._meters: dict[str, _Meter] = {}
        for name, chosen in which.items():
            total = self.side.totals[name] = Total()
            self._meters[name] = _Meter(home.appliances[name], chosen, total)
            if chosen:
                self.side.channels[name] = chosen[-1][0]
        self._walk: Walk | None = None
        self._ended: Instant | None = None
        self._link_down: Instant | None = None

    def open(self, opening: Opening) -> None:
        """Begin a stretch."""
        if opening.why in UNBROKEN and self._walk is not None:
            return
        self.close()
        if self._ended is not None:
            self.side.gaps.append(Gap(self._ended, opening.at, opening.why))
        self._walk = Walk(opening.at, opening.at)
        for meter in self._meters.values():
            meter.forget()
        self._note(self._walk, self._obedient.open(opening), counts=False)

    def happen(self, moment: Moment) -> None:
        """Live through one moment."""
        if self._walk is None:
            self.open(Opening(moment.at, BEGINS))
        walk, at = self._walk, moment.at
        assert walk is not None
        counts = at.wall_ns >= self._since_ns
        for event in moment.events:
            if isinstance(event, PersonSpoke) and event.action is not None and counts:
                self._heed(event, at)
            elif isinstance(event, LinkChanged):
                self._link(at, connected=event.connected)
        self._note(walk, self._obedient.happen(moment), counts=counts)
        walk.until = at
        if counts:
            appliances = self._obedient.state.appliances
            for name, meter in self._meters.items():
                said = walk.said.get(name)
                meter.look(appliances[name].senses, at, said[-1].action if said else None)
            self._draw(at)

    def close(self) -> None:
        """End the stretch, and sum it up from the beginning of the span on."""
        walk, self._walk = self._walk, None
        if walk is None:
            return
        self._ended = walk.until
        if self._link_down is not None:
            self._link(walk.until, connected=True)
        if walk.since.wall_ns < self._since_ns:
            early = self._since_ns - walk.since.wall_ns
            walk.since = walk.since.plus(min(early, walk.until.boottime_ns - walk.since.boottime_ns))
        if walk.until.boottime_ns <= walk.since.boottime_ns:
            return
        self.side.walks.append(walk)
        for name, total in self.side.totals.items():
            _sum_up(total, self._home.appliances[name], walk.said.get(name, []), walk.since, walk.until)

    def _note(self, walk: Walk, decisions: Iterable[Decision], *, counts: bool) -> None:
        """Keep what is decided; where the action changes, what was above a limit until then counts for the one before."""
        for decision in decisions:
            name = decision.appliance
            meter = self._meters.get(name)
            if meter is None:
                continue
            said = walk.said.setdefault(name, [])
            if counts and said and said[-1].action != decision.action:
                senses = self._obedient.state.appliances[name].senses
                meter.look(senses, decision.at, said[-1].action)
            said.append(Said(decision.at.boottime_ns, decision.action, sentence(decision)))

    def _heed(self, event: PersonSpoke, at: Instant) -> None:
        """Look what this side would have done by itself when a person chose something."""
        total = self.side.totals.get(event.appliance)
        if total is None or event.action is None:
            return
        self.side.overrides[event.appliance] = self.side.overrides.get(event.appliance, 0) + 1
        decided = self._obedient.without_persons(event.appliance)
        instead = None if decided is None else decided.action
        if instead != event.action:
            total.contradicted.append(Contradiction(event.appliance, at, event.action, event.by, instead))

    def _link(self, at: Instant, *, connected: bool) -> None:
        if not connected:
            self._link_down = self._link_down or at
        elif self._link_down is not None:
            gap = Gap(self._link_down, at, "no link to the broker: nothing was heard")
            self.side.gaps += [gap] if gap.seconds >= SHORTEST_S else []
            self._link_down = None

    def _draw(self, at: Instant) -> None:
        """Keep a point of the air now and then."""
        for name, channel in self.side.channels.items():
            air = self.side.air.setdefault(name, [])
            if (air and at.wall_ns - air[-1][0] < POINT_NS) or len(air) >= MAX_POINTS:
                continue
            sense = self._obedient.state.appliances[name].senses.get(channel)
            value = None if sense is None else sense.value(at)
            if value is not None:
                air.append((at.wall_ns, value))


def _pieces(name: str, one: Walk, other: Walk) -> Iterator[Piece]:
    """Yield a stretch, cut wherever a side changes its action."""
    since, until = other.since, other.until
    at, end = since.boottime_ns, until.boottime_ns
    sides = (one.said.get(name, []), other.said.get(name, []))
    cuts = sorted({at, *(said.at_ns for side in sides for said in side if at < said.at_ns < end)})
    positions = [0, 0]
    before: Piece | None = None
    for index, cut in enumerate(cuts):
        in_force: list[Said] = []
        for which, side in enumerate(sides):
            while positions[which] < len(side) and side[positions[which]].at_ns <= cut:
                positions[which] += 1
            in_force.append(
                side[positions[which] - 1] if positions[which] else Said(at, None, "nothing was decided yet")
            )
        ours, theirs = in_force
        ends = since.plus((cuts[index + 1] if index + 1 < len(cuts) else end) - at)
        if before is not None and before.actions == (ours.action, theirs.action):
            before = msgspec.structs.replace(before, until=ends)
            continue
        if before is not None:
            yield before
        before = Piece(
            name,
            since.plus(cut - at),
            ends,
            (ours.action, theirs.action),
            (ours.why, theirs.why),
            (since.plus(ours.at_ns - at), since.plus(theirs.at_ns - at)),
        )
    if before is not None:
        yield before


def _sum_up(total: Total, spec: Appliance, said: list[Said], since: Instant, until: Instant) -> None:
    """Add what one stretch sums to on one side."""
    total.days += (until.boottime_ns - since.boottime_ns) / DAY_NS
    for index, one in enumerate(said):
        begin = max(one.at_ns, since.boottime_ns)
        end = said[index + 1].at_ns if index + 1 < len(said) else until.boottime_ns
        seconds = (min(end, until.boottime_ns) - begin) / SECOND
        if seconds < 0:
            continue
        if index and one.at_ns >= since.boottime_ns and one.action != said[index - 1].action:
            total.switches += 1
        if one.action is None:
            continue
        if one.action != spec.ladder.actions[0]:
            total.running += seconds
        watts = spec.watts.get(one.action)
        if watts is None:
            total.unmetered += seconds
        else:
            total.energy_wh += watts * seconds / 3600
