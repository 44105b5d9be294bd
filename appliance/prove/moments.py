"""Owns the way back from a solver's model: the values of all variables, a real snapshot of them, and the words for people.

Never in here: questions, or formulas. What a snapshot can't hold (a mean apart from its readings) it holds as near as it
can; whoever shows it asks the core what it decides there.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from fractions import Fraction
from math import isfinite
from typing import Any

import z3

from appliance.core.clock import SECOND, Instant
from appliance.core.conditions import nodes
from appliance.core.conditions.parser import SLOPE_SPAN_NS
from appliance.core.events import Memory, Override
from appliance.core.guards.exclusion import Exclusion
from appliance.core.guards.feedback import SETTLED_NS
from appliance.core.guards.switches import Switches
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.readings import Channel, Heard, Quality
from appliance.core.senses import Learned, Sense
from appliance.core.snapshot import Other, Snapshot
from appliance.core.windows import BIN_NS, Window
from appliance.core.words import Said, Told, WordChannel
from appliance.prove.situation import Situation
from appliance.prove.valuation import Key, Value

NOW_NS = 1_000_000 * SECOND
MONDAY_S = 1_767_571_200
"""2026-01-05T00:00Z, a Monday: where the days of a witness begin."""
LONG_NS = 48 * 3600 * SECOND
MOST_BINS = 3000


def values_in(situation: Situation, model: z3.ModelRef) -> dict[Key, Value]:
    """Return what each variable is in `model`; what the model leaves open is something."""
    return {
        key: plain(model.eval(variable, model_completion=True))
        for key, variable in situation.scene.variables.items()
    }


def plain(term: Any) -> Value:
    """Return the value of the solver's constant `term`."""
    if z3.is_bool(term):
        return bool(z3.is_true(term))
    if z3.is_int_value(term):
        return int(term.as_long())
    if z3.is_rational_value(term):
        return Fraction(int(term.numerator_as_long()), int(term.denominator_as_long()))
    return Fraction(str(term.approx(20)))


class Moment:
    """One snapshot's values, by name."""

    def __init__(self, situation: Situation, values: Mapping[Key, Value]) -> None:
        self.spec: Appliance = situation.spec
        self.words = situation.scene.words
        self.doing_words = situation.scene.doing_words
        self.values = values
        self.asked = [node for node in situation.formulas.seen() if isinstance(node, nodes.CompareWindow)]
        self.spans = {
            node.key: node.span_ns for node in situation.formulas.seen() if isinstance(node, nodes.For)
        }

    def reading(self, channel: str) -> float | str | None:
        """Return what `channel` says, or None: unknown."""
        if not self.values.get(("known", channel), False):
            return None
        if channel in self.words:
            return self.words[channel][int(self.values.get(("word", channel), 0))]
        quantity = self.spec.channels[channel].quantity
        value = self.values.get(("value", channel))
        return _middle(quantity.low, quantity.high) if value is None else float(value)

    def channels(self) -> list[str]:
        """Return the channels that anything depends on, in the profile's order."""
        asked = {key[1] for key in self.values if key[0] in ("known", "heard") and len(key) == 2}
        return [name for name in (*self.spec.channels, *self.spec.worded, *self.spec.models) if name in asked]

    def index(self, kind: str) -> int:
        """Return the ladder index that the variables of `kind` spell."""
        return sum(
            bool(self.values.get((f"{kind} above", str(step)), False)) for step in range(self.spec.ladder.top)
        )

    def flag(self, *key: str) -> bool:
        """Return the value of a truth variable; False where there is none."""
        return bool(self.values.get(key, False))

    def person(self) -> str | None:
        """Return the action or mode that a person chose, or None."""
        if self.flag("person"):
            return self.spec.ladder.actions[self.index("person")]
        return self.spec.ladder.modes[0] if self.flag("person chose a mode") else None

    def steady(self) -> bool:
        """Return whether every mean, extreme and rate that is known is what readings that stand still would give."""
        for key, value in self.values.items():
            if key[0] != "known" or len(key) != 4 or not value:
                continue
            _, channel, statistic, _ = key
            number = float(self.values["value", *key[1:]])
            level = 0.0 if statistic == "slope" else self.reading(channel)
            near = 0.0 if statistic == "slope" else self.spec.channels[channel].quantity.resolution
            if not self.flag("known", channel) or isinstance(level, str | None):
                return False
            if abs(number - level) > near:
                return False
        return True

    def text(self) -> str:
        """Return this in words: readings, time, what it does, a person's word, what is held or has lasted."""
        told = [self._told(channel) for channel in self.channels()]
        for key, value in self.values.items():
            if key[0] == "known" and len(key) == 4 and value:
                _, channel, statistic, span = key
                number = float(self.values["value", channel, statistic, span])
                name = "rate" if statistic == "slope" else statistic
                told.append(f"{name} of {channel} over {int(span) / SECOND / 60:g} min = {number:g}")
            elif key[0] == "lasted" and value:
                told.append(f"{_timer(key[1])} has lasted")
            elif key[0] == "held" and value:
                told.append(f"{key[1]} held from before")
            elif key[0] == "timer" and value:
                told.append(
                    f"the timer of {key[1]} runs" if "longest" not in key[1] else f"{key[1]} is reached"
                )
            elif key[0] == "acknowledged" and value:
                told.append(f"{key[1]} is acknowledged")
            elif key[0] == "known does":
                told.append(self._does(key[1]))
            elif key[0] == "others" and value:
                told.append(f"an appliance of {key[2]} stands in the way")
        if ("minute",) in self.values:
            minute = int(self.values["minute",])
            told.append(f"{minute // 60:02d}:{minute % 60:02d}")
        if ("weekday",) in self.values:
            told.append(DAYS[int(self.values["weekday",])])
        if self.flag("current"):
            told.append(f"it does {self.spec.ladder.actions[self.index('current')]}")
        if (person := self.person()) is not None:
            told.append(f"a person chose {person}")
        return ", ".join(told) or "any time"

    def _told(self, channel: str) -> str:
        value = self.reading(channel)
        if value is None:
            age = self.values.get(("age", channel))
            heard = self.flag("heard", channel) and age is not None
            return f"{channel} unknown" + (f" for {float(age or 0) / SECOND:g} s" if heard else "")
        if isinstance(value, str):
            return f"{channel} = {value}"
        return f"{channel} = {value:g} {self.spec.channels[channel].quantity.unit}"

    def _does(self, appliance: str) -> str:
        name = appliance or "it"
        if not self.flag("known does", appliance):
            return f"nobody knows what {name} does"
        return f"{name} reports {self._reported(appliance)}"

    # ------------------------------------------------------------ a real snapshot

    def snapshot(self) -> Snapshot:
        """Return a snapshot of the core's own that is as these values say."""
        now = Instant("proof", NOW_NS, self._wall_ns())
        learned = {name: self._learned(name, now) for name in self.spec.models}
        current = self.index("current") if self.flag("current") else None
        return Snapshot(
            now,
            UTC,
            self.spec.ladder,
            {name: self._sense(channel) for name, channel in self.spec.channels.items()},
            learned,
            self._memory(now, current),
            current,
            {name: self._word(channel) for name, channel in self.spec.worded.items()},
            {name: self._other(name) for name in self.spec.watches},
            self._reported(""),
            in_a_mode=self.flag("in a mode"),
        )

    def _word(self, channel: WordChannel) -> Told:
        word, age = self.reading(channel.name), self.values.get(("age", channel.name))
        if word is None and not (self.flag("heard", channel.name) and age is not None):
            return Told(channel, ("proof",))
        said = Said(str(word or channel.words[-1]), None, NOW_NS - round(age or 0))
        return Told(channel, ("proof", "another") if word is None else ("proof",), {"proof": said})

    def _other(self, name: str) -> Other:
        guards = [guard for guard in self.spec.guards if isinstance(guard, Exclusion)]
        goes_first = any(name in one.higher and self.flag("others", "higher", one.title) for one in guards)
        lingers = any(name in one.lower and self.flag("others", "lower", one.title) for one in guards)
        return Other(self._reported(name), not lingers, not goes_first)

    def _reported(self, appliance: str) -> str | None:
        """Return the word that `appliance` ("" for this one) reports, or None: nobody knows."""
        if not self.flag("known does", appliance):
            return None
        number = int(self.values.get(("does", appliance), -1))
        words = self.doing_words.get(appliance, [])
        return words[number] if 0 <= number < len(words) else "something else"

    def _wall_ns(self) -> int:
        minute = int(self.values.get(("minute",), 12 * 60))
        day = int(self.values.get(("weekday",), 0))
        return (MONDAY_S + day * 86_400 + minute * 60) * SECOND

    def _sense(self, channel: Channel) -> Sense:
        window = Window.empty(channel.max_age_ns, channel.quantity.resolution)
        value = self.reading(channel.name)
        heard, age = self.flag("heard", channel.name), self.values.get(("age", channel.name))
        if value is None or isinstance(value, str):
            if not heard or age is None:
                return Sense(channel, {}, window)
            value = channel.quantity.low
        good_ns = NOW_NS - round(age or 0)
        spans = [node.span_ns for node in self.asked if node.channel == channel.name]
        if spans and self.flag("known", channel.name):
            # A straight line that ends at the value, as steep as the rate says.
            rate = self.values.get(("value", channel.name, "slope", str(SLOPE_SPAN_NS)))
            steep = 0.0 if rate is None else float(rate) / (60 * SECOND)
            at = max(NOW_NS - max(spans) - 2 * BIN_NS, NOW_NS - MOST_BINS * BIN_NS)
            while at <= NOW_NS:
                past = value - steep * min(NOW_NS - at, SLOPE_SPAN_NS + BIN_NS)
                window = window.push(channel.quantity.steps(past), at)
                at += BIN_NS
        source = Heard(good_ns, good_ns, value, Quality.GOOD, None, good_ns, value)
        return Sense(channel, {"proof": source}, window)

    def _learned(self, name: str, now: Instant) -> Learned:
        value = self.reading(name)
        age = self.values.get(("age", name))
        if value is None:
            at = (
                now.plus(-round(age))
                if age is not None and self.flag("heard", name)
                else Instant("before", 0, 0)
            )
            return Learned(None, 0.0, Quality.UNCERTAIN, "unsure", at, LEARNED_MAX_AGE_NS)
        by = "edge" if self.flag("edge", name) else None
        at = now.plus(-round(age or 0))
        return Learned(str(value), 1.0, Quality.GOOD, None, at, LEARNED_MAX_AGE_NS, by=by)

    def _memory(self, now: Instant, current: int | None) -> Memory:
        person = self.person()
        override = None if person is None else Override(person, "http", now, now.plus(3600 * SECOND))
        actions, modes = self.spec.ladder.actions, self.spec.ladder.modes
        reported = None if current is None else actions[current]
        spans = {guard.name: int(getattr(guard, "span_ns", 0)) for guard in self.spec.guards}
        count = next((guard.per_hour for guard in self.spec.guards if isinstance(guard, Switches)), 0)
        started, stopped = self._started_stopped(now, spans)
        return Memory(
            override=override,
            commanded_at=now.plus(-self._changed_ns(spans)),
            reported=modes[0] if self.flag("in a mode") else reported,
            started=started,
            stopped=stopped,
            switches=(now,) * (count if self.flag("timer", "switches") else 0),
            holds=tuple(key[1] for key, value in self.values.items() if key[0] == "held" and value),
            true_since={
                key: now.plus(-span) if self.flag("lasted", key) else now for key, span in self.spans.items()
            },
            acknowledged=tuple(
                key[1] for key, value in self.values.items() if key[0] == "acknowledged" and value
            ),
        )

    def _started_stopped(self, now: Instant, spans: Mapping[str, int]) -> tuple[Instant, Instant]:
        """Return when it last started and stopped, so that the timers stand as they are said to."""
        longest = spans.get("longest_run", LONG_NS)
        stopped_ns = 0 if self.flag("timer", "minimum_off") else spans.get("minimum_off", 0)
        if self.flag("timer", "rest of longest_run"):
            started_ns = stopped_ns + longest
        elif self.flag("timer", "longest_run"):
            started_ns, stopped_ns = longest, max(longest + 1, stopped_ns)
        else:
            started_ns = 0 if self.flag("timer", "minimum_on") else spans.get("minimum_on", 0)
        return now.plus(-started_ns), now.plus(-stopped_ns)

    def _changed_ns(self, spans: Mapping[str, int]) -> int:
        """Return how long ago it last changed, so that dwell and feedback stand as they are said to."""
        if self.flag("timer", "dwell"):
            return SETTLED_NS if self.flag("timer", "feedback") else 0
        return max(spans.get("dwell", 0), 2 * SETTLED_NS if self.flag("timer", "feedback") else 0)


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _timer(key: str) -> str:
    """Return the `for` named `key` in words: its key is a place as in errors, "profile x, rule y, when#1"."""
    place, _, number = key.rpartition("#")
    found = re.search(r"(?:rule|invariant|instead) ([^,]+)(?:, (when|until))?\Z", place)
    where = place if found is None else f"{found[1]}, {found[2] or 'when'}"
    return f"the `for` in {where}" if number in ("", "1") else f"`for` number {number} in {where}"


def _middle(low: float, high: float) -> float:
    middle = (low + high) / 2
    return middle if isfinite(middle) else low
