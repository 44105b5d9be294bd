"""Owns looking at the computer's clocks: one that was never set, one that is set while we run, and a computer that slept.

Durations and ages rest on boot time, which none of these moves; what rests on the wall clock is the time of day in rules, and every date
that is shown. Never in here: reading a clock, or what a time of day decides.
"""

import logging
from typing import NamedTuple

from appliance.adapters.clock import SystemClock
from appliance.adapters.http.port import PartView
from appliance.core.clock import SECOND

log = logging.getLogger(__name__)

EARLIEST_NS = 1_735_689_600 * SECOND
"""2025-01-01: before any release, so a clock that shows less was never set (a computer without a battery for it begins in 1970)."""
STEP_NS = SECOND
"""Between two looks the wall clock may differ from boot time by drift and slewing, which are far less than this."""


class Noticed(NamedTuple):
    """What a look found: words for the history, and whether the computer slept since the last one."""

    marks: tuple[str, ...]
    slept: bool


class Timekeeping:
    """The clocks as they were when somebody looked last."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._offset_ns: int | None = None
        self._slept_ns = clock.slept_ns()
        self._unset = False

    def look(self) -> Noticed:
        """Look at the clocks; call it every second or so."""
        now = self._clock()
        slept_ns = self._clock.slept_ns()
        slept = slept_ns - self._slept_ns > STEP_NS
        self._slept_ns = slept_ns
        offset_ns = now.wall_ns - now.boottime_ns
        stepped_ns = 0 if self._offset_ns is None else offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        marks = []
        if abs(stepped_ns) > STEP_NS:
            marks.append(f"set by {stepped_ns / SECOND:+.3f} s")
            log.warning("the computer's clock was %s; timers and ages do not care", marks[-1])
        unset = now.wall_ns < EARLIEST_NS
        if unset and not self._unset:
            marks.append("unset")
            log.warning("the computer's clock was never set: it shows %s", now.isoformat())
        self._unset = unset
        if slept:
            log.info("the computer slept: what was heard before is judged by its age anew")
        return Noticed(tuple(marks), slept)

    def parts(self) -> list[PartView]:
        """Return what health says of the clocks: nothing where they are well."""
        if not self._unset:
            return []
        what = f"it was never set and shows {self._clock().isoformat()}: times of day and dates are wrong until it is"
        return [PartView("clock", "degraded", what)]
