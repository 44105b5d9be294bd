"""A teacher is better where that was measured on days, with an interval: not where a room was imitated often, or a day is long."""

import numpy as np
import pytest

from appliance.bundle import Against, Gain
from appliance.learn.comparing import gain


def days_of(gains, rows=40, rooms=1):
    """Rows whose mean gain on each day is one of `gains`, the same in every room."""
    gained, day, room = [], [], []
    for number, one in enumerate(gains):
        for place in range(rooms):
            right = round(abs(one) * rows)
            gained += [np.sign(one)] * right + [0.0] * (rows - right)
            day += [number] * rows
            room += [place] * rows
    return np.array(gained), np.array(day), np.array(room)


SCATTERED = (0.5, -0.4, 0.3, -0.2, 0.4, -0.3, 0.2)


def test_rooms_that_imitate_the_same_days_make_no_interval_narrower() -> None:
    once, often = (gain(*days_of(SCATTERED, rooms=rooms), 0) for rooms in (1, 30))
    assert (once.gain, once.low, once.high) == (often.gain, often.low, often.high)
    assert often.rows == 30 * once.rows
    assert once.low < 0 < once.gain < once.high
    assert not often.shown


def test_a_long_day_counts_no_more_than_a_short_one() -> None:
    """One evening of a thousand questions on which the teacher shines would else outvote six days on which it is wrong."""
    shines = (np.ones(1000), np.full(1000, 9), np.zeros(1000, int))
    wrong = days_of([-0.2] * 6)
    found = gain(*(np.concatenate([a, b]) for a, b in zip(wrong, shines, strict=True)), 0)
    assert found.days == 7
    assert found.gain == pytest.approx((1.0 - 6 * 0.2) / 7, abs=1e-4)


def test_a_gain_on_every_one_of_many_days_is_shown_and_on_a_handful_is_not() -> None:
    assert gain(*days_of([0.1, 0.2, 0.1, 0.3, 0.1, 0.2]), 0).shown
    few = gain(*days_of([0.1, 0.2, 0.1, 0.3, 0.1]), 0)
    assert few.low > 0
    assert not few.shown, "five heads in a row are no rarity"


def test_the_worst_room_is_told_though_the_mean_is_a_gain() -> None:
    rows = [np.concatenate(parts) for parts in zip(days_of([0.4] * 6), days_of([-0.1] * 6), strict=True)]
    rows[2][240:] = 1
    found = gain(*rows, 0)
    assert found.gain == pytest.approx(0.15)
    assert found.worst == pytest.approx(-0.1)


def test_one_day_has_no_interval() -> None:
    assert gain(*days_of([0.5], rooms=5), 0) is None


@pytest.mark.parametrize(
    ("low", "days", "digest", "better"),
    [
        (0.01, 7, "this", True),
        (0.0, 7, "this", False),
        (-0.01, 7, "this", False),
        (0.01, 5, "this", False),
        (0.01, 7, "other", False),
    ],
)
def test_only_an_interval_above_zero_against_this_very_model_makes_a_teacher_better(
    low: float, days: int, digest: str, better: bool
) -> None:
    whole = Gain(days, 1000, 0.2, 0.15, 0.25, 0.1)
    card = Against("presence", 4, "this", 0.1, Gain(days, 100, 0.05, low, 0.1, -0.2), whole)
    assert card.shows_better_than(digest) is better


def test_a_gain_on_all_rows_alone_is_not_enough() -> None:
    """On sure rows nobody is asked: what the teacher gains there no home ever gets."""
    assert not Against("presence", 4, "this", 0.1, None, Gain(7, 100, 0.2, 0.1, 0.3, 0.1)).shows_better_than(
        "this"
    )
