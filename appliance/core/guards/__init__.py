"""Guards: voices that protect the device, and whoever is near it. One guard a file.

A guard module has one plug, `GUARD`: a class with `name`, `from_table` and the methods of `Guard`.
"""

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self

from appliance.core.arbitration import Ladder, Proposal
from appliance.core.quantities import Quantity
from appliance.core.snapshot import Snapshot
from appliance.errors import ProfileError


class Guard(Protocol):
    """A voice without a memory of its own: everything it knows is in the snapshot."""

    name: ClassVar[str]

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Return the guard that the profile's `table` describes; `measured` are the profile's channels.

        Raises:
            ProfileError: the table is wrong, or the guard makes no sense on this ladder.
        """
        ...

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        """Return what this guard demands now, or None where it has nothing to say."""
        ...

    def fault(self, snapshot: Snapshot) -> str | None:
        """Return what is wrong with the device, in words, or None."""
        ...

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        """Return the `boottime_ns` at which its answer changes by itself, or None."""
        ...


class NoFault:
    """For a guard that cannot tell whether the device is broken."""

    def fault(self, snapshot: Snapshot) -> str | None:
        """Return None."""
        del snapshot
        return None


def spans(table: Mapping[str, object], where: str, *names: str) -> tuple[str, ...]:
    """Return the durations of a guard that is set by `names` alone, as they are written.

    Raises:
        ProfileError: one is missing, or there is something else.
    """
    found = tuple(table.get(name) for name in names)
    written = tuple(text for text in found if isinstance(text, str))
    if set(table) != set(names) or len(written) < len(names):
        raise ProfileError(
            f"{where}: its settings are {' and '.join(f'`{name}`' for name in names)}, durations",
            hint=f'write: {", ".join(f"""{name} = "3 min" """.strip() for name in names)}',
        )
    return written
