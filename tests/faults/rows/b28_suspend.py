"""B28: the computer sleeps and wakes. Promise: what was heard before is stale at once, and nothing runs on it.

Boot time leaps under the real daemon, as it does in a sleep; its time awake does not. The sensors fall silent just before, so that
nothing but the leap can tell.
"""

import time

from tests.faults.broken import Clocks
from tests.faults.lab import MAX_AGE_S, Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B28", "suspend", "safe within 2 s of waking")
SLEEPS_S = 3600.0


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon(start=False)
    clocks = Clocks(daemon)
    lab.home(daemon)
    off, back = [], []
    for number in range(size.of(10, 1)):
        lab.room.says(15.0)
        lab.air.says(50.0)
        lab.until(lambda: lab.heater.doing == "on" and lab.fan.doing == "high", 30)
        lab.room.says(15.0)
        lab.room.silent = lab.air.silent = True
        time.sleep(2.0)  # nothing that they said is on its way any more: that would be heard after waking
        clocks.boot((number + 1) * SLEEPS_S)
        woke = time.monotonic()
        lab.took(lambda: lab.heater.doing == "off" and lab.fan.doing == "off", MAX_AGE_S + 10)
        off.append(time.monotonic() - woke)
        lab.room.silent = lab.air.silent = False
        began = time.monotonic()
        lab.room.says(15.0)
        lab.took(lambda: lab.heater.doing == "on", 30)
        back.append(time.monotonic() - began)
    return [
        at_most("heater and fan off after waking", max(off), "s", 2.0),
        at_most("heated again once it is heard", max(back), "s", 5.0),
        exactly("still alive, nothing ended it", daemon.ended, "", False),
        exactly("errors", daemon.log().count("Traceback"), "", 0),
    ]
