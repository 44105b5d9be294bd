"""A day is one case: candidates are judged by days, and thresholds are measured on a day that they did not see."""

import numpy as np
import pytest

from appliance.errors import LearnError
from appliance.learn.days import WAYS, Case, choose_way, measured
from appliance.learn.judging import judge_rooms


def days(count: int = 12, rows: int = 400, spread: float = 1.5, seed: int = 0) -> Case:
    """Days that are each off by their own amount, as days are: logits of the truth move together within a day."""
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(count), rows)
    labels = rng.integers(0, 2, count * rows)
    right = 1.5 + rng.normal(0.0, spread, (count, 2))[block, labels] + rng.normal(0.0, 0.7, count * rows)
    true = 1.0 / (1.0 + np.exp(-right))
    said = np.where(np.eye(2)[labels] > 0, true[:, None], 1.0 - true[:, None])
    return Case(said, labels, block, np.zeros(len(labels), np.int64), np.ones(len(labels), np.bool_))


def test_each_day_counts_alike_however_long_it_was_watched() -> None:
    block = np.array([0] * 90 + [1] * 10)
    labels = np.zeros(100, np.int64)
    said = np.where(block[:, None] == 0, [0.9, 0.1], [0.1, 0.9])
    judged = judge_rooms(said, labels, {"one": np.ones(100, np.bool_)}, block)
    assert judged.days == {"0": 1.0, "1": 0.0}
    assert (judged.value, judged.worst) == (0.5, 0.0)
    assert judge_rooms(said, labels, {"one": np.ones(100, np.bool_)}).days == {}


def test_a_day_is_the_mean_over_rooms_and_seeds_are_averaged_day_by_day() -> None:
    labels, block = np.zeros(4, np.int64), np.array([0, 0, 0, 1])
    rooms = {"short": np.array([1, 0, 0, 1], np.bool_), "long": np.array([0, 1, 1, 0], np.bool_)}
    said = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])
    judged = judge_rooms(said, labels, rooms, block)
    assert judged.days == {"0": 0.5, "1": 1.0}
    other = judge_rooms(1.0 - said, labels, rooms, block)
    assert judged.mean([other]).days == {"0": 0.5, "1": 0.5}


def test_the_most_careful_day_covers_days_that_rows_fall_short_of() -> None:
    """Over many draws: rows promise the next row, and miss on the next day's worse label; the most careful day does not."""
    shares = {"rows": [], "worst_day": []}
    for seed in range(20):
        case = days(seed=seed)
        for name, found in shares.items():
            found.append(np.mean(measured(name, case).covered["0.05"]))
    assert np.mean(shares["worst_day"]) > np.mean(shares["rows"])
    assert np.mean(shares["worst_day"]) >= 0.95
    assert np.mean(shares["rows"]) < 0.95


def test_days_alike_are_rows_where_days_are_of_one_length() -> None:
    case = days(spread=0.0, rows=2000)
    rows, alike = WAYS["rows"](case, (0.1, 0.05)), WAYS["days_alike"](case, (0.1, 0.05))
    assert np.array(alike.thresholds) == pytest.approx(np.array(rows.thresholds), abs=0.01)


@pytest.mark.parametrize("name", WAYS)
def test_every_way_gives_thresholds_that_a_card_may_hold(name) -> None:
    sets = WAYS[name](days(), (0.2, 0.1, 0.05, 0.01))
    assert sets.broken(2) is None
    assert sets.alphas == (0.2, 0.1, 0.05, 0.01)


def test_thresholds_are_asked_of_a_day_that_they_did_not_see() -> None:
    """One day is wholly wrong: it must be missed in full, for thresholds that had seen it would have made room for it."""
    case = days(spread=0.0)
    case.said[case.block == 3] = case.said[case.block == 3][:, ::-1]
    assert measured("worst_day", case).worst["0.1"] < 0.2


def test_of_the_ways_that_cover_the_surest_is_chosen_and_a_lone_way_is_taken_as_it_is() -> None:
    case = days(spread=0.2)
    ways, chosen = choose_way(tuple(WAYS), case)
    enough = [one for one in ways if one.short <= 0 and one.sure["0.1"] >= 0.7]
    assert enough
    assert chosen == max(enough, key=lambda one: one.sure["0.1"]).name
    assert choose_way(("rows",), case) == ((), "rows")
    with pytest.raises(LearnError, match="no way 'luck'"):
        choose_way(("rows", "luck"), case)
