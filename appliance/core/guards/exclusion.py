"""Owns what must not run at once: two heaters on one fuse, a humidifier against a dehumidifier.

The appliances are ranked. A lower one is held off while a higher one is decided to run, or is not known to be off; a higher one
waits with starting until the lower ones report off. Never in here: what the others do; the snapshot knows.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.guards import NoFault
from appliance.core.quantities import Quantity
from appliance.core.snapshot import Snapshot
from appliance.errors import ProfileError


class Exclusion(msgspec.Struct, NoFault, frozen=True):
    """`[exclusions.NAME] appliances = ["heater", "dehumidifier"]` of a home: this appliance's place among them."""

    name: ClassVar[str] = "exclusion"
    title: str
    higher: tuple[str, ...]
    lower: tuple[str, ...]

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Refuse: which appliances there are, the home says, not a profile. Raises ProfileError."""
        del table, ladder, measured
        raise ProfileError(
            f"{where}: a profile knows no other appliances", hint="write [exclusions.NAME] in the config"
        )

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Demand at most off while another one has the right of way, or has not made room yet."""
        for name in self.higher:
            other = snapshot.others.get(name)
            if other is None or not (other.off and other.wants_off):
                return self._off(f"{name} goes first ({self.title})")
        if not (snapshot.current or snapshot.in_a_mode):
            for name in self.lower:
                other = snapshot.others.get(name)
                if other is None or not other.off:
                    return self._off(f"{name} is not known to be off yet ({self.title})")
        return None

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return None: it changes with the others, and their changes are looked at."""
        del snapshot
        return None

    @staticmethod
    def _off(because: str) -> Proposal:
        return Proposal(0, 0, Authority.EQUIPMENT, "guard exclusion", because)


GUARD = Exclusion
