"""D14: every thread that answers questions hangs for ever. Promise: control goes on, no decision is missed, and it still ends by order."""

import contextlib
import threading
import time
import urllib.request

from tests.faults.broken import breaks
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("D14", "HTTP hangs", "0 missed decisions", minutes=2)
ASKED = ("/v1/decisions", "/v1/appliances/fan/why?at=%231")


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon(start=False)
    due = breaks(daemon, "readers hang")
    lab.home(daemon)
    due.touch()
    for number in range(24):
        threading.Thread(target=_ask, args=(daemon.port, ASKED[number % 2]), daemon=True).start()
    lab.until(lambda: daemon.log().count("waits for ever") >= 8)
    took = []
    for number in range(size.of(200, 10)):
        wanted = "off" if number % 2 == 0 else "high"
        time.sleep(0.55)  # faster than that, commands would be hammering
        lab.air.says(10.0 if wanted == "off" else 50.0)
        took.append(lab.took(lambda wanted=wanted: lab.fan.doing == wanted, 10))
    answers = daemon.health()["status"]
    began = time.monotonic()
    code = daemon.stop(30)
    return [
        exactly("decisions missed", sum(one == float("inf") for one in took), f"of {len(took)}", 0),
        Figure("reading to device, slowest", max(took), "s", "reported", holds=True),
        Figure("health meanwhile", answers, "", "is told", holds=bool(answers)),
        at_most("ends by order after", time.monotonic() - began, "s", 8.0),
        exactly("exit code", code, "", 0),
    ]


def _ask(port: int, path: str) -> None:
    with contextlib.suppress(OSError):  # the daemon has ended, or is full of hanging questions
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120).read()
