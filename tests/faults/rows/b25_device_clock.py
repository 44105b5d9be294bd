"""B25: a sensor's own clock is a year behind, a year ahead, or leaps between them. Promise: no effect on how fresh its readings are."""

import time
from datetime import UTC, datetime, timedelta

from tests.faults.lab import MAX_AGE_S, Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B25", "a device's clock is wrong", "no effect on freshness")
YEAR = timedelta(days=365)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    lab.room.silent = True
    figures = []
    ways = {"leaping": [YEAR, -YEAR], "a year behind": [-YEAR], "a year ahead": [YEAR]}
    for name, offsets in list(ways.items())[: size.of(3, 1)]:
        lab.until(lambda: _speak(lab, offsets[0]) or lab.heater.doing == "on", 20)
        switches = len(lab.heater.history)
        for number in range(size.of(60, 10)):
            _speak(lab, offsets[number // 2 % len(offsets)], 15.0 + number % 2 / 10)
            time.sleep(1.0)  # the sensor's own pace
        believed = len(lab.heater.history) == switches
        since = time.monotonic() - 1.0
        lab.took(lambda: lab.heater.doing == "off", MAX_AGE_S + 10)
        figures += [
            exactly(f"{name}: believed while it speaks", believed, "", True),
            at_most(f"{name}: off after its silence", time.monotonic() - since, "s", MAX_AGE_S + 2),
        ]
    lab.room.silent = False
    return [*figures, exactly("errors", daemon.log().count("Traceback"), "", 0)]


def _speak(lab: Lab, offset: timedelta, value: float = 14.8) -> None:
    stamp = (datetime.now(UTC) + offset).isoformat(timespec="milliseconds")
    lab.world.publish(lab.room.topic, {"temperature": value, "last_seen": stamp})
