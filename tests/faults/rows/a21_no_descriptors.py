"""A21: no file descriptor is left, since somebody holds connections open. Promise: no decision is missed; the page is back when they go."""

import contextlib
import resource
import socket
from pathlib import Path

from tests.faults.control import follows, missed
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly
from tests.faults.rows.a10_disk_full import kept_again

ROW = Row("A21", "no file descriptor is left", "0 missed decisions", minutes=2)
SPARE = 3


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    took = []
    with contextlib.ExitStack() as held:
        used = max(int(path.name) for path in Path(f"/proc/{daemon.pid}/fd").iterdir())
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + SPARE, used + 100))
        for _ in range(SPARE + 20):
            held.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 5))
        took += follows(lab, size.of(60, 8))
    back = lab.took(lambda: lab.ready(daemon), 30)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 100, used + 100))
    return [
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        at_most("followed after", max(took), "s", 2.0),
        at_most("the page answers again after", back, "s", 30.0),
        at_most("kept again after", kept_again(lab, daemon), "s", 10.0),
    ]
