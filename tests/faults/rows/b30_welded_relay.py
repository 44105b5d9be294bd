"""B30: the plug says that it is off, and its meter says that the load runs: its relay is welded. Promise: an alarm, and no hammering.

A meter counts from a minute after a change on: bridges send a plug's last power again with its new state. The quick form looks at the
commands only; that alarm is a scenario's, too.
"""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most
from tests.faults.world import now

ROW = Row("B30", "a welded relay", "alarm; at most 3 retries", minutes=2)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    lab.heater.welded = True
    at = now()
    lab.room.says(22.0)
    lab.until(lambda: lab.heater.doing == "off", 20)
    figures = []
    if not size.quick:
        for seconds in range(1, 90):
            lab.world.later(float(seconds), lab.heater.report)
        known = lab.took(lambda: daemon.appliance("heater")["fault"], 90)
        fault = str(daemon.appliance("heater")["fault"])
        figures = [
            at_most("alarm after", known, "s", 65),
            Figure("it says", fault, "", "names the power", "1500 W" in fault),
        ]
    lab.took(lambda: False, 5)
    return [*figures, at_most("commands meanwhile", len(lab.world.commands("heater", at)), "", 4)]
