"""A20: four programs take all that they get of the one core that the daemon has. Promise: rules decide within 200 ms (p99).

The daemon has the precedence that the shipped unit gives it. Sensors speak 100 times a second meanwhile, and a model looks at each reading: none of it
is left out, since the daemon needs so little that its turn comes soon. How it is without that precedence is reported.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.chorus import singing
from tests.faults.control import PACE_S, follow, percentile
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, Unavailable, at_least, at_most
from tests.faults.world import now
from tests.house.test_deploy import SETTINGS

ROW = Row(
    "A20", "the processor is busy with four others", "rules decide within 200 ms (p99)", minutes=4, alone=True
)
OTHERS = 4
CLEANER = """
[appliances.cleaner]
profile = "air_purifier"
device = "zigbee2mqtt/cleaner"
channels.pm2_5 = "zigbee2mqtt/p0_pm25"
channels.co2 = "zigbee2mqtt/p0_co2"
channels.temperature = "zigbee2mqtt/p0_temperature"
channels.humidity = "zigbee2mqtt/p0_humidity"
"""


def run(lab: Lab, size: Size) -> list[Figure]:
    lab.config += CLEANER
    daemon = lab.home()
    core = max(os.sched_getaffinity(0))
    times = size.of(300, 20)
    with singing(lab.broker.port, 100, 1), busy(core):
        for task in tasks(daemon.pid):
            os.sched_setaffinity(task, {core})
        without = [reaction(lab) for _ in range(times // 3)]
        try:
            for task in tasks(daemon.pid):
                os.setpriority(os.PRIO_PROCESS, task, int(SETTINGS["Nice"]))
        except PermissionError:
            raise Unavailable("nobody here may give a process precedence") from None
        took = [reaction(lab) for _ in range(times)]
        heard, began = daemon.metric("messages_total"), time.monotonic()
        time.sleep(2)
        heard = (daemon.metric("messages_total") - heard) / (time.monotonic() - began)
    return [
        Figure("without precedence, p99", percentile(without, 0.99) * 1e3, "ms", "reported", holds=True),
        Figure("decided within, median", percentile(took, 0.5) * 1e3, "ms", "reported", holds=True),
        at_most("decided within, p99", percentile(took, 0.99) * 1e3, "ms", size.within(0.2) * 1e3),
        at_least("heard meanwhile", heard, "messages/s", 90),
    ]


def tasks(pid: int) -> list[int]:
    """Return the threads of a process."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]


def reaction(lab: Lab) -> float:
    """Change the air; return after how many seconds the fan was commanded."""
    began = now()
    follow(lab, 5.0)
    commands = lab.world.commands("fan", began)
    time.sleep(max(0.0, began + PACE_S - now()))
    return commands[0].at - began if commands else float("inf")


@contextlib.contextmanager
def busy(core: int) -> Iterator[None]:
    """Keep a core busy until the end."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(OTHERS)]
    try:
        for one in others:
            os.sched_setaffinity(one.pid, {core})
        yield
        assert all(one.poll() is None for one in others)
    finally:
        for one in others:
            one.kill()
            one.wait()
