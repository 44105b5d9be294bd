"""A5: the control loop hangs: it waits for what does not come, or computes without an end. Promise: dead in 30 s, control in 35 s.

No service manager is there but this row, which starts the daemon again after 2 s as the shipped unit does: what ends the process are the
daemon's own watchdogs. The heater was told to heat for a lease only, so meanwhile it ends by itself.
"""

import os
import time
from pathlib import Path

from tests.faults.broken import breaks
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A5", "the loop hangs", "dead within 30 s, in control within 35 s", minutes=2)
RESTART_S = 2.0


def run(lab: Lab, size: Size) -> list[Figure]:
    figures = []
    for way in ["waits", *([] if size.quick else ["computes"])]:
        daemon = lab.daemon(start=False)
        due = breaks(daemon, f"loop {way}")
        lab.home(daemon)
        due.touch()
        lab.air.says(51.0)  # the loop turns once more, and never again
        began, computed = time.monotonic(), 0.0
        used = _processor_s(daemon.pid)
        while not daemon.ended and time.monotonic() - began < 300:
            computed = max(computed, _processor_s(daemon.pid) - used)
            time.sleep(0.05)
        dead = time.monotonic() - began
        # A loop that computes is ended by the processor's time: on a machine that has none to give, it gets less done in a second.
        share = 1.0 if way == "waits" else max(min(computed / dead, 1.0), 0.01)
        daemon.kill()
        cooled = lab.until(lambda: lab.heater.doing == "off", 30)
        due.unlink()
        time.sleep(RESTART_S)
        daemon.start()
        lab.took(lambda: lab.heater.doing == "on", 30)
        back = time.monotonic() - began - dead - cooled
        figures += [
            at_most(f"{way}: dead after", dead * share, "s", 30.0),
            at_most(f"{way}: in control again after", back + dead * share, "s", 35.0),
            Figure(f"{way}: by the clock", dead, "s", f"reported, with {share:.0%} of a core", holds=True),
            exactly(f"{way}: the stack is told", "most recent call first" in daemon.log(), "", True),
            Figure(f"{way}: next start", daemon.part("last run")["detail"][:160], "", "says why", holds=True),
        ]
        daemon.stop()
    return figures


def _processor_s(pid: int) -> float:
    """Return how many seconds of the processor a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
