"""What no model can be learnt from is refused, with the place and the remedy: copies, shared days, still channels, one label."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from appliance.errors import LearnError
from appliance.learn.recordings import Recording, checked, no_shared_rows
from appliance.learn.splitting import blocks, folds
from tests.learn.recording import room

LABELS = ("empty", "used")


def changed(one: Recording, **changes) -> Recording:
    return msgspec.structs.replace(one, **changes)


def test_a_good_recording_passes_as_it_is() -> None:
    one = room()
    assert checked([one], LABELS, "here") == [one]


def test_a_row_that_is_not_later_than_the_one_before_is_named() -> None:
    one = room()
    times = one.at_ns.copy()
    times[10] = times[9]
    with pytest.raises(LearnError, match="row 11 is not later"):
        checked([changed(one, at_ns=times)], LABELS, "here")


def test_a_channel_that_never_moves_is_refused() -> None:
    one = room()
    with pytest.raises(LearnError, match="pm2_5 never changes"):
        checked([changed(one, values={**one.values, "pm2_5": np.full(len(one.at_ns), 3.0)})], LABELS, "here")


def test_one_class_is_no_data() -> None:
    one = room()
    with pytest.raises(LearnError, match="no row is 'used'"):
        checked([changed(one, labels=np.zeros_like(one.labels))], LABELS, "here")


@pytest.mark.parametrize("shift", [0, 7])
def test_a_stretch_that_occurs_twice_is_refused_wherever_it_begins(shift) -> None:
    one, other = room(seed=1), room(seed=2, group="other")
    values = {name: column.copy() for name, column in other.values.items()}
    for name, column in values.items():
        column[100 + shift : 200 + shift] = one.values[name][300:400]
    with pytest.raises(LearnError, match="once more"):
        checked([one, changed(other, values=values)], LABELS, "here")


def test_a_day_on_both_sides_is_refused() -> None:
    one = room(days=4)
    cut = len(one.at_ns) // 2 + 20
    first, second = (one.part(np.arange(len(one.at_ns)) < cut), one.part(np.arange(len(one.at_ns)) >= cut))
    with pytest.raises(LearnError, match=r"the day 2025-06-18 of room lies in 'training' and in 'test'"):
        no_shared_rows({"training": [first], "test": [second]})


def test_rows_copied_to_another_day_of_a_test_are_refused() -> None:
    one = room(days=4)
    later = changed(one, at_ns=one.at_ns + 30 * 86_400 * 10**9, group="elsewhere")
    with pytest.raises(LearnError, match="lie in 'training' too"):
        no_shared_rows({"training": [one], "test": [later.part(np.arange(len(one.at_ns)) < 90)]})
    no_shared_rows({"training": [one], "test": [changed(room(seed=5), group="elsewhere", at_ns=later.at_ns)]})


def test_whole_days_are_held_out_together_and_each_fold_has_some() -> None:
    one, other = room(days=5), room(days=5, seed=3, group="other")
    numbers = np.concatenate(blocks([one, other], "day"))
    labels = np.concatenate([one.labels, other.labels])
    found = folds(numbers, labels, 4)
    assert len(np.unique(numbers)) == 10
    assert set(found.tolist()) == {0, 1, 2, 3}
    for block in np.unique(numbers):
        assert len(np.unique(found[numbers == block])) == 1
    sizes = np.bincount(found)
    assert sizes.max() - sizes.min() <= max(np.bincount(numbers))
    assert all(a <= b for a, b in pairwise(sorted(sizes.tolist())))


def test_two_days_are_too_few_and_a_label_of_one_day_cannot_be_held_out() -> None:
    with pytest.raises(LearnError, match="2 days"):
        blocks([room(days=2)], "day")
    numbers = np.repeat([0, 1, 2], 10)
    with pytest.raises(LearnError, match="label 1 occurs on one day"):
        folds(numbers, (numbers == 1).astype(np.int64), 3)
