"""A6: a config crashes the daemon at every start, in a cold room. Promise: safe mode within 15 s of the third crash, never heated blindly.

The row starts the daemon again after 2 s as the shipped unit does. Safe mode takes the last config under which control went round (here for a second
instead of five minutes), without models, and heats by its rules.
"""

import json
import time

from tests.faults.broken import breaks
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A6", "a crash loop", "safe mode within 15 s of the third crash, the heater off until then")
RESTART_S = 2.0
POISON = """
[appliances.fan.rules.poison]
when = "pm2_5 > 9000"
at_least = "high"
because = "it breaks whoever holds it"
"""


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon(start=False)
    breaks(daemon, "rule", GOOD_AFTER_S="1")
    daemon.start()
    lab.room.says(21.0)
    lab.air.says(10.0)
    lab.until(lambda: daemon.doing("heater") == "off" and daemon.doing("fan") == "off")
    lab.until((daemon.state / "last_good.json").exists)
    daemon.stop()
    good = daemon.config.read_text("utf-8")
    figures = []
    for round_ in range(size.of(5, 1)):
        daemon.config.write_text(good + POISON, "utf-8")
        lab.room.says(15.0)
        codes, heated = [], 0
        for _ in range(3):
            daemon.start(wait=False)
            lab.until(lambda: daemon.ended, 30)
            codes.append(daemon.process.returncode)
            heated += lab.heater.doing == "on"
            crashed = time.monotonic()
            time.sleep(RESTART_S)
        daemon.start()
        lab.until(lambda: bool(daemon.part("safe mode")), 30)
        safe_s = time.monotonic() - crashed
        lab.until(lambda: lab.heater.doing == "on", 30)
        control_s = time.monotonic() - crashed
        told = lab.took(lambda: json.loads(lab.broker.retained("appliance/mode"))["mode"] == "safe", 5)
        daemon.config.write_text(good, "utf-8")
        lab.room.says(21.0)
        lab.until(lambda: lab.heater.doing == "off", 30)
        ended = daemon.ask("/v1/safe-mode", "DELETE")["ended"]
        lab.until(lambda: not daemon.part("safe mode") and not daemon.part("config"), 30)
        figures += [
            exactly(f"{round_}: ended by a signal", sum(code < 0 for code in codes), "of 3", 3),
            exactly(f"{round_}: heater on while it crashed", heated, "times", 0),
            at_most(f"{round_}: safe mode after", safe_s, "s", 15.0),
            at_most(f"{round_}: heated by its rules after", control_s, "s", 20.0),
            at_most(f"{round_}: told over MQTT after", told, "s", 2.0),
            exactly(f"{round_}: ended by command", ended, "", True),
        ]
        daemon.stop()
    return figures
