"""B18: the thermometer falls silent while the heater is on. Promise: off within the age that a reading is believed for, and 2 s."""

import time

from tests.faults.lab import MAX_AGE_S, Lab
from tests.faults.row import Figure, Row, Size, at_most

ROW = Row("B18", "a sensor falls silent", "safe state within its age and 2 s")


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    off, told = [], []
    for _ in range(size.of(10, 1)):
        lab.room.says(15.0)
        lab.until(lambda: lab.heater.doing == "on", 20)
        lab.room.says(15.0)
        lab.room.silent, since = True, time.monotonic()
        lab.took(lambda: lab.heater.doing == "off", MAX_AGE_S + 10)
        off.append(time.monotonic() - since)
        told.append("blind" in daemon.appliance("heater")["decision"]["source"])
        lab.room.silent = False
    return [
        at_most("off after", max(off), "s", size.within(MAX_AGE_S + 2)),
        Figure("the reason is told", sum(told), f"of {len(told)}", "every time", all(told)),
    ]
