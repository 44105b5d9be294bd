"""B3: the network between daemon and broker is cut, and nobody is told: no end, no reset. Promise: told as degraded within 15 s, the
load off within its lease, in control again within 5 s of the network's return. By a proxy that goes silent.
"""

import time

from tests.faults.lab import LEASE_S, Lab
from tests.faults.proxy import Proxy
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.world import now

ROW = Row("B3", "the network is cut", "degraded within 15 s; load off within the lease", minutes=5)


def run(lab: Lab, size: Size) -> list[Figure]:
    noticed, off, again, old = [], [], [], 0
    with Proxy(lab.broker.port) as proxy:
        daemon = lab.home(lab.daemon(lab.config.format(port=proxy.port)))
        for _ in range(size.of(10, 1)):
            proxy.cut, began = True, time.monotonic()
            off.append(lab.took(lambda: lab.heater.doing == "off", LEASE_S + 5))
            lab.took(lambda: daemon.part("broker")["state"] == "down", 25)
            noticed.append(time.monotonic() - began)
            # It is warm by now: only a command of before the cut could still switch it on.
            lab.room.says(22.0)
            at = now()
            proxy.cut, began = False, time.monotonic()
            lab.took(lambda: lab.ready(daemon), 20)
            lab.took(lambda: False, 1.0)
            old += sum(lab.heater.wanted(one.said) == "on" for one in lab.world.commands("heater", at))
            lab.room.says(15.0)
            lab.took(lambda: lab.heater.doing == "on", 20)
            again.append(time.monotonic() - began - 1.0)
    return [
        at_most("told as degraded after", max(noticed), "s", size.within(15.0)),
        at_most("load off after", max(off), "s", LEASE_S + 1),
        at_most("in control again after", max(again), "s", size.within(5.0)),
        exactly("commands of before the cut that came after it", old, "", 0),
        at_least("connections", proxy.connections, "", 2),
    ]
