"""Owns the run of a device that was just switched on: at least the lowest running action, unless a person says otherwise.

Never in here: when it was switched on; the snapshot knows.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.conditions import duration_ns
from appliance.core.guards import NoFault, spans
from appliance.core.quantities import Quantity
from appliance.core.snapshot import Snapshot


class MinimumOn(msgspec.Struct, NoFault, frozen=True):
    """`[guards.minimum_on] for = "3 min"`."""

    name: ClassVar[str] = "minimum_on"
    span_ns: int
    text: str
    top: int

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Return the guard."""
        del measured
        (text,) = spans(table, where, "for")
        return cls(duration_ns(text, where=where), text, ladder.top)

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Demand at least the lowest running action until the time has passed since it started."""
        started = snapshot.memory.started
        if started is None or not (snapshot.current or snapshot.in_a_mode):
            return None
        since = snapshot.now.since(started)
        if since is None or since >= self.span_ns:
            return None
        return Proposal(
            1,
            self.top,
            Authority.MINIMUM_ON,
            "guard minimum_on",
            f"it was just switched on and runs for {self.text}",
        )

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return when the run may end."""
        started = snapshot.memory.started
        return None if started is None else started.boottime_ns + self.span_ns


GUARD = MinimumOn
