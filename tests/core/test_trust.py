"""What a model said becomes a word that may be acted on, or one that may not: and what is promised of it holds."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from appliance.core.readings import Quality
from appliance.core.trust import (
    ALPHAS,
    RATE,
    Adapted,
    Region,
    Sets,
    Trust,
    adapt,
    judge,
    needed,
)
from appliance.core.trust.fitting import conformal_thresholds, novelty_region
from appliance.errors import LearnError

LABELS = ("nobody", "somebody")
ROW = np.zeros(2, np.float32)


def by_threshold(threshold):
    return Trust(LABELS, threshold)


def by_sets(*thresholds, alphas=(0.1,)):
    return Trust(LABELS, 0.5, Sets(alphas, thresholds, (100, 100)))


# ---------------------------------------------------------------- a card from before there were sets


def test_a_sure_prediction_is_good_and_a_hard_one_is_not() -> None:
    assert judge([0.1, 0.9], ROW, by_threshold(0.8)) == ("somebody", Quality.GOOD, None)
    assert judge([0.3, 0.7], ROW, by_threshold(0.8)) == ("somebody", Quality.UNCERTAIN, "hard")


def test_the_threshold_itself_is_enough() -> None:
    assert judge([0.75, 0.25], ROW, by_threshold(0.75))[1] is Quality.GOOD


@pytest.mark.parametrize(
    "broken", [[np.nan, np.nan], [np.nan, 1.0], [1.0, np.nan], [np.inf, 0.0], [-np.inf, np.inf]]
)
@pytest.mark.parametrize("trust", [by_threshold(0.5), by_sets((0.5, 0.5))], ids=["threshold", "sets"])
def test_what_is_not_finite_says_nothing(broken, trust) -> None:
    assert judge(broken, ROW, trust) == (None, Quality.UNCERTAIN, "a feature is unknown")


@given(st.floats(0, 1, width=32), st.floats(0.01, 1))
def test_good_is_never_less_sure_than_the_card_says(somebody, threshold) -> None:
    label, quality, _ = judge([1 - somebody, somebody], ROW, by_threshold(threshold))
    assert label in LABELS
    assert (quality is Quality.GOOD) is (max(1 - somebody, somebody) >= threshold)


# ---------------------------------------------------------------- prediction sets


def test_a_set_of_one_label_is_sure_and_of_both_or_none_is_hard() -> None:
    trust = by_sets((0.2, 0.4))
    assert judge([0.1, 0.9], ROW, trust) == ("somebody", Quality.GOOD, None)
    assert judge([0.5, 0.5], ROW, trust) == ("nobody", Quality.UNCERTAIN, "hard")
    assert judge([0.35, 0.65], ROW, by_sets((0.7, 0.7))) == (
        "somebody", Quality.UNCERTAIN, "hard, as no label fits",
    )  # fmt: skip


def test_of_a_set_of_one_label_that_label_is_said_though_another_is_likelier() -> None:
    # Of a rare label a quarter may be all that its own rows ever got.
    assert judge([0.7, 0.3], ROW, by_sets((0.9, 0.25))) == ("somebody", Quality.GOOD, None)


def test_an_error_level_between_two_of_the_card_is_kept_by_the_stricter_one() -> None:
    trust = by_sets((0.6, 0.6), (0.3, 0.3), alphas=(0.2, 0.1))
    assert judge([0.35, 0.65], ROW, trust, 0.2)[1] is Quality.GOOD
    assert judge([0.35, 0.65], ROW, trust, 0.15)[1] is Quality.UNCERTAIN
    assert judge([0.01, 0.99], ROW, trust, 0.05)[2] == "hard", "nothing is promised at 0.05"


@given(st.floats(0.001, 0.999), st.floats(0.02, 0.5), st.floats(0.02, 0.5))
def test_whoever_is_sure_at_a_low_error_level_is_no_less_careful_than_at_a_higher_one(p, one, other) -> None:
    rng = np.random.default_rng(3)
    said, truth = exchangeable(rng, 1000)
    sets = conformal_thresholds(said, truth)
    low, high = (sets.at(max(alpha, 0.01)) for alpha in sorted((one, other)))
    assert low is not None
    assert high is not None
    inside = lambda thresholds: {n for n, least in enumerate(thresholds) if (1 - p, p)[n] >= least}  # noqa: E731
    assert inside(high) <= inside(low)


def exchangeable(rng, size, skill=1.0, share=0.25):
    """Probabilities of a model of two labels, one of them rarer, and the truths: rows independent of each other."""
    truth = (rng.random(size) < share).astype(np.int64)
    logit = rng.normal((2 * truth - 1) * skill, 1.2)
    somebody = 1 / (1 + np.exp(-logit))
    return np.stack([1 - somebody, somebody], axis=1), truth


@pytest.mark.parametrize("rows", [150, 1000])
def test_the_truth_lies_in_the_set_as_often_as_promised_for_each_label(rows) -> None:
    # Averaged over many calibrations: that is what is promised; one of them alone is off by chance.
    rng = np.random.default_rng(7)
    covered = {alpha: ([], []) for alpha in (0.05, 0.10, 0.20)}
    for _ in range(200):
        sets = conformal_thresholds(*exchangeable(rng, rows), alphas=tuple(covered))
        said, truth = exchangeable(rng, 1000)
        for alpha, shares in covered.items():
            thresholds = sets.at(alpha)
            for label in (0, 1):
                shares[label].append(np.mean(said[truth == label, label] >= thresholds[label]))
    for alpha, shares in covered.items():
        for label in (0, 1):
            # Within the noise of 200 calibrations above it, and not by far: 1 / (n + 1) more is what the finite sample costs.
            assert -0.006 <= np.mean(shares[label]) - (1 - alpha) <= 0.006 + 1 / (rows * 0.2), (alpha, label)


def test_too_few_rows_of_a_label_are_refused_with_the_number_needed() -> None:
    said = np.full((60, 2), 0.5)
    truth = np.array([0] * 50 + [1] * 10)
    with pytest.raises(LearnError, match=r"label 1 has 10 calibration rows: an error level of 0.05 needs 19"):
        conformal_thresholds(said, truth, (0.1, 0.05))
    assert conformal_thresholds(said, truth, (0.1,)).rows == (50, 10)
    with pytest.raises(LearnError, match="label 1 has 0"):
        conformal_thresholds(said, np.zeros(60, int), (0.1,))


@pytest.mark.parametrize("alpha", [0.2, 0.1, 0.05, 0.03, 0.01])
def test_the_number_needed_is_the_least_that_does(alpha) -> None:
    enough = needed(alpha)
    said, truth = np.full((2 * enough, 2), 0.5), np.repeat([0, 1], enough)
    conformal_thresholds(said, truth, (alpha,))
    with pytest.raises(LearnError):
        conformal_thresholds(said[1:], truth[1:], (alpha,))


def test_calibration_on_rows_that_are_not_known_is_refused() -> None:
    said = np.full((60, 2), 0.5)
    said[3] = np.nan
    with pytest.raises(LearnError, match="not finite"):
        conformal_thresholds(said, np.repeat([0, 1], 30), (0.1,))


# ---------------------------------------------------------------- novelty

LOW, HIGH = np.array([-1.0, 0.0, -5.0, 0.1]), np.array([1.0, 300.0, 5.0, 4.0])


def day(rng, size=2000):
    """Features of an ordinary room: a slope, a height above a baseline, another slope that goes with the first, a spread."""
    slope = rng.normal(0, 0.3, size)
    return np.stack(
        [
            slope,
            rng.gamma(2.0, 60.0, size),
            3 * slope + rng.normal(0, 0.5, size),
            rng.lognormal(0, 0.5, size),
        ],
        axis=1,
    ).astype(np.float32)


@pytest.fixture(scope="module")
def region() -> Region:
    return novelty_region(day(np.random.default_rng(1)))


def test_an_ordinary_row_is_inside_and_few_others_are_not(region) -> None:
    fresh = day(np.random.default_rng(2))
    assert np.mean([region.unlike(row) is not None for row in fresh]) < 0.02


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [-1e9, 1e9, 3e38, -3e38, np.inf, -np.inf])
def test_a_feature_far_out_by_itself_is_unlike_anything_seen_and_named(region, place, value) -> None:
    row = day(np.random.default_rng(2), 1)[0]
    row[place] = value
    assert region.unlike(row) == place
    assert region.score(row) > 1
    trust = Trust(LABELS, 0.5, None, region, ("slope", "height", "other", "spread"))
    said = judge([0.0, 1.0], row, trust)
    assert said == ("somebody", Quality.UNCERTAIN, f"unlike anything seen: {('slope', 'height', 'other', 'spread')[place]}")  # fmt: skip


def test_features_that_only_together_are_unlike_anything_are_found(region) -> None:
    # Each within what was seen; but these two always go the same way.
    assert region.unlike(np.array([0.8, 120, -2.4, 1.0], np.float32)) == -1


def test_a_sensor_that_stands_still_is_unlike_one_that_lives(region) -> None:
    assert region.unlike(np.array([0.0, 120, 0.0, 0.0], np.float32)) is not None


def test_score_and_verdict_agree(region) -> None:
    rng = np.random.default_rng(5)
    rows = (day(rng, 500) * rng.lognormal(0, 1.5, (500, 4))).astype(np.float32)
    verdicts = [region.unlike(row) is not None for row in rows]
    assert 50 < sum(verdicts) < 450
    assert verdicts == [region.score(row) > 1 for row in rows]


def test_a_region_by_days_is_wider_than_one_that_takes_them_for_one() -> None:
    rng = np.random.default_rng(4)
    days = [day(rng, 500) * scale for scale in (0.6, 1.0, 1.5)]
    rows, numbers = np.concatenate(days), np.repeat([0, 1, 2], 500)
    assert novelty_region(rows, numbers).limit > 1.2 * novelty_region(rows).limit


def test_a_region_of_too_few_rows_or_of_a_dead_feature_is_refused() -> None:
    rows = day(np.random.default_rng(1), 39)
    with pytest.raises(LearnError, match=r"39 rows .* of 4 features needs 40"):
        novelty_region(rows)
    rows = day(np.random.default_rng(1), 100)
    rows[:, 2] = 7
    with pytest.raises(LearnError, match="feature 2 never changes"):
        novelty_region(rows)


def test_a_region_is_a_few_hundred_bytes_and_the_same_after_writing_it(region) -> None:
    text = msgspec.json.encode(region)
    assert len(text) < 500
    again = msgspec.json.decode(text, type=Region)
    row = day(np.random.default_rng(6), 1)[0]
    assert again.score(row) == region.score(row)


# ---------------------------------------------------------------- labels make it more careful

SETS = conformal_thresholds(*exchangeable(np.random.default_rng(11), 4000))


def test_each_miss_makes_the_model_more_careful_and_hits_bring_it_back_to_its_card_at_most() -> None:
    adapted = None
    for _ in range(6):
        adapted = adapt(adapted, SETS, 2, 0.1, [0.99, 0.01], 1)
    assert adapted is not None
    assert adapted.levels[0] == 0.1, "of nobody nothing was told"
    assert adapted.levels[1] < 0.01
    assert (adapted.heard, adapted.missed) == ((0, 6), (0, 6))
    trust = Trust(LABELS, 0.5, SETS)
    assert judge([0.99, 0.01], ROW, trust)[1] is Quality.GOOD
    assert judge([0.99, 0.01], ROW, trust, 0.1, adapted.levels)[2] == "hard", "somebody was there each time"
    for _ in range(1000):
        adapted = adapt(adapted, SETS, 2, 0.1, [0.01, 0.99], 1)
    assert adapted.levels == (0.1, 0.1)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), max_size=300),
    st.sampled_from([0.05, 0.1, 0.2]),
)
def test_whatever_the_labels_are_no_more_than_promised_is_missed_in_the_long_run(told, alpha) -> None:
    adapted = None
    for somebody, truth in told:
        adapted = adapt(adapted, SETS, 2, alpha, [1 - somebody, somebody], truth)
        assert min(adapted.levels) >= -RATE
        assert max(adapted.levels) <= alpha, "no label makes a model surer than its card"
    if adapted is not None:
        for heard, missed in zip(adapted.heard, adapted.missed, strict=True):
            assert missed <= alpha * heard + (alpha + RATE) / RATE + 1e-6


def test_another_error_level_or_version_begins_anew() -> None:
    before = adapt(None, SETS, 2, 0.1, [0.99, 0.01], 1)
    assert adapt(before, SETS, 2, 0.05, [0.01, 0.99], 1) == Adapted(2, 0.05, (0.05, 0.05), (0, 1), (0, 0))
    assert adapt(before, SETS, 3, 0.1, [0.01, 0.99], 1) == Adapted(3, 0.1, (0.1, 0.1), (0, 1), (0, 0))
    trust = Trust(LABELS, 0.5, SETS, version=2)
    assert trust.levels(before, 0.1) == before.levels
    assert trust.levels(before, 0.05) is None
    assert msgspec.structs.replace(trust, version=3).levels(before, 0.1) is None


def test_the_error_levels_of_cards_hold_those_that_are_usually_asked_for() -> None:
    assert {0.05, 0.10} <= set(ALPHAS)
    assert list(ALPHAS) == sorted(ALPHAS, reverse=True)


def test_many_rows_are_judged_as_each_by_itself() -> None:
    """A replay decides one reading at a time what a wake-up decided for many."""
    rng = np.random.default_rng(3)
    region = novelty_region(rng.normal(size=(2000, 4)) * (1.0, 40.0, 0.2, 3.0))
    rows = (rng.normal(size=(500, 4)) * (1.5, 60.0, 0.4, 5.0)).astype(np.float32)
    rows[7, 2] = np.nan
    assert region.unlike_each(rows) == [region.unlike(row) for row in rows]
    assert {None, -1} < set(region.unlike_each(rows)), "nothing but the box, or nothing at all, was asked"
