"""Faults of sensors are told from clean days, or honestly not."""

import numpy as np
import pytest

from appliance.errors import LearnError
from appliance.learn.faults import SIZES, auroc, broken, novelty_table, table

ROWS = 3000
DAYS = np.repeat(np.arange(3), ROWS // 3)


def clean(seed: int):
    """A sensor that follows the day, breathes by the hour, and never stands quite still."""
    rng = np.random.default_rng(seed)
    at = np.arange(ROWS)
    wander = np.convolve(rng.normal(0, 1.0, ROWS + 59), np.ones(60) / 60, "valid")
    return 600 + 60 * np.sin(at / 160) + 25 * wander + rng.normal(0, 0.8, ROWS)


def matrix(values):
    """What windows would give: how far the reading lies from the mean of the hour, and the spread of ten rows; unknown where nothing is heard."""
    columns = []
    for column in values.values():
        late = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(59, np.nan), column]), 60)
        with np.errstate(invalid="ignore"):
            columns += [column - late[:, :-1].mean(axis=1), np.std(late[:, -10:], axis=1)]
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def lines():
    values = {"co2": clean(1), "voc": clean(2)}
    return novelty_table(values, DAYS, 60.0, matrix)


def line(lines, fault, size, channel="co2"):
    return next(one for one in lines if (one.fault, one.size, one.channel) == (fault, size, channel))


def test_every_fault_has_a_line_for_each_size_and_channel_that_has_rows_enough(lines) -> None:
    told = {(one.fault, one.size, one.channel) for one in lines}
    assert {fault for fault, _, _ in told} == set(SIZES)
    assert len(table(lines)) == len(lines) + 1
    assert all(
        one.worst <= one.auroc <= one.best and one.found_worst <= one.found <= one.found_best for one in lines
    )


@pytest.mark.parametrize("fault", ["noise", "missing"])
def test_a_large_fault_is_found_and_a_smaller_one_no_better(lines, fault) -> None:
    large, small = SIZES[fault][:2]
    assert line(lines, fault, large).auroc > 0.95
    assert line(lines, fault, small).auroc <= line(lines, fault, large).auroc + 0.02


def test_a_sensor_that_stands_still_is_found_by_its_spread(lines) -> None:
    assert line(lines, "stuck", 120.0).auroc > 0.8


def test_a_slow_drift_that_no_feature_looks_at_is_not_claimed_to_be_found(lines) -> None:
    assert abs(line(lines, "drift", 0.05).auroc - 0.5) < 0.2


def test_clean_days_lie_inside_nearly_always(lines) -> None:
    assert all(one.false < 0.05 for one in lines)


def test_auroc_is_one_half_for_the_same_and_counts_ties_half() -> None:
    same = np.arange(10.0)
    assert auroc(same, same) == 0.5
    assert auroc(same, same + 100) == 1.0
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5
    assert auroc(np.array([0.0, 1.0]), np.array([np.inf])) == 1.0


def test_a_drift_never_exceeds_its_size_and_a_spike_is_one_reading() -> None:
    rng = np.random.default_rng(0)
    flat = np.full(ROWS, 100.0)
    drifted, grown = broken(flat, "drift", 0.10, 60.0, rng)
    assert drifted.max() == pytest.approx(110.0)
    assert grown[-1]
    spiked, _ = broken(flat, "spike", 0.5, 60.0, rng)
    assert sorted(set(spiked.round(6))) == [50.0, 100.0, 150.0]


def test_two_days_are_too_few() -> None:
    with pytest.raises(LearnError, match="2 days"):
        novelty_table({"co2": clean(1)}, DAYS // 2, 60.0, matrix)
