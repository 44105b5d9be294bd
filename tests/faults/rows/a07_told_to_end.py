"""A7: the daemon is told to end (SIGTERM), as at a reboot. Promise: it ends well within 5 s, leaves no log behind, and the lease ends the load."""

import time

from tests.faults.lab import LEASE_S, Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A7", "SIGTERM", "a clean end within 5 s; the load off by its lease", minutes=3)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    ends: list[float] = []
    wrong = left = 0
    rounds = size.of(50, 3)
    for number in range(rounds):
        time.sleep(number % 5 * 0.1)
        began = time.monotonic()
        wrong += daemon.stop() != 0
        ends.append(time.monotonic() - began)
        left += any(daemon.state.glob("*-wal"))
        if number < rounds - 1:
            daemon.start()
            lab.until(lambda: daemon.doing("heater") == "on")
    off = lab.took(lambda: lab.heater.doing == "off", LEASE_S + 5)
    return [
        at_most("ended after", max(ends), "s", 5.0),
        exactly("ended otherwise than in order", wrong, f"of {rounds}", 0),
        exactly("left a log that is not copied into its file", left, f"of {rounds}", 0),
        at_most("the heater off after", off, "s", LEASE_S + 1),
    ]
