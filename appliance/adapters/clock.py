"""Owns reading the computer's clocks; everybody else is handed an `Instant`.

Never in here: timers or waiting.
"""

import time
from pathlib import Path

from appliance.core.clock import Instant


class SystemClock:
    """The clocks of this computer. `speed` other than 1 lets the core's time run faster, for a demonstration.

    `boot_id` is the kernel's; boot time is CLOCK_BOOTTIME, which runs on in suspend; `wall_ns`: what the
    wall clock shall have shown at the moment of creation, from which on both are scaled.
    """

    def __init__(self, *, speed: float = 1.0, wall_ns: int | None = None) -> None:
        self.speed = speed
        try:
            self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            # Without Linux' boot id every start counts as a new boot: timers then hold longer, never shorter.
            self._boot_id = f"start-{time.time_ns()}"
        self._boot_origin = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._wall_origin = time.time_ns() if wall_ns is None else wall_ns
        self._own = speed != 1.0 or wall_ns is not None

    def __call__(self) -> Instant:
        """Return this moment."""
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if not self._own:
            return Instant(self._boot_id, boot_ns, time.time_ns())
        passed = round((boot_ns - self._boot_origin) * self.speed)
        return Instant(self._boot_id, self._boot_origin + passed, self._wall_origin + passed)

    def slept_ns(self) -> int:
        """Return for how long this computer has slept since its boot: by how much boot time is ahead of its time awake."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()

    def seconds_until(self, boottime_ns: int) -> float:
        """Return the real seconds until the scaled clock shows `boottime_ns`; negative where it has passed."""
        return (boottime_ns - self().boottime_ns) / 1e9 / self.speed
