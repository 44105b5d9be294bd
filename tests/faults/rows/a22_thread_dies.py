"""A22: a task or a thread of ours dies. Promise: the process ends within 5 s, for every one of them, and says of what."""

import time

from tests.faults.broken import breaks
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A22", "a task or thread dies", "the process ends within 5 s, for every one", minutes=2)
PARTS = ("store", "watchdog", "dial", "link", "tick", "look", "http", "reload")


def run(lab: Lab, size: Size) -> list[Figure]:
    took, told = {}, 0
    # The quick form leaves to the tests of the daemon what they do part by part.
    parts = PARTS[-1:] if size.quick else PARTS
    for part in parts:
        daemon = lab.daemon(start=False)  # a new one each time: three crashes of one would be a loop
        due = breaks(daemon, part)
        lab.home(daemon)
        due.touch()
        lab.air.says(10.0)  # something to write, for the writer
        if part == "dial":
            lab.broker.kill()
            lab.broker.start()
        began = time.monotonic()
        if part == "reload":
            daemon.signal(1)
        lab.took(lambda: daemon.ended, 30)
        took[part] = time.monotonic() - began
        daemon.kill()
        due.unlink()
        daemon.start()
        told += "broken on purpose" in daemon.part("last run").get("detail", "")
        daemon.stop()
    slowest = max(took, key=took.get)
    return [
        at_most(f"the process ended after (slowest: {slowest})", took[slowest], "s", 5.0),
        exactly("the next start says of what", told, f"of {len(parts)}", len(parts)),
    ]
