"""Owns the truth of a condition in a snapshot: a tree of frozen nodes.

Truth has three values (Kleene): True, False, and None for unknown. Never in here: how a condition is spelt, what follows
from it, any memory (`for` reads from the snapshot since when its inner condition is true).
"""

from collections.abc import Callable, Iterator
from operator import ge, gt, le, lt
from typing import Protocol

import msgspec

from appliance.core.clock import Instant
from appliance.core.windows import Window

COMPARE: dict[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}

Truth = bool | None


class Surroundings(Protocol):
    """What a condition may look at; `appliance.core.snapshot.Snapshot` is one."""

    @property
    def now(self) -> Instant:
        """The moment of the decision."""

    def value(self, channel: str) -> float | str | None:
        """Return the channel's newest value that may be acted on, or None: unknown."""

    def age_ns(self, channel: str) -> int | None:
        """Return the nanoseconds since the channel was last heard well, or None: never since boot."""

    def window(self, channel: str) -> Window | None:
        """Return the channel's bins, or None where it has none."""

    def minute_of_day(self) -> int:
        """Return the minutes since midnight in the home's zone."""

    def day_of_week(self) -> int:
        """Return the day of the week in the home's zone, 0 for Monday."""

    def doing(self, appliance: str) -> str | None:
        """Return the action or mode that `appliance` reports ("" for one's own), or None: unknown."""

    def acknowledged(self, rule: str) -> bool:
        """Return whether a person acknowledged what `rule` says since it began to."""

    def true_since(self, key: str) -> int | None:
        """Return since which `boottime_ns` the inner condition of the `for` named `key` is true, or None."""


class Node(msgspec.Struct, frozen=True, tag=True):
    """A condition. Children are in `parts`, so that walking needs no cases."""

    def truth(self, around: Surroundings) -> Truth:
        """Return True, False, or None where it is unknown."""
        raise NotImplementedError

    def parts(self) -> "tuple[Node, ...]":
        """Return the conditions that this one is made of."""
        return ()

    def walk(self) -> "Iterator[Node]":
        """Yield this node and all below it."""
        yield self
        for part in self.parts():
            yield from part.walk()

    def channels(self) -> frozenset[str]:
        """Return the names of the channels that are looked at, here or below."""
        return frozenset(node.channel for node in self.walk() if isinstance(node, _OnChannel))

    def acts_on(self) -> frozenset[str]:
        """Return the channels whose values matter: a question whether one is unknown is a measured fact, and is left out."""
        return frozenset(
            node.channel
            for node in self.walk()
            if isinstance(node, _OnChannel) and not isinstance(node, IsUnknown)
        )


class _OnChannel(Node, frozen=True, tag=False):
    channel: str


class Compare(_OnChannel, frozen=True):
    """`channel op threshold`: on the newest value, in the quantity's unit."""

    op: str
    threshold: float

    def truth(self, around: Surroundings) -> Truth:
        value = around.value(self.channel)
        return None if value is None or isinstance(value, str) else COMPARE[self.op](value, self.threshold)


class CompareAge(_OnChannel, frozen=True):
    """`age(channel) op threshold`, in nanoseconds. Never heard is older than anything."""

    op: str
    threshold: float

    def truth(self, around: Surroundings) -> Truth:
        age = around.age_ns(self.channel)
        return COMPARE[self.op](float("inf") if age is None else age, self.threshold)


class CompareWindow(_OnChannel, frozen=True):
    """`statistic(channel, span) op threshold`, over whole bins."""

    statistic: str
    span_ns: int
    op: str
    threshold: float

    def truth(self, around: Surroundings) -> Truth:
        value = self.compared(around)
        return None if value is None else COMPARE[self.op](value, self.threshold)

    def compared(self, around: Surroundings) -> float | None:
        """Return the statistic now, in the quantity's unit (a slope: per minute), or None: unknown."""
        window = around.window(self.channel)
        if window is None:
            return None
        now = around.now.boottime_ns
        if self.statistic == "mean":
            return window.mean(now, self.span_ns)
        if self.statistic == "min":
            return window.minimum(now, self.span_ns)
        if self.statistic == "max":
            return window.maximum(now, self.span_ns)
        slope = window.slope(now, self.span_ns)
        return -slope if slope is not None and self.statistic == "falling" else slope


class Is(_OnChannel, frozen=True):
    """`channel is word`: a label of a model, or a word of a device."""

    word: str

    def truth(self, around: Surroundings) -> Truth:
        value = around.value(self.channel)
        return None if value is None else value == self.word


class IsUnknown(_OnChannel, frozen=True):
    """`channel is unknown`: never itself unknown."""

    def truth(self, around: Surroundings) -> Truth:
        return around.value(self.channel) is None


class Between(Node, frozen=True):
    """`time is between A and B`, in minutes of the day; from A inclusive to B exclusive, across midnight where A > B."""

    start: int
    end: int

    def truth(self, around: Surroundings) -> Truth:
        minute = around.minute_of_day()
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


class DayIs(Node, frozen=True):
    """`day is monday`: one of `days`, 0 for Monday, in the home's zone."""

    days: tuple[int, ...]

    def truth(self, around: Surroundings) -> Truth:
        return around.day_of_week() in self.days


class Doing(Node, frozen=True):
    """`state is high`, `state of heater is off`: what an appliance reports; `appliance` "" is one's own."""

    appliance: str
    action: str

    def truth(self, around: Surroundings) -> Truth:
        action = around.doing(self.appliance)
        return None if action is None else action == self.action


class DoingUnknown(Node, frozen=True):
    """`state of heater is unknown`: never itself unknown."""

    appliance: str

    def truth(self, around: Surroundings) -> Truth:
        return around.doing(self.appliance) is None


class Acknowledged(Node, frozen=True):
    """`acknowledged`: a person saw what `rule` says, since it began to."""

    rule: str

    def truth(self, around: Surroundings) -> Truth:
        return around.acknowledged(self.rule)


class Not(Node, frozen=True):
    """The opposite; unknown stays unknown."""

    part: Node

    def truth(self, around: Surroundings) -> Truth:
        value = self.part.truth(around)
        return None if value is None else not value

    def parts(self) -> tuple[Node, ...]:
        return (self.part,)


class And(Node, frozen=True):
    """False where any part is False, else unknown where any is unknown."""

    all_of: tuple[Node, ...]

    def truth(self, around: Surroundings) -> Truth:
        result: Truth = True
        for part in self.all_of:
            value = part.truth(around)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    def parts(self) -> tuple[Node, ...]:
        return self.all_of


class Or(Node, frozen=True):
    """True where any part is True, else unknown where any is unknown."""

    any_of: tuple[Node, ...]

    def truth(self, around: Surroundings) -> Truth:
        result: Truth = False
        for part in self.any_of:
            value = part.truth(around)
            if value is True:
                return True
            if value is None:
                result = None
        return result

    def parts(self) -> tuple[Node, ...]:
        return self.any_of


class For(Node, frozen=True):
    """True once `part` has been known to be true for `span_ns` without a break; unknown where `part` is."""

    part: Node
    span_ns: int
    key: str

    def truth(self, around: Surroundings) -> Truth:
        value = self.part.truth(around)
        if not value:
            return value
        since = around.true_since(self.key)
        return since is not None and around.now.boottime_ns - since >= self.span_ns

    def parts(self) -> tuple[Node, ...]:
        return (self.part,)
