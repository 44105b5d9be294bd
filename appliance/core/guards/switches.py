"""Owns the limit of switches an hour: once it is reached, stay, or move towards the safe action.

Never in here: counting; the snapshot remembers the switches of the last hour.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.clock import SECOND
from appliance.core.guards import NoFault
from appliance.core.quantities import Quantity
from appliance.core.snapshot import Snapshot
from appliance.errors import ProfileError

HOUR_NS = 3600 * SECOND
MOST = 60
"""The highest limit, and so the most switches that are remembered: more than one a minute is no limit."""


class Switches(msgspec.Struct, NoFault, frozen=True):
    """`[guards.switches] per_hour = 12`."""

    name: ClassVar[str] = "switches"
    per_hour: int

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Return the guard. Raises ProfileError where `per_hour` is no whole number from 1 to 60."""
        del ladder, measured
        per_hour = table.get("per_hour")
        if set(table) != {"per_hour"} or type(per_hour) is not int or not 1 <= per_hour <= MOST:
            raise ProfileError(
                f"{where}: the only setting is `per_hour`, from 1 to {MOST}", hint="write: per_hour = 12"
            )
        return cls(per_hour)

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Narrow to between the current and the safe action while the limit is reached."""
        if (
            snapshot.current is None
            or len(snapshot.memory.switches) < self.per_hour
            or self._recent(snapshot) < self.per_hour
        ):
            return None
        low, high = sorted((snapshot.current, snapshot.ladder.safe))
        return Proposal(
            low,
            high,
            Authority.MINIMUM_ON,
            "guard switches",
            f"it was switched {self.per_hour} times within the last hour",
        )

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return when the oldest switch of the last hour is forgotten."""
        switches = snapshot.memory.switches
        return switches[-self.per_hour].boottime_ns + HOUR_NS if len(switches) >= self.per_hour else None

    def _recent(self, snapshot: Snapshot) -> int:
        ages = (snapshot.now.since(switch) for switch in snapshot.memory.switches)
        return sum(1 for age in ages if age is not None and age < HOUR_NS)


GUARD = Switches
