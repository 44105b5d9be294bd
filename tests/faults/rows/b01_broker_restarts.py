"""B1: the broker goes away and comes back, again and again, for moments and for long. Promise: back in control within 5 s (p99).

In control means: it hears the sensors and a new reading leads to a command at the device. Outages are 1 s to 1 h at the scale
of 1 to 180; whether one lasts 20 s or an hour makes no difference to the link, which tries every two seconds at most.
"""

import time

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most

ROW = Row("B1", "broker restarts", "in control again within 5 s (p99)", minutes=20)
LONGEST_S = 20.0


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    restarts = size.of(100, 3)
    took = []
    for number in range(restarts):
        lab.broker.kill()
        time.sleep(0.1 * (LONGEST_S / 0.1) ** (number / size.of(restarts - 1, 8)))  # the outage itself
        lab.broker.start()
        began = time.monotonic()
        lab.world.listens()
        wanted = "off" if lab.fan.doing == "high" else "high"
        lab.air.says(10.0 if wanted == "off" else 50.0)
        lab.until(lambda wanted=wanted: lab.fan.doing == wanted, 60)
        took.append(time.monotonic() - began)
    took.sort()
    told = daemon.log().count("no broker")
    return [
        at_least("restarts", restarts, "", restarts),
        at_most(
            "in control again, p99", took[min(len(took) - 1, int(len(took) * 0.99))], "s", size.within(5.0)
        ),
        Figure("in control again, median", took[len(took) // 2], "s", "reported", holds=True),
        at_most("lines in the log an outage", told / restarts, "", 4),
    ]
