"""Guards: voices that protect the device from being switched too soon or too often. One guard a file.

A guard module has one plug, `GUARD`: a class with `name`, `from_table` and the two methods of `Guard`.
"""

from collections.abc import Mapping
from typing import Protocol, Self

from appliance.core.arbitration import Ladder, Proposal
from appliance.core.snapshot import Snapshot
from appliance.errors import ProfileError


class Guard(Protocol):
    """A voice without a memory of its own: everything it knows is in the snapshot."""

    name: str

    @classmethod
    def from_table(cls, table: Mapping[str, object], ladder: Ladder, *, where: str) -> Self:
        """Return the guard that the profile's `table` describes.

        Raises:
            ProfileError: the table is wrong, or the guard makes no sense on this ladder.
        """
        ...

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Return what this guard demands now, or None where it has nothing to say."""
        ...

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return the `boottime_ns` at which its answer changes by itself, or None."""
        ...


def span_text(table: Mapping[str, object], where: str) -> str:
    """Return the one setting of a guard that lasts for a time.

    Raises:
        ProfileError: `for` is missing, or there is something else.
    """
    if set(table) != {"for"} or not isinstance(table["for"], str):
        raise ProfileError(f"{where}: the only setting is `for`, a duration", hint='write: for = "3 min"')
    return table["for"]
