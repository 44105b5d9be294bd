"""Owns the judgement of a lab's record: which commands were unsafe, and whether a load ran on without anybody watching.

It shares no code with the core: the rules are the random walk's, in the oracle's own words (`tests.oracle`), told what the
broker handed on. Never in here: the daemon's own view of things, or injecting anything.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.world import BASE, Device, Seen
from tests.oracle.oracle import EQUIPMENT, SECOND, Oracle, Plan, left_after

SLACK_S = 1.5
"""What the broker handed on so long ago may not have reached the daemon, or its command not the broker."""
BURST, BURST_S = 20, 10.0
"""More commands to one device within these seconds are hammering, whatever the reason."""


@dataclass(frozen=True)
class Law:
    """One appliance in the oracle's words. `sensors`: topic -> (key, channel). `lease_s`: how long it may run untold."""

    device: Device
    plan: Plan
    actions: tuple[str, ...]
    sensors: Mapping[str, tuple[str, str]]
    lease_s: float | None = None


@dataclass(frozen=True)
class _Known:
    """What was known from then on."""

    at: float
    held: frozenset[str]
    heard: dict[str, dict[str, tuple[int, float]]]


Stall = tuple[float, float]
"""From when to when something between the sensors and the devices stood still, in seconds of boot time."""


def judge(
    seen: Sequence[Seen], law: Law, slack_s: float = SLACK_S, stalls: Sequence[Stall] = ()
) -> list[str]:
    """Return what was unsafe, in words; nothing where all was well.

    While something stood still, and `slack_s` after it, what was known when it began counts as well: a command of then may only
    come through now, and nobody can take it back.

    A command is unsafe where none of the states of knowledge of the last `slack_s` seconds leaves it to the voices that
    protect people and equipment; where it lets a load run without the device's own timer; or where it hammers.
    """
    oracle = Oracle(law.plan)
    known = deque([_Known(-1e9, frozenset(), {})])
    sent: deque[float] = deque(maxlen=BURST)
    unsafe: list[str] = []
    longest = max((ends - began for began, ends in stalls), default=0.0) + 2 * slack_s
    for one in seen:
        if one.topic in law.sensors:
            key, channel = law.sensors[one.topic]
            value = one.said.get(key)
            # A retained message's age is unknown: it tells nothing of now.
            if not one.retained and isinstance(value, int | float) and not isinstance(value, bool):
                oracle.told("reading", _ns(one.at), 0, channel, one.topic, float(value), True)
                for rule in law.plan.rules:
                    oracle.speaks(rule)
                heard = {name: dict(sources) for name, sources in oracle.heard.items()}
                known.append(_Known(one.at, frozenset(oracle.held), heard))
                while len(known) > 1 and known[1].at < one.at - longest:
                    known.popleft()
        if one.topic != f"{BASE}/{law.device.name}/set" or one.retained or one.own:
            continue
        action = law.device.wanted(one.said)
        if action is None:
            continue
        if len(sent) == BURST and one.at - sent[0] < BURST_S:
            unsafe.append(f"{BURST} commands within {one.at - sent[0]:.1f} s")
        sent.append(one.at)
        slack = _slack(one.at, slack_s, stalls)
        if not any(_left(law, then, action, at) for then, at in _moments(known, one.at, slack)):
            unsafe.append(f"{action} at {one.at:.3f}: forbidden by what was known, {known[-1].heard}")
        lease = one.said.get("on_time")
        running = action != law.device.off and law.lease_s is not None
        if running and not (isinstance(lease, int | float) and 0 < lease <= law.lease_s):
            unsafe.append(f"{action} at {one.at:.3f} with a timer of {lease} s")
    return unsafe


def _slack(at: float, slack_s: float, stalls: Sequence[Stall]) -> float:
    """Return how long ago what was known may have been known where the daemon, or the command, was."""
    return slack_s + max((at - began for began, ends in stalls if began <= at <= ends + slack_s), default=0.0)


def _moments(known: Sequence[_Known], at: float, slack_s: float) -> list[tuple[_Known, float]]:
    """Return each state of knowledge that may have been the daemon's, with the first and the last moment of it."""
    found = []
    for index, then in enumerate(known):
        ends = known[index + 1].at if index + 1 < len(known) else at
        if ends >= at - slack_s:
            found += [(then, max(then.at, at - slack_s)), (then, at)]
    return found


def _left(law: Law, then: _Known, action: str, at: float) -> bool:
    """Whether the voices down to EQUIPMENT leave `action` to whoever asks for it."""
    oracle = Oracle(law.plan)
    oracle.now, oracle.held = _ns(at), set(then.held)
    oracle.heard = {name: dict(sources) for name, sources in then.heard.items()}
    strong = [rule for rule in law.plan.rules if rule.authority <= EQUIPMENT and oracle.speaks(rule)]
    voices = [(rule.authority, rule.low, rule.high, rule.name) for rule in strong]
    return law.actions.index(action) in left_after(law.plan.size, law.plan.safe, voices, EQUIPMENT)


def ran_blind(seen: Sequence[Seen], law: Law, ends: float, slack_s: float = SLACK_S) -> float:
    """Return for how many seconds the load ran beyond what a dead computer allows: a fresh reading's age, and the lease."""
    if law.lease_s is None:
        return 0.0
    channel_of = {topic: pair for topic, pair in law.sensors.items() if pair[1] in law.plan.max_age}
    at = [
        one.at
        for one in seen
        if one.topic in channel_of and not one.retained and channel_of[one.topic][0] in one.said
    ]
    allowed = max(law.plan.max_age.values()) / SECOND + law.lease_s + slack_s
    runs = [
        (began, law.device.history[index + 1][0] if index + 1 < len(law.device.history) else ends)
        for index, (began, action) in enumerate(law.device.history)
        if action != law.device.off
    ]
    worst = 0.0
    for began, ended in runs:
        # The longest stretch of the run without news, as of its end or of the next news.
        marks = [
            max((one for one in at if one <= began), default=began),
            *(one for one in at if began < one < ended),
            ended,
        ]
        worst = max(worst, *(later - before - allowed for before, later in pairwise(marks)))
    return max(worst, 0.0)


def _ns(at: float) -> int:
    return round(at * SECOND)
