"""Owns the instant: when something happened, on three clocks at once.

Never in here: reading a clock. An `Instant` is stamped at the border and handed in.
"""

from datetime import UTC, datetime, tzinfo

import msgspec

SECOND = 1_000_000_000
"""Nanoseconds in a second: all durations inside the core are whole nanoseconds."""
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""The days by their numbers: 0 is Monday."""


class Instant(msgspec.Struct, frozen=True, gc=False):
    """A moment, as this computer saw it.

    `boot_id` names the boot; `boottime_ns` counts from that boot and runs on in suspend (CLOCK_BOOTTIME), so
    durations use it; `wall_ns` is Unix time, used for display and for times of day only, since clock steps move it.
    """

    boot_id: str
    boottime_ns: int
    wall_ns: int

    def plus(self, nanoseconds: int) -> "Instant":
        """Return the instant that lies `nanoseconds` later (earlier where negative) on both clocks."""
        return Instant(self.boot_id, self.boottime_ns + nanoseconds, self.wall_ns + nanoseconds)

    def since(self, earlier: "Instant") -> int | None:
        """Return the nanoseconds from `earlier` to here, or None where another boot lies between: a gap of unknown length."""
        if earlier.boot_id is not self.boot_id and earlier.boot_id != self.boot_id:
            return None
        return self.boottime_ns - earlier.boottime_ns

    def local(self, zone: tzinfo) -> datetime:
        """Return the wall time in the home's zone."""
        return datetime.fromtimestamp(self.wall_ns / SECOND, zone)

    def isoformat(self) -> str:
        """Return the wall time as RFC 3339 in UTC, to the millisecond."""
        return (
            datetime.fromtimestamp(self.wall_ns / SECOND, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
