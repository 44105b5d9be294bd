"""Owns the value of each variable of a situation in a real snapshot: the bridge by which formulas are held to the core.

Never in here: the way back (moments), or formulas.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import z3

from appliance.core.conditions import For
from appliance.core.guards.feedback import SETTLED_NS
from appliance.core.guards.switches import HOUR_NS
from appliance.core.profile import Appliance
from appliance.core.snapshot import Snapshot
from appliance.core.windows import Window
from appliance.prove.situation import Situation

Value = bool | int | Fraction
Key = tuple[str, ...]


def values(situation: Situation, snapshot: Snapshot) -> dict[Key, Value | None]:
    """Return what each variable of `situation` is in `snapshot`; None where its value is of no account there."""
    reader = _Reader(situation, snapshot)
    return {key: reader.read(key) for key in situation.scene.variables}


def pairs(situation: Situation, of: Mapping[Key, Value | None]) -> list[tuple[Any, Any]]:
    """Return each variable with its value as a term; what is of no account is some value in its range."""
    result = []
    for key, variable in situation.scene.variables.items():
        value = of[key]
        if z3.is_bool(variable):
            result.append((variable, z3.BoolVal(bool(value))))
        elif z3.is_int(variable):
            result.append((variable, z3.IntVal(0 if value is None else int(value))))
        else:
            ratio = Fraction(_plausible(situation.spec, key) if value is None else value)
            result.append((variable, z3.Q(ratio.numerator, ratio.denominator)))
    return result


def _plausible(spec: Appliance, key: Key) -> float:
    channel = spec.channels.get(key[1])
    return 0.0 if channel is None or key[0] != "value" or "slope" in key[2:] else channel.quantity.low


class _Reader:
    def __init__(self, situation: Situation, snapshot: Snapshot) -> None:
        self.situation = situation
        self.spec = situation.spec
        self.snapshot = snapshot
        self.spans = {node.key: node.span_ns for node in situation.formulas.seen() if isinstance(node, For)}
        self.guards: dict[str, Any] = {guard.name: guard for guard in self.spec.guards}

    def read(self, key: Key) -> Value | None:
        """Return the value of the variable `key`."""
        found: Value | None = getattr(self, _READERS[key[0]])(*key[1:])
        return found

    def known(self, channel: str, statistic: str | None = None, span: str = "") -> bool:
        if statistic is None:
            return self.snapshot.value(channel) is not None
        return self._statistic(channel, statistic, span) is not None

    def value(self, channel: str, statistic: str | None = None, span: str = "") -> Fraction | None:
        value = (
            self.snapshot.value(channel) if statistic is None else self._statistic(channel, statistic, span)
        )
        return Fraction(value) if isinstance(value, float | int) else None

    def _statistic(self, channel: str, statistic: str, span: str) -> float | None:
        window = self.snapshot.window(channel)
        return (
            None
            if window is None
            else _STATISTICS[statistic](window, self.snapshot.now.boottime_ns, int(span))
        )

    def word(self, channel: str) -> int | None:
        value = self.snapshot.value(channel)
        return self.situation.scene.words[channel].index(value) if isinstance(value, str) else None

    def heard(self, channel: str) -> bool:
        return self.snapshot.age_ns(channel) is not None

    def age(self, channel: str) -> Fraction | None:
        age = self.snapshot.age_ns(channel)
        return None if age is None else Fraction(age)

    def lasted(self, key: str) -> bool:
        since = self.snapshot.true_since(key)
        return since is not None and self.snapshot.now.boottime_ns - since >= self.spans[key]

    def minute(self) -> int:
        return self.snapshot.minute_of_day()

    def weekday(self) -> int:
        return self.snapshot.day_of_week()

    def known_does(self, appliance: str) -> bool:
        return self.snapshot.doing(appliance) is not None

    def does(self, appliance: str) -> int | None:
        word = self.snapshot.doing(appliance)
        words = self.situation.scene.doing_words.get(appliance, [])
        return None if word is None else words.index(word) if word in words else -1

    def acknowledged(self, rule: str) -> bool:
        return self.snapshot.acknowledged(rule)

    def edge(self, channel: str) -> bool:
        return self.snapshot.by_edge(channel)

    def held(self, rule: str) -> bool:
        return rule in self.snapshot.memory.holds

    def current(self) -> bool:
        return self.snapshot.current is not None

    def current_above(self, step: str) -> bool:
        return self.snapshot.current is not None and self.snapshot.current > int(step)

    def in_a_mode(self) -> bool:
        return self.snapshot.in_a_mode

    def person(self) -> bool:
        override = self.snapshot.memory.override
        return override is not None and override.action in self.spec.ladder.actions

    def person_above(self, step: str) -> bool:
        override = self.snapshot.memory.override
        actions = self.spec.ladder.actions
        return (
            override is not None and override.action in actions and actions.index(override.action) > int(step)
        )

    def person_mode(self) -> bool:
        override = self.snapshot.memory.override
        return override is not None and override.action not in self.spec.ladder.actions

    def timer(self, name: str) -> bool:
        memory, now = self.snapshot.memory, self.snapshot.now
        started, stopped = memory.started, memory.stopped
        guard = self.guards[name.removeprefix("rest of ")]
        if name == "minimum_off":
            since = None if stopped is None else now.since(stopped)
            return stopped is not None and (since is None or since < guard.span_ns)
        if name == "minimum_on":
            since = None if started is None else now.since(started)
            return since is not None and since < guard.span_ns
        if name == "switches":
            ages = [now.since(switch) for switch in memory.switches]
            return bool(sum(1 for age in ages if age is not None and age < HOUR_NS) >= guard.per_hour)
        if name == "longest_run":
            ran = None if started is None else now.since(started)
            return ran is not None and ran >= guard.span_ns
        if name == "rest of longest_run":
            ran = None if started is None or stopped is None else stopped.since(started)
            rested = None if stopped is None else now.since(stopped)
            return ran is not None and ran >= guard.span_ns and rested is not None and rested < guard.rest_ns
        changed = memory.changed(now)
        if name == "dwell":
            return changed is not None and changed < guard.span_ns
        age = self.snapshot.age_ns(guard.channel)
        return (
            changed is not None
            and changed >= SETTLED_NS
            and age is not None
            and age <= changed - SETTLED_NS // 2
        )

    def others(self, rank: str, title: str) -> bool:
        guard = next(
            guard
            for guard in self.spec.guards
            if guard.name == "exclusion" and getattr(guard, "title", "") == title
        )
        others = self.snapshot.others
        if rank == "higher":
            seen = [others.get(name) for name in getattr(guard, "higher", ())]
            return any(other is None or not (other.off and other.wants_off) for other in seen)
        seen = [others.get(name) for name in getattr(guard, "lower", ())]
        return any(other is None or not other.off for other in seen)


_READERS = {
    "known": "known",
    "value": "value",
    "word": "word",
    "heard": "heard",
    "age": "age",
    "lasted": "lasted",
    "minute": "minute",
    "weekday": "weekday",
    "known does": "known_does",
    "does": "does",
    "acknowledged": "acknowledged",
    "held": "held",
    "edge": "edge",
    "current": "current",
    "current above": "current_above",
    "in a mode": "in_a_mode",
    "person": "person",
    "person above": "person_above",
    "person chose a mode": "person_mode",
    "timer": "timer",
    "others": "others",
}
"""Kind of variable -> who reads it."""

_STATISTICS: dict[str, Callable[[Window, int, int], float | None]] = {
    "mean": lambda window, now_ns, span_ns: window.mean(now_ns, span_ns),
    "min": lambda window, now_ns, span_ns: window.minimum(now_ns, span_ns),
    "max": lambda window, now_ns, span_ns: window.maximum(now_ns, span_ns),
    "slope": lambda window, now_ns, span_ns: window.slope(now_ns, span_ns),
}
