"""Owns the rest of a device that was just switched off: exactly off, for everyone but life safety.

Never in here: when it was switched off; the snapshot knows.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.conditions import duration_ns
from appliance.core.guards import NoFault, spans
from appliance.core.quantities import Quantity
from appliance.core.snapshot import Snapshot
from appliance.errors import ProfileError


class MinimumOff(msgspec.Struct, NoFault, frozen=True):
    """`[guards.minimum_off] for = "1 min"`."""

    name: ClassVar[str] = "minimum_off"
    span_ns: int
    text: str

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Return the guard. Raises ProfileError where `safe` isn't off, since it would then keep people from safety."""
        if ladder.safe != 0:
            raise ProfileError(
                f"{where}: a minimum time off keeps {ladder.actions[ladder.safe]!r}, the safe action, from being taken",
                hint="remove this guard, or set safe to the lowest action",
            )
        del measured
        (text,) = spans(table, where, "for")
        return cls(duration_ns(text, where=where), text)

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Demand exactly off until the time has passed since it stopped."""
        stopped = snapshot.memory.stopped
        if stopped is None or snapshot.current not in (0, None) or snapshot.in_a_mode:
            return None
        since = snapshot.now.since(stopped)
        if since is not None and since >= self.span_ns:
            return None
        return Proposal(
            0,
            0,
            Authority.MINIMUM_OFF,
            "guard minimum_off",
            f"it was just switched off and rests for {self.text}",
        )

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return when the rest ends."""
        stopped = snapshot.memory.stopped
        return None if stopped is None else stopped.boottime_ns + self.span_ns


GUARD = MinimumOff
