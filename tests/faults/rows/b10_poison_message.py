"""B10: a message on which the decoder ends the process. Promise: it is looked at twice at most, and then the home is under control again.

The decoder of the row's daemon has a fault put in: it ends the process at a certain payload. One such message is sent live with QoS 1:
sessions are clean, so the broker never hands it out again. One is retained: the broker hands it out at every start. (Whoever hears a retained
message live as well as it is published, looks at it once more: it is not noted then.)
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from tests.adapters.conftest import ROOT
from tests.faults.handle import Handle
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B10", "a message that ends the process", "looked at twice at most", minutes=1)
FAULT = """
import os
from appliance.core import payloads

whole = payloads.Decoder.decode

def decode(self, message, catalogue):
    if b"POISON" in message.payload:
        with open(os.environ["POISON"], "a") as file:
            file.write(message.topic + "\\n")
        os._exit(139)
    return whole(self, message, catalogue)

payloads.Decoder.decode = decode
"""


def run(lab: Lab, size: Size) -> list[Figure]:
    eaten = lab.folder / "eaten"
    (lab.folder / "sitecustomize.py").write_text(FAULT)
    daemon = lab.daemon(start=False)
    daemon.environment = {"PYTHONPATH": f"{lab.folder}:{ROOT}", "POISON": str(eaten)}
    daemon.start()
    lab.home(daemon)
    live = _until_in_control(lab, daemon, lambda: lab.broker.publish("zigbee2mqtt/one", "POISON", "-q", "1"))
    figures = [at_most("live, QoS 1: looked at", _times(eaten, "one"), "times", 2)]
    daemon.stop()
    lab.broker.publish("zigbee2mqtt/two", "POISON", "-q", "1", "-r")
    starts = _until_in_control(lab, daemon, daemon.start)
    lab.broker.kill()  # what was learnt outlives the session, and the daemon's end
    daemon.kill()
    lab.broker.start()
    lab.world.listens()
    lab.broker.publish("zigbee2mqtt/two", "POISON", "-q", "1", "-r")
    daemon.start()
    lab.until(lambda: lab.ready(daemon), 20)
    return [
        *figures,
        at_most("retained: looked at", _times(eaten, "two"), "times", 2),
        at_most("starts until in control, live", live, "", 2),
        at_most("starts until in control, retained", starts, "", 3),
        exactly("lines in the log about it", daemon.log().count("is left alone"), "", 2),
    ]


def _until_in_control(lab: Lab, daemon: Handle, send: Callable[[], object]) -> int:
    """Send, and start it anew as a service manager does, until it stays; return how often."""
    before = daemon.starts
    with contextlib.suppress(AssertionError):  # it may end as soon as it is up
        send()
    lab.until(lambda: daemon.ended, 10)
    while daemon.starts < before + 8:
        daemon.start(wait=False)
        lab.took(lambda: daemon.ended or lab.ready(daemon), 10)
        if lab.took(lambda: daemon.ended, 1.0) > 1.0:
            break  # it stays
    return daemon.starts - before


def _times(eaten: Path, name: str) -> int:
    return eaten.read_text().count(name) if eaten.exists() else 0
