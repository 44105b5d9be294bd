"""A4: the daemon stands still (SIGSTOP) while the heater is on. Promise: the plug's own timer ends the load within its lease,
and on its return the daemon commands nothing from what it knew before.
"""

import signal

from tests.faults.lab import LEASE_S, MAX_AGE_S, Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A4", "the daemon stands still", "load off within the lease; nothing from stale data", minutes=6)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    off, stale = [], 0
    for stands_s in size.of((10.0, 60.0, 300.0), (MAX_AGE_S + 2,)):
        lab.room.says(15.0)
        lab.until(lambda: lab.heater.doing == "on", 20)
        daemon.signal(signal.SIGSTOP)
        lab.room.silent = True
        off.append(lab.took(lambda: lab.heater.doing == "off", LEASE_S + 5))
        lab.took(lambda: False, max(0.0, stands_s - off[-1]))
        at = len(lab.world.seen)
        daemon.signal(signal.SIGCONT)
        # What it heard before is too old by now: until somebody speaks, no word may switch the load on.
        lab.took(lambda: False, 3)
        stale += sum(
            lab.heater.wanted(one.said) == "on"
            for one in lab.world.seen[at:]
            if one.topic.endswith("heater/set")
        )
        lab.room.silent = False
    lab.room.says(15.0)
    again = lab.took(lambda: lab.heater.doing == "on", 20)
    return [
        at_most("load off after", max(off), "s", LEASE_S + 1),
        exactly("commands to switch on from stale data", stale, "", 0),
        at_most("in control again, once a sensor speaks", again, "s", size.within(5.0)),
    ]
