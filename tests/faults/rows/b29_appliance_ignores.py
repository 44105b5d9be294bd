"""B29: the plug hears its commands and does not obey. Promise: known as a fault within 10 s, after three tries, and then let be."""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly
from tests.faults.world import now

ROW = Row("B29", "the appliance ignores its command", "fault within 10 s, three tries", minutes=2)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon()
    lab.room.says(22.0)
    known, tries = [], []
    for mode in size.of(("stuck", "deaf", "stuck", "deaf"), ("stuck",)):
        lab.heater.mode = "obeys"
        lab.room.says(22.0)
        lab.until(lambda: lab.heater.doing == "off" and daemon.doing("heater") == "off", 30)
        lab.took(lambda: False, 4)
        lab.heater.mode = mode
        at = now()
        lab.room.says(15.0)
        lab.until(lambda at=at: lab.world.commands("heater", at), 5)
        known.append(lab.took(lambda: daemon.part("devices").get("state") == "degraded", 15))
        lab.took(lambda: False, 6)  # more tries would come now
        tries.append(len(lab.world.commands("heater", at)))
    notices = daemon.log().count("was told on 3 times")
    return [
        at_most("fault known after", max(known), "s", size.within(10)),
        exactly("tries", max(tries), "", 3),
        exactly("told", notices, "times", len(known)),
    ]
