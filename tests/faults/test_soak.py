"""What the soak's verdict rests on: a leak that is told from noise, and what may still come through after a stall."""

import random

import pytest

from tests.faults.lab import heater_plan
from tests.faults.oracle import Law, judge
from tests.faults.slope import blocks, slope
from tests.faults.world import Plug, Seen, World


def grown(mib_h: float, seed: int) -> list[tuple[float, float]]:
    """Return half an hour of samples that grow by so much, with noise of a tenth and a burst now and then."""
    chance = random.Random(seed)
    return [
        (at, 75 + mib_h * at / 3600 + chance.gauss(0, 0.1) + (2 if chance.random() < 0.02 else 0))
        for at in range(300, 1800, 5)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_of_six_mib_an_hour_is_told_from_noise_and_noise_is_no_leak(seed: int) -> None:
    leaks, rests = (slope(blocks(grown(rate, seed), 60)) for rate in (6.0, 0.0))
    assert leaks.low * 3600 > 1.0
    assert leaks.low * 3600 < 6.0 < leaks.high * 3600
    assert rests.low * 3600 < 1.0
    assert rests.low <= rests.value <= rests.high


def test_the_interval_covers_the_true_slope_in_nine_of_ten_series_at_least() -> None:
    found = [slope(blocks(grown(3.0, seed), 60)) for seed in range(100)]
    assert sum(one.low * 3600 <= 3.0 <= one.high * 3600 for one in found) >= 90


def test_too_few_points_tell_no_slope() -> None:
    with pytest.raises(ValueError, match="4 points"):
        slope([(float(at), 1.0) for at in range(4)])


@pytest.mark.parametrize(
    ("stalls", "unsafe"), [([], 1), ([(9.9, 20.0)], 0), ([(9.9, 15.0)], 1), ([(13.0, 20.0)], 1)]
)
def test_a_command_that_was_forbidden_is_excused_only_by_a_stall_that_began_before_and_lasted_till_then(
    stalls: list[tuple[float, float]], unsafe: int
) -> None:
    world = World(0)
    law = Law(
        Plug(world, "heater"), heater_plan(60, 10), ("off", "on"), {"room": ("temperature", "temperature")}
    )
    seen = [
        Seen(9.0, "room", b'{"temperature": 15.0}', retained=False),
        Seen(11.0, "room", b'{"temperature": 35.0}', retained=False),
        Seen(20.5, "zigbee2mqtt/heater/set", b'{"state": "ON", "on_time": 10}', retained=False),
    ]
    assert len(judge(seen, law, 1.5, stalls)) == unsafe
