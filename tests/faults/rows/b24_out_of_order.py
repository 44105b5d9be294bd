"""B24: messages come twice, in another order, and long after they were said. Promise: the decisions of the sorted stream, where a device gives a time.

The core is driven with instants of its own: bursts of messages of a sensor that stamps them, as a bridge delivers them that was away. In the disturbed
stream each burst is shuffled, messages come twice, and whole runs of messages of minutes or days ago are said again. Compared is what is
decided after each burst. A rule with hysteresis is reported only: a value that passed its limit and was overtaken by a newer one is not held.
"""

import random
from datetime import UTC, datetime

from tests.core.home import PROFILE, House
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, exactly

ROW = Row("B24", "duplicates, out of order, late replay", "the decisions of the sorted stream")
RULE = """
[[rules]]
id = "dusty"
when = "pm2_5 > 35"
at_least = "high"
because = "dust"
"""
EVERY_S, BURST = 10, 4
Said = tuple[float, str]


def run(lab: Lab, size: Size) -> list[Figure]:
    figures = []
    for name, rule in (("", RULE), ("with hysteresis, ", RULE + 'until = "pm2_5 < 30"\n')):
        dice = random.Random(24)
        bursts = size.of(20_000, 500)
        sorted_, disturbed = House(PROFILE + rule), House(PROFILE + rule)
        sorted_.report(0, "off")
        disturbed.report(0, "off")
        past: list[Said] = []
        value, differ = 20.0, 0
        for burst in range(bursts):
            at = (burst + 1) * EVERY_S
            said = []
            for number in range(BURST):
                value = min(max(value + dice.uniform(-8, 8), 1.0), 80.0)
                stamp = datetime.fromtimestamp(1_767_225_600 + at + number, UTC).isoformat(
                    timespec="milliseconds"
                )
                said.append((round(value, 1), stamp))
            _hear(sorted_, at, said)
            _hear(disturbed, at, _disturb(dice, said, past))
            past += said
            differ += _decided(sorted_) != _decided(disturbed)
            for house in (sorted_, disturbed):
                action = _decided(house)
                house.report(at + 1, {"off": "off", "high": "9"}[action])
                house.effects.clear()
        figures.append(
            Figure(f"{name}bursts decided otherwise", differ, f"of {bursts}", "reported", holds=True)
            if name
            else exactly("bursts decided otherwise", differ, f"of {bursts}", 0)
        )
    return figures


def _disturb(dice: random.Random, said: list[Said], past: list[Said]) -> list[Said]:
    """Return the burst shuffled, some of it twice; before, amid or behind it a run of old messages, at times all of the day."""
    told = [*said, *dice.sample(said, dice.randrange(BURST))]
    dice.shuffle(told)
    if past and dice.random() < 0.3:
        first = max(len(past) - dice.choice((10, 100, 8640)), 0)
        begin = dice.randrange(first, len(past))
        place = dice.randrange(len(told) + 1)
        told[place:place] = past[begin : begin + dice.choice((1, 2, 30))]
    return told


def _hear(house: House, at: float, said: list[Said]) -> None:
    for number, (value, stamp) in enumerate(said):
        house.say(at + number / 1000, "air", pm25=value, last_seen=stamp)


def _decided(house: House) -> str:
    state = house.controller.state.appliances
    last = next(iter(state.values())).last
    return "off" if last is None else last.action
