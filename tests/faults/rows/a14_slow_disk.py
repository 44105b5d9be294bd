"""A14: every sync takes 5 s, as on an SD card that tidies up. Promise: control does not notice (99.9 % of answers of the loop within 50 ms)."""

import threading
import time
import urllib.request

from tests.faults.control import follows, missed, percentile
from tests.faults.disks import strace
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly

ROW = Row("A14", "a sync takes 5 s", "control unaffected: the loop answers within 50 ms, p99.9", minutes=3)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    daemon.stop()
    daemon.prefix = strace("fdatasync,fsync", "delay_exit=5s")
    lab.controlled(daemon.start())
    answered: list[float] = []
    ends = threading.Event()
    asking = threading.Thread(target=ask, args=(f"http://127.0.0.1:{daemon.port}/readyz", answered, ends))
    asking.start()
    took = follows(lab, size.of(100, 10))
    waiting = daemon.metric("store_waiting")
    ends.set()
    asking.join()
    daemon.kill()
    daemon.prefix = ()
    return [
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        at_most("followed after", max(took), "s", 2.0),
        at_least("decisions that waited for the disk", waiting, "", 1),
        at_most(
            f"the loop answers, p99.9 of {len(answered)}",
            percentile(answered, 0.999) * 1e3,
            "ms",
            size.of(50, 500),
        ),
        at_most("the loop answers, p50", percentile(answered, 0.5) * 1e3, "ms", size.of(50, 500)),
    ]


def ask(url: str, answered: list[float], ends: threading.Event) -> None:
    """Ask 50 times a second how it is."""
    while not ends.wait(0.02):
        began = time.monotonic()
        with urllib.request.urlopen(url, timeout=20) as answer:
            answer.read()
        answered.append(time.monotonic() - began)
