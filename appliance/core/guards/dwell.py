"""Owns the patience with voices that may change their mind: after a change, stay, or move towards rest.

It narrows models, the edge and the fallback only; rules and people are stronger. Never in here: when it last changed; the
snapshot knows.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.conditions import duration_ns
from appliance.core.guards import NoFault, spans
from appliance.core.quantities import Quantity
from appliance.core.snapshot import Snapshot


class Dwell(msgspec.Struct, NoFault, frozen=True):
    """`[guards.dwell] for = "15 min"`."""

    name: ClassVar[str] = "dwell"
    span_ns: int
    text: str

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Return the guard."""
        del ladder, measured
        (text,) = spans(table, where, "for")
        return cls(duration_ns(text, where=where), text)

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Narrow to between the current action and rest while the last change is fresh."""
        since = snapshot.memory.changed(snapshot.now)
        if since is None or since >= self.span_ns or snapshot.current is None:
            return None
        low, high = sorted((snapshot.current, snapshot.ladder.rest))
        return Proposal(
            low,
            high,
            Authority.DWELL,
            "guard dwell",
            f"it changed within the last {self.text}",
        )

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return when it may change again."""
        since = snapshot.memory.changed(snapshot.now)
        return (
            None
            if since is None or since >= self.span_ns
            else snapshot.now.boottime_ns + self.span_ns - since
        )


GUARD = Dwell
