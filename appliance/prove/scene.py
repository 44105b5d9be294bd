"""Owns the variables that stand for what is sensed and timed in one snapshot, and what every real snapshot obeys.

Never in here: what follows from them (formulas), or any value.

A measured channel is `known` and a real number within its quantity's range; since conditions only compare, reals are exact.
A worded one is `known` and the number of a word. Means, extremes and rates over time are variables of their own, within the
range; so is whether a `for` has lasted, and how long ago a channel was heard.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import z3

from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.windows import steepest
from appliance.prove.bits import Bit, any_of

SLOPES = frozenset({"rising", "falling"})


def exact(value: float) -> z3.ArithRef:
    """Return `value` as the very ratio that a float is: a decimal text would be another number."""
    ratio = Fraction(value)
    return z3.Q(ratio.numerator, ratio.denominator)


class Scene:
    """The variables of one snapshot, made when they are first asked for; `tag` keeps two snapshots apart.

    `facts` are what holds in every snapshot that there can be. `bound` are the channels that something feeds; None: all.
    """

    def __init__(self, spec: Appliance, *, tag: str = "", bound: frozenset[str] | None = None) -> None:
        self.spec = spec
        self.tag = tag
        self.bound = bound
        self.facts: list[Bit] = []
        self.variables: dict[tuple[str, ...], Any] = {}
        self.words: dict[str, list[str]] = {name: list(words) for name, words in spec.words.items()}
        self.words |= {name: list(channel.words) for name, channel in spec.worded.items()}
        self.doing_words: dict[str, list[str]] = {"": [*spec.ladder.actions, *spec.ladder.modes]}

    def flag(self, *key: str) -> z3.BoolRef:
        """Return the truth variable named `key`."""
        return self._variable(z3.Bool, key)

    def _variable(self, kind: Any, key: tuple[str, ...]) -> Any:
        found = self.variables.get(key)
        if found is None:
            found = self.variables[key] = kind("|".join(key) + self.tag)
        return found

    def known(self, channel: str) -> Bit:
        """Return whether `channel` has a value that may be acted on."""
        if self.bound is not None and channel not in self.bound:
            return False
        return self.flag("known", channel)

    def value(self, channel: str) -> z3.ArithRef:
        """Return the value of a measured channel, in its unit."""
        key = ("value", channel)
        if key not in self.variables:
            quantity = self.spec.channels[channel].quantity
            value = self._variable(z3.Real, key)
            self.facts += [value >= exact(quantity.low), value <= exact(quantity.high)]
        return self.variables[key]

    def word(self, channel: str) -> z3.ArithRef:
        """Return the number of the word that a worded channel says."""
        key = ("word", channel)
        if key not in self.variables:
            word = self._variable(z3.Int, key)
            self.facts += [word >= 0, word < len(self.words[channel])]
        return self.variables[key]

    def age(self, channel: str) -> tuple[Bit, z3.ArithRef]:
        """Return whether `channel` was ever heard well since boot, and how many nanoseconds ago."""
        heard, known = self.flag("heard", channel), self.known(channel)
        key = ("age", channel)
        if key not in self.variables:
            age = self._variable(z3.Real, key)
            measured = self.spec.channels.get(channel)
            told = measured or self.spec.worded.get(channel)
            limit = LEARNED_MAX_AGE_NS if told is None else told.max_age_ns
            fresh = z3.And(heard, age <= limit)
            self.facts.append(age >= 0)
            # A model may have spoken just now and not be sure, one of two sensors have told a word; a number is known then.
            self.facts.append(z3.Implies(known, fresh) if measured is None else known == fresh)
        return heard, self.variables[key]

    def statistic(self, channel: str, statistic: str, span_ns: int) -> tuple[Bit, z3.ArithRef]:
        """Return whether the statistic over the span is known, and its value; "rising" and "falling" share one slope."""
        name = "slope" if statistic in SLOPES else statistic
        if self.bound is not None and channel not in self.bound:
            return False, exact(0.0)
        known = self.flag("known", channel, name, str(span_ns))
        key = ("value", channel, name, str(span_ns))
        if key not in self.variables:
            value = self._variable(z3.Real, key)
            # Bins count in whole steps, so a statistic may lie one step outside of what was read.
            quantity = self.spec.channels[channel].quantity
            step = Fraction(quantity.resolution)
            low, high = Fraction(quantity.low) - step, Fraction(quantity.high) + step
            if name == "slope":
                high = (high - low) * Fraction(steepest(span_ns))
                low = -high
            self.facts += [
                value >= z3.Q(low.numerator, low.denominator),
                value <= z3.Q(high.numerator, high.denominator),
            ]
            if name != "slope":
                self._in_order(channel, span_ns, name, step)
        return known, self.variables[key]

    def _in_order(self, channel: str, span_ns: int, name: str, step: Fraction) -> None:
        ranks = {"min": 0, "mean": 1, "max": 2}
        slack = z3.Q(step.numerator, step.denominator)
        for other, rank in ranks.items():
            key = ("value", channel, other, str(span_ns))
            if other == name or key not in self.variables:
                continue
            low, high = (other, name) if rank < ranks[name] else (name, other)
            both = z3.And(
                self.flag("known", channel, low, str(span_ns)),
                self.flag("known", channel, high, str(span_ns)),
            )
            below = self.variables["value", channel, low, str(span_ns)]
            over = self.variables["value", channel, high, str(span_ns)]
            self.facts.append(z3.Implies(both, below <= over + slack))

    def lasted(self, key: str) -> z3.BoolRef:
        """Return whether the `for` named `key` has lasted long enough, if what it asks for is true at all."""
        return self.flag("lasted", key)

    def minute(self) -> z3.ArithRef:
        """Return the minute of the day, 0 to 1439."""
        return self._whole("minute", 1440)

    def weekday(self) -> z3.ArithRef:
        """Return the day of the week, 0 for Monday."""
        return self._whole("weekday", 7)

    def _whole(self, name: str, count: int) -> z3.ArithRef:
        if (name,) not in self.variables:
            number = self._variable(z3.Int, (name,))
            self.facts += [number >= 0, number < count]
        return self.variables[name,]

    def doing(self, appliance: str) -> tuple[Bit, z3.ArithRef]:
        """Return whether `appliance` ("" for one's own) reports what it does, and the number of that word."""
        key = ("does", appliance)
        if key not in self.variables:
            word = self._variable(z3.Int, key)
            # -1 is any word that no condition asks for; one's own words are all known.
            self.facts += [word >= (0 if appliance == "" else -1)]
            if appliance == "":
                self.facts.append(word < len(self.doing_words[""]))
        return self.flag("known does", appliance), self.variables[key]

    def doing_number(self, appliance: str, word: str) -> int:
        """Return the number of a word that `appliance` may report."""
        words = self.doing_words.setdefault(appliance, [])
        if word not in words:
            words.append(word)
        return words.index(word)

    def deaf(self, channel: str) -> list[tuple[z3.ExprRef, z3.ExprRef]]:
        """Return the substitutions after which nothing is known of `channel`: not its value, nor any statistic of it."""
        return [
            (variable, z3.BoolVal(False))
            for key, variable in self.variables.items()
            if key[0] in ("known", "heard") and key[1:2] == (channel,)
        ]


def known_anywhere(scene: Scene, channel: str) -> Bit:
    """Return whether anything at all is known of `channel`."""
    flags: Mapping[tuple[str, ...], Any] = scene.variables
    return any_of(*(flags[key] for key in flags if key[0] in ("known", "heard") and key[1:2] == (channel,)))
