"""B7: another client uses our client id, and comes back at once whenever it is thrown out. Promise: we come back at most once in
5 s once the war is plain, say what it looks like, and are in control as soon as it ends.
"""

import time
from itertools import pairwise

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most

ROW = Row("B7", "another client has our id", "at most 1 reconnect in 5 s, and told")


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon(
        lab.config.format(port=lab.broker.port).replace("[store]", 'client_id = "same"\n[store]')
    )
    lab.home(daemon)
    rival = Client(CallbackAPIVersion.VERSION2, client_id="same")
    rival.suppress_exceptions = True
    rival.reconnect_delay_set(1, 1)
    thrown_out: list[float] = []
    rival.on_disconnect = lambda *_: thrown_out.append(time.monotonic())
    rival.connect("127.0.0.1", lab.broker.port)
    rival.loop_start()
    lasts_s = size.of(120, 16)
    lab.took(lambda: False, lasts_s)
    fights = list(thrown_out)
    said = daemon.log().count("another program")
    told = lab.took(lambda: "another program" in str(daemon.part("broker").get("detail")), 10)
    rival.on_disconnect = None
    rival.disconnect()
    rival.loop_stop()
    began = time.monotonic()
    goal = "off" if lab.fan.doing == "high" else "high"
    lab.air.says(10.0 if goal == "off" else 50.0)
    lab.took(lambda: lab.fan.doing == goal, 20)
    again = time.monotonic() - began
    pauses = sorted(later - before for before, later in pairwise(fights[1:]))
    return [
        at_least("times that we came back", len(fights), "", 2),
        at_least("shortest pause, once it is plain", pauses[0] if pauses else float("inf"), "s", 4.9),
        at_most("lines in the log about it", said, "", 1),
        at_least("lines in the log about it", said, "", 1),
        at_most("told in health after", told, "s", size.within(10)),
        at_most("in control after its end", again, "s", size.within(6.0)),
    ]
