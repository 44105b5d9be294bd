"""B2: the broker stands still (SIGSTOP): no connection ends, and nothing comes. Promise: told as degraded within 15 s; after its
return in control again, and what waited in it counts as of unknown age.
"""

import time

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B2", "the broker stands still", "degraded within 15 s; in control again within 5 s", minutes=5)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    noticed, again = [], []
    for _ in range(size.of(10, 1)):
        lab.broker.freeze()
        began = time.monotonic()
        lab.took(lambda: daemon.part("broker")["state"] == "down", 25)
        noticed.append(time.monotonic() - began)
        why = str(daemon.part("broker")["detail"])
        lab.broker.thaw()
        began = time.monotonic()
        lab.took(lambda: lab.ready(daemon), 20)
        wanted = "off" if lab.fan.doing == "high" else "high"
        lab.world.listens()
        lab.air.says(10.0 if wanted == "off" else 50.0)
        lab.took(lambda wanted=wanted: lab.fan.doing == wanted, 20)
        again.append(time.monotonic() - began)
    # A command of before waits in the broker as well, and nobody can take it back.
    lab.slack_s = 12.0
    heated = 0
    for _ in range(size.of(10, 1)):
        # Not long enough for the connection to end: what the thermometer said meanwhile waits in the broker's sockets.
        lab.room.says(15.0)
        lab.until(lambda: lab.heater.doing == "on", 20)
        lab.took(lambda: False, 4.5)  # a heartbeat is on its way or back
        lab.broker.freeze()
        lab.took(lambda: False, 10.0)
        lab.room.silent = True
        lab.broker.thaw()
        lab.took(lambda: False, 3.0)
        heated += lab.heater.doing == "on"
        lab.room.silent = False
    return [
        exactly("heating on from what had waited 10 s", heated, "times", 0),
        at_most("told as degraded after", max(noticed), "s", size.within(15.0)),
        at_most("in control again after", max(again), "s", size.within(5.0)),
        exactly("the reason names it", "half-open" in why, "", True),
    ]
