"""B26: the computer's clock is set: a day back, a day on, seconds back, over the end of 32 bits. Promise: no switch comes early or late.

The daemon is the real one, with its wall clock turned under it; boot time runs on. The change to summer time is no step of this clock: that
is scenario `clock_change_in_spring`.
"""

import time

from tests.faults.broken import Clocks
from tests.faults.lab import MAX_AGE_S, Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B26", "the wall clock is set", "0 early or late switches", minutes=3)
DAY = 86_400.0
END_OF_32_BITS = 2**31


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon(start=False)
    clocks = Clocks(daemon)
    lab.home(daemon)
    time.sleep(
        11.0
    )  # for ten seconds after the link came up an unchanged reading counts as a cache that is sent again
    lab.until(lambda: lab.heater.doing == "on")
    word_s = size.of(20, 5)
    steps = {
        "a day back": lambda: -DAY,
        "a day on": lambda: DAY,
        "5 s back": lambda: DAY - 5,
        "over 2038": lambda: END_OF_32_BITS - time.time() - word_s / 2,
        "right again": lambda: 0.0,
    }
    if size.quick:
        steps = {"over 2038": steps["over 2038"]}
    heater, late, early = len(lab.heater.history), [], 0
    for offset in steps.values():
        began = time.monotonic()
        said = daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": word_s})
        assert said["action"] == "low"
        lab.until(lambda: lab.fan.doing == "low")
        clocks.wall(offset())
        lab.took(lambda: lab.fan.doing == "high", word_s + 20)
        took = time.monotonic() - began
        early += took < word_s
        late.append(took - word_s)
    moved = len(lab.heater.history) - heater
    lab.room.says(15.0)
    lab.room.silent, since = True, time.monotonic()
    lab.took(lambda: lab.heater.doing == "off", MAX_AGE_S + 10)
    off = time.monotonic() - since
    made = [one["id"] for one in daemon.ask("/v1/decisions?limit=200")["decisions"]]
    return [
        exactly("words that ended early", early, f"of {len(steps)}", 0),
        at_most("a word ended late by", max(late), "s", 1.5),
        exactly("switches of the heater by a step", moved, "", 0),
        at_most("off after a silent thermometer", off, "s", MAX_AGE_S + 2),
        exactly("decisions in order", made == sorted(made, reverse=True), "", True),
        exactly("steps told in the log", daemon.log().count("clock was set by"), "", len(steps)),
        exactly("errors", daemon.log().count("Traceback"), "", 0),
    ]
