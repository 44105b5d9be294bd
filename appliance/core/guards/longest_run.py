"""Owns the longest run of a device that must not run for ever: then exactly off, for a rest, for everyone but life safety.

Never in here: when it was switched on or off; the snapshot knows. Who switches it off earlier owes it no rest; a
hand at the device begins a new run.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.conditions import duration_ns
from appliance.core.guards import NoFault, spans
from appliance.core.quantities import Quantity
from appliance.core.snapshot import Snapshot


class LongestRun(msgspec.Struct, NoFault, frozen=True):
    """`[guards.longest_run] for = "8 h", rest = "30 min"`."""

    name: ClassVar[str] = "longest_run"
    span_ns: int
    rest_ns: int
    text: str
    rest_text: str

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Return the guard."""
        del ladder, measured
        text, rest = spans(table, where, "for", "rest")
        return cls(duration_ns(text, where=where), duration_ns(rest, where=where), text, rest)

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Demand exactly off once it has run for so long, and until it has rested."""
        ran = self._running(snapshot)
        if ran is not None:
            if ran < self.span_ns:
                return None
            why = f"it has run for {self.text}, and rests for {self.rest_text}"
        else:
            rested = self._rested(snapshot)
            if rested is None or rested >= self.rest_ns:
                return None
            why = f"it had run for {self.text}, and rests for {self.rest_text}"
        return Proposal(0, 0, Authority.EQUIPMENT, "guard longest_run", why)

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return when the run must end, or the rest does."""
        ran, rested = self._running(snapshot), self._rested(snapshot)
        now_ns = snapshot.now.boottime_ns
        if ran is not None:
            return now_ns + self.span_ns - ran if ran < self.span_ns else None
        return None if rested is None or rested >= self.rest_ns else now_ns + self.rest_ns - rested

    def _running(self, snapshot: Snapshot) -> int | None:
        started = snapshot.memory.started
        return snapshot.now.since(started) if started is not None and self._runs(snapshot) else None

    @staticmethod
    def _runs(snapshot: Snapshot) -> bool:
        return bool(snapshot.current) or snapshot.in_a_mode

    def _rested(self, snapshot: Snapshot) -> int | None:
        """Return for how long it has been off after a run of full length, or None where it owes no rest."""
        started, stopped = snapshot.memory.started, snapshot.memory.stopped
        if started is None or stopped is None or self._runs(snapshot):
            return None
        ran = stopped.since(started)
        return snapshot.now.since(stopped) if ran is not None and ran >= self.span_ns else None


GUARD = LongestRun
