"""B13: a payload of 256 MB, at a broker that has no limit of its own. Promise: never held: memory grows by 5 MiB at most, it is counted,
and the sensors are heard on.
"""

import subprocess

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most

ROW = Row("B13", "a payload of 256 MB", "memory + 5 MiB at most; control goes on", minutes=2, alone=True)
MIB = 1 << 20


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    sent = lab.folder / "huge"
    with sent.open("wb") as file:
        file.truncate(size.of(255, 64) * MIB)
    daemon.reset_peak()
    before = daemon.peak_mib()
    times = size.of(3, 1)
    for _ in range(times):
        subprocess.run(
            ["mosquitto_pub", "-p", str(lab.broker.port), "-t", "zigbee2mqtt/air", "-f", str(sent), "-q", "1"],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    counted = lab.took(lambda: daemon.metric("dropped_total", reason="too_large") >= times, 60)
    goal = "off" if lab.fan.doing == "high" else "high"
    lab.world.listens(60)
    lab.air.says(10.0 if goal == "off" else 50.0)
    again = lab.took(lambda: lab.fan.doing == goal, 60)
    return [
        at_most("memory grew by", daemon.peak_mib() - before, "MiB", 5),
        at_least(
            "payloads counted as too large", daemon.metric("dropped_total", reason="too_large"), "", times
        ),
        Figure("counted after", counted, "s", "reported", holds=True),
        at_most("in control after", again, "s", size.within(10)),
    ]
