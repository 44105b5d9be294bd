"""Owns the look at the meter: whether what the device draws fits what it is said to do.

A device that is off and still draws power is held off, whoever asks (a relay may be welded: a person has to look). One that is on and
draws nothing is a fault to be told, and narrows nothing: a heater's own thermostat, or a pulled plug, look the same. Never
in here: measuring; a channel does.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.clock import SECOND
from appliance.core.quantities import Quantity, canonical, convert
from appliance.core.snapshot import Snapshot
from appliance.errors import ProfileError

SETTLED_NS = 60 * SECOND
"""Meters report every 10 to 60 s, and fans run down: what was drawn within a minute of a change says nothing (assumed)."""


class Feedback(msgspec.Struct, frozen=True):
    """`[guards.feedback] channel = "power", on_above = "1 W", off_below = "5 W"`, in watts."""

    name: ClassVar[str] = "feedback"
    channel: str
    on_above: float
    off_below: float

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Return the guard. Raises ProfileError where the channel measures no power, or a limit is none."""
        del ladder
        channel = table.get("channel")
        quantity = measured.get(channel) if isinstance(channel, str) else None
        if quantity is None or quantity.unit != "W" or set(table) != {"channel", "on_above", "off_below"}:
            raise ProfileError(
                f"{where}: its settings are `channel`, which measures power, `on_above` and `off_below`",
                hint='write: channel = "power", on_above = "1 W", off_below = "5 W"',
            )
        return cls(
            str(channel),
            _watts(table["on_above"], quantity, f"{where}, on_above"),
            _watts(table["off_below"], quantity, f"{where}, off_below"),
        )

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Demand exactly off while it draws power though it is off."""
        watts = self._settled(snapshot)
        if watts is None or snapshot.current != 0 or watts <= self.off_below:
            return None
        return Proposal(
            0, 0, Authority.EQUIPMENT, "guard feedback", f"it should be off and still draws {watts:g} W"
        )

    def fault(self, snapshot: Snapshot) -> str | None:
        """Return how its meter contradicts it, or None."""
        watts = self._settled(snapshot)
        if watts is None or snapshot.current is None:
            return None
        if snapshot.current == 0:
            return f"it should be off and still draws {watts:g} W" if watts > self.off_below else None
        return f"it should be on and draws {watts:g} W" if watts < self.on_above else None

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return when the meter begins to count after a change."""
        since = snapshot.memory.changed(snapshot.now)
        if since is None or since >= SETTLED_NS:
            return None
        return snapshot.now.boottime_ns + SETTLED_NS - since

    def _settled(self, snapshot: Snapshot) -> float | None:
        """Return the watts that were measured well after the last change, or None."""
        since = snapshot.memory.changed(snapshot.now)
        age = snapshot.age_ns(self.channel)
        value = snapshot.value(self.channel)
        if since is None or since < SETTLED_NS or age is None or age > since - SETTLED_NS // 2:
            return None
        return value if isinstance(value, float | int) else None


def _watts(text: object, quantity: Quantity, where: str) -> float:
    number, _, unit = text.partition(" ") if isinstance(text, str) else ("", "", "")
    try:
        watts = convert(float(number), canonical(unit.strip()), quantity)
    except ValueError:
        watts = None
    if watts is None or watts < 0:
        raise ProfileError(f"{where}: {text!r} is no power", hint='write: "5 W"')
    return watts


GUARD = Feedback
