"""B14: payloads that are broken: NaN, 1e400, thousands of digits or levels, UTF-16, surrogates, a million mutations of real ones.

Promise: no crash, and no number that is none is ever taken for a reading. The mutations go to the decoder, the corpus of the nastiest
also to a running daemon.
"""

from math import isfinite

from appliance.errors import PayloadError
from tests.core.payloads.mutation import DECODER, NASTY, mutated
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly

ROW = Row("B14", "a million broken payloads", "0 crashes, 0 non-finite readings", minutes=5, alone=True)


def run(lab: Lab, size: Size) -> list[Figure]:
    cases = size.of(1_000_000, 10_000)
    crashes = nonsense = readings = 0
    for message, catalogue in mutated(cases):
        try:
            decoded = DECODER.decode(message, catalogue)
        except PayloadError:
            continue
        except Exception:
            crashes += 1
            continue
        readings += len(decoded.readings)
        nonsense += sum(
            isinstance(one.value, bool) or not isfinite(one.value)
            for one in decoded.readings
            if not isinstance(one.value, str)
        )
        nonsense += sum(isinstance(one.value, str) for one in decoded.readings)
    daemon = lab.home()
    before = daemon.metric("messages_total")
    for payload in NASTY:
        lab.world.publish(lab.air.topic, payload)
        lab.world.publish("zigbee2mqtt/heater", payload)
        lab.world.publish("zigbee2mqtt/bridge/devices", payload)
        lab.world.publish("appliance/fan/set", payload)
    lab.took(lambda: daemon.metric("messages_total") - before >= 3 * len(NASTY), 15)
    goal = "off" if lab.fan.doing == "high" else "high"
    lab.air.says(10.0 if goal == "off" else 50.0)
    heard = lab.took(lambda: lab.fan.doing == goal, 15)
    return [
        at_least("cases", cases, "", cases),
        exactly("crashes", crashes, "", 0),
        exactly("readings that are no finite number", nonsense, "", 0),
        at_least("readings that mutations left whole", readings, "", cases / 20),
        Figure("a running daemon is in control after the corpus", heard, "s", "at most 15", heard < 15),
        exactly("starts of it", daemon.starts, "", 1),
    ]
