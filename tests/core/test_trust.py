"""What a model said becomes a word that may be acted on, or one that may not."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from appliance.core.readings import Quality
from appliance.core.trust import judge

LABELS = ("nobody", "somebody")


def said(*probabilities):
    return np.array(probabilities, dtype=np.float32)


def test_a_sure_prediction_is_good_and_a_hard_one_is_not() -> None:
    assert judge(said(0.1, 0.9), LABELS, 0.8) == ("somebody", Quality.GOOD, None)
    assert judge(said(0.3, 0.7), LABELS, 0.8) == ("somebody", Quality.UNCERTAIN, "hard")


def test_the_threshold_itself_is_enough() -> None:
    assert judge(said(0.75, 0.25), LABELS, 0.75)[1] is Quality.GOOD


@pytest.mark.parametrize("broken", [(np.nan, np.nan), (np.nan, 1.0), (1.0, np.nan), (np.inf, 0.0)])
def test_what_is_not_finite_says_nothing(broken) -> None:
    assert judge(said(*broken), LABELS, 0.5) == (None, Quality.UNCERTAIN, "a feature is unknown")


@given(st.floats(0, 1, width=32), st.floats(0.01, 1))
def test_good_is_never_less_sure_than_the_card_says(somebody, threshold) -> None:
    label, quality, _ = judge(said(1 - somebody, somebody), LABELS, threshold)
    assert label in LABELS
    assert (quality is Quality.GOOD) is (max(said(1 - somebody, somebody).tolist()) >= threshold)
