"""B6: the broker comes back and knows nothing: no session, no subscription, no retained message. Promise: all is subscribed
again, and what it has to tell (that it is there, what it decided) is published again, within 5 s.
"""

import time

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B6", "the broker forgets us", "subscribed again, birth and state told again within 5 s")


def run(lab: Lab, size: Size) -> list[Figure]:
    lab.home()
    took, missing = [], 0
    for _ in range(size.of(20, 1)):
        lab.broker.kill()
        lab.broker.start()  # it keeps nothing: its persistence is off
        began = time.monotonic()
        lab.world.listens()
        goal = "off" if lab.fan.doing == "high" else "high"
        lab.air.says(10.0 if goal == "off" else 50.0)
        lab.took(lambda goal=goal: lab.fan.doing == goal, 20)
        took.append(time.monotonic() - began)
        for topic in ("appliance/status", "appliance/fan/decision"):
            missing += not lab.broker.retained(topic)
    return [
        at_most("in control again after", max(took), "s", size.within(5.0)),
        exactly("retained messages of ours that were missing", missing, "", 0),
    ]
