"""What the core remembers fills up within a day, by what is computed, and then stays as it is."""

import math
import pickle

from appliance.core.windows import COARSE_BINS, FINE_BINS
from tests.core.home import PROFILE, RULE, House

STEP_S = 150
CHANNELS = 2
BIN = 3 * 8
"""Bytes of a closed bin: its mean, least and greatest."""


def test_a_home_remembers_no_more_after_two_days_than_after_one() -> None:
    """A few bytes an hour, in some window or count, end a small computer after months, and no test of minutes sees them."""
    house = House(PROFILE + RULE)
    sizes = []
    for step in range(1, 2 * 86_400 // STEP_S + 1):
        at, dust = step * STEP_S, 30 + 22 * math.sin(step / 5)
        house.say(at, "air", pm25=round(dust, 1), co2=700 + step % 50)
        if house.commands:
            house.report(at + 1, {"off": "off", "high": "9"}[house.commands[-1][1]])
            house.effects.clear()
        if at % 86_400 == 0:
            sizes.append(len(pickle.dumps(house.controller.state)))
    windows = CHANNELS * (FINE_BINS + COARSE_BINS) * BIN
    assert sizes[0] > windows, "the windows did not fill: the test shows nothing"
    assert sizes[1] - sizes[0] < windows / 10
