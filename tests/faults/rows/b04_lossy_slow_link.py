"""B4: one in five packets is lost and each way takes 2 s. Promise: it works, and nothing switches more often for it.

To a TCP connection a lost packet is a stall and never a gap or another order, so loss is made as stalls (`tests.faults.proxy`).
"""

from tests.faults.lab import Lab
from tests.faults.proxy import Proxy
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly

ROW = Row("B4", "20 % loss, 2 s each way", "works; 0 extra switches", minutes=12)
DELAY_S = 2.0


def run(lab: Lab, size: Size) -> list[Figure]:
    # As shipped: a lease of a few seconds would run out on such a link.
    lab.max_age_s, lab.lease_s = 120.0, 600.0
    lab.slack_s = 2 * DELAY_S + 3 * 1.4
    took, wanted = [], 0
    with Proxy(lab.broker.port, delay_s=DELAY_S, loss=0.2) as proxy:
        daemon = lab.home(lab.daemon(lab.config.format(port=proxy.port)))
        before = len(lab.fan.history)
        for _ in range(size.of(40, 2)):
            goal = "off" if lab.fan.doing == "high" else "high"
            lab.air.says(10.0 if goal == "off" else 50.0)
            took.append(lab.took(lambda goal=goal: lab.fan.doing == goal, 40))
            wanted += 1
            lab.took(lambda: daemon.doing("fan") == goal, 20)
        sessions = proxy.connections
        override = daemon.appliance("fan")["override"]
    return [
        exactly("switches beyond those asked for", len(lab.fan.history) - before - wanted, "", 0),
        exactly("heater switched", len(lab.heater.history) - 2, "times", 0),
        exactly("hands that were none", int(override is not None), "", 0),
        exactly("connections", sessions, "", 1),
        at_least("stalls", proxy.stalls, "", 5),
        at_most("from reading to the device", max(took), "s", size.within(2 * DELAY_S + 8)),
    ]
