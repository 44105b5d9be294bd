"""A17: another program holds the decisions file locked. Promise: control does not notice, health says so, all is recorded afterwards."""

import sqlite3
import time

from appliance.adapters.store import schema
from tests.faults.control import follow, missed
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly
from tests.faults.rows.a10_disk_full import kept_again

ROW = Row("A17", "the file is locked by another program", "control unaffected for 10 min", minutes=11)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    other = sqlite3.connect(daemon.state / schema.DECISIONS, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ends = time.monotonic() + size.of(600, 8)
    took = []
    while time.monotonic() < ends:
        took.append(follow(lab, 2.0))
        time.sleep(size.of(2.0, 0.6))
    said = daemon.part("store").get("state")
    other.execute("ROLLBACK")
    other.close()
    return [
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        at_most("followed after", max(took), "s", 2.0),
        exactly("health", str(said), "", "degraded"),
        at_most("kept again after", kept_again(lab, daemon), "s", 10.0),
        exactly("decisions that were never recorded", daemon.metric("decisions_lost_total"), "", 0),
    ]
