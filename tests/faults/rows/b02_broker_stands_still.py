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
    return [
        at_most("told as degraded after", max(noticed), "s", size.within(15.0)),
        at_most("in control again after", max(again), "s", size.within(5.0)),
        exactly("the reason names it", "half-open" in why, "", True),
    ]
