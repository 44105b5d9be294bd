"""B27: the computer has no battery for its clock and begins in 1970. Promise: it works, and says that the times are not to be trusted."""

import time

from appliance.adapters.store import Queries
from tests.faults.broken import Clocks
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly

ROW = Row("B27", "boots in 1970", "0 errors, and the history is marked")


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon(start=False)
    clocks = Clocks(daemon)
    clocks.wall(5.0 - time.time())
    lab.home(daemon)
    lab.took(lambda: daemon.part("clock"), 5)
    told = daemon.part("clock").get("state")
    made = daemon.ask("/v1/decisions")["decisions"]
    lab.air.says(10.0)
    lab.until(lambda: lab.fan.doing == "off")
    heater = len(lab.heater.history)
    clocks.wall(0.0)
    lab.took(lambda: not daemon.part("clock"), 5)
    lab.air.says(50.0)
    lab.until(lambda: lab.fan.doing == "high")
    moved = len(lab.heater.history) - heater
    newest = daemon.appliance("fan")["decision"]
    daemon.stop()
    marks = [row.value for row in Queries(daemon.state).events() if row.metric == "clock"]
    daemon.start()
    return [
        exactly("health says so", told, "", "degraded"),
        at_least("decisions of then can be read", len(made), "", 1),
        exactly("they are of then", made[0]["at"][:4], "", "1970"),
        exactly("switches of the heater as the clock is set", moved, "", 0),
        exactly("numbers go on", newest["id"] > made[0]["id"], "", True),
        exactly("marks in the history", len(marks), f"({'; '.join(map(str, marks))})", 2),
        exactly("errors", daemon.log().count("Traceback"), "", 0),
    ]
