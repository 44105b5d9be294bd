"""Owns the snapshot: everything a decision about one appliance may look at, at one moment, and nothing that changes.

Never in here: a clock, or anything that a decision could alter.
"""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

import msgspec

from appliance.core.arbitration import Ladder
from appliance.core.clock import Instant
from appliance.core.events import Memory
from appliance.core.senses import Learned, Sense
from appliance.core.windows import Window
from appliance.core.words import Told


class Other(msgspec.Struct, frozen=True, gc=False):
    """Another appliance of the home: what it reports (None: nobody knows), whether that is its lowest action, and whether it
    would be, if nobody stood in its way.
    """

    doing: str | None
    off: bool
    wants_off: bool


class Snapshot(msgspec.Struct, frozen=True):
    """What is known of one appliance and its surroundings `now`.

    `current` is the index of the action that it is doing (the commanded one while a command is in flight, else the
    reported one), None where it is in a mode (`in_a_mode`) or nobody knows. `reports` is what it reports; `others` are those
    appliances of the home that a rule or guard of this one looks at. `seen` are the values that were asked for: looked up,
    nothing more.
    """

    now: Instant
    zone: tzinfo
    ladder: Ladder
    senses: Mapping[str, Sense]
    learned: Mapping[str, Learned]
    memory: Memory
    current: int | None
    words: Mapping[str, Told] = {}
    others: Mapping[str, Other] = {}
    reports: str | None = None
    suppose: bool = False
    seen: dict[str, float | str | None] = msgspec.field(default_factory=dict)
    in_a_mode: bool = False

    def value(self, channel: str) -> float | str | None:
        """Return the channel's newest value that may be acted on, or None: unknown."""
        # Rules ask for the same few again and again.
        seen = self.seen
        if channel in seen:
            return seen[channel]
        sense = self.senses.get(channel)
        value = self._worded(channel) if sense is None else sense.value(self.now)
        seen[channel] = value
        return value

    def _worded(self, channel: str) -> str | None:
        told = self.words.get(channel)
        if told is not None:
            return told.value(self.now)
        said = self.learned.get(channel)
        if said is None:
            return None
        return said.label if self.suppose else said.value(self.now)

    def by_edge(self, channel: str) -> bool:
        """Return whether a model's channel has its value from a bigger one on another machine."""
        said = self.learned.get(channel)
        return said is not None and said.by is not None

    def age_ns(self, channel: str) -> int | None:
        """Return the nanoseconds since the channel was last heard well, or None: never since boot."""
        sense = self.senses.get(channel)
        if sense is not None:
            return sense.age_ns(self.now)
        told = self.words.get(channel)
        if told is not None:
            return told.age_ns(self.now)
        said = self.learned.get(channel)
        return None if said is None else self.now.since(said.at)

    def window(self, channel: str) -> Window | None:
        """Return the channel's bins, or None where it has none."""
        sense = self.senses.get(channel)
        return None if sense is None else sense.window

    def minute_of_day(self) -> int:
        """Return the minutes since midnight in the home's zone."""
        local = self.now.local(self.zone)
        return local.hour * 60 + local.minute

    def day_of_week(self) -> int:
        """Return the day of the week in the home's zone, 0 for Monday."""
        return self.now.local(self.zone).weekday()

    def doing(self, appliance: str) -> str | None:
        """Return what `appliance` reports ("" for this one), or None: unknown."""
        if not appliance:
            return self.reports
        other = self.others.get(appliance)
        return None if other is None else other.doing

    def acknowledged(self, rule: str) -> bool:
        """Return whether a person acknowledged what `rule` says since it began to."""
        return rule in self.memory.acknowledged

    def true_since(self, key: str) -> int | None:
        """Return since which `boottime_ns` the inner condition of the `for` named `key` is true, or None."""
        since = self.memory.true_since.get(key)
        return None if since is None or since.boot_id != self.now.boot_id else since.boottime_ns

    def but(self, **changes: Any) -> "Snapshot":
        """Return the same snapshot with other `changes`; nothing that was looked up before is taken over."""
        return msgspec.structs.replace(self, seen={}, **changes)

    def supposing(self) -> "Snapshot":
        """Return the same snapshot, in which every model's likeliest label stands: for what may only be recommended."""
        return self.but(suppose=True)
