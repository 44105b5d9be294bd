"""A5: the control loop hangs: it waits for what does not come, or computes without an end. Promise: dead in 30 s, control in 35 s.

No service manager is there but this row, which starts the daemon again after 2 s as the shipped unit does: what ends the process are the
daemon's own watchdogs. The heater was told to heat for a lease only, so meanwhile it ends by itself.
"""

import time

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
        began = time.monotonic()
        lab.took(lambda daemon=daemon: daemon.ended, 60)
        dead = time.monotonic() - began
        daemon.kill()
        lab.until(lambda: lab.heater.doing == "off", 30)
        due.unlink()
        time.sleep(RESTART_S)
        daemon.start()
        lab.took(lambda: lab.heater.doing == "on", 30)
        figures += [
            at_most(f"{way}: dead after", dead, "s", 30.0),
            at_most(f"{way}: in control again after", time.monotonic() - began, "s", 35.0),
            exactly(f"{way}: the stack is told", "most recent call first" in daemon.log(), "", True),
            Figure(f"{way}: next start", daemon.part("last run")["detail"][:160], "", "says why", holds=True),
        ]
        daemon.stop()
    return figures
