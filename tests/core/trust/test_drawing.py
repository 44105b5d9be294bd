"""Audits come at random instants that see a home as time does, and the same seed draws the same ones."""

import pytest
from hypothesis import given, strategies as st

from appliance.core.trust.drawing import next_audit_ns

MEAN = 1_800_000_000_000


def gaps(count, seed, mean=MEAN):
    now, found = 0, []
    for _ in range(count):
        later = next_audit_ns(now, mean, seed)
        found.append(later - now)
        now = later
    return found


def test_gaps_are_exponential_in_mean_spread_and_tail() -> None:
    found = sorted(one / MEAN for one in gaps(20_000, seed=7))
    mean = sum(found) / len(found)
    assert abs(mean - 1) < 4 / 20_000**0.5
    assert abs(sum((one - mean) ** 2 for one in found) / len(found) - 1) < 0.06
    # The greatest distance of the distribution functions, at the 0.001 level of Kolmogorov's test.
    from math import exp

    distance = max(abs((number + 0.5) / 20_000 - (1 - exp(-one))) for number, one in enumerate(found))
    assert distance < 1.95 / 20_000**0.5


def test_what_one_waited_tells_nothing_of_what_is_left() -> None:
    found = [one / MEAN for one in gaps(20_000, seed=3)]
    for waited in (0.5, 1.0, 2.0):
        left = [one - waited for one in found if one > waited]
        assert abs(sum(left) / len(left) - 1) < 4 / len(left) ** 0.5
    before, after = found[:-1], found[1:]
    together = sum((a - 1) * (b - 1) for a, b in zip(before, after, strict=True)) / len(before)
    assert abs(together) < 4 / len(before) ** 0.5, "neighbours"


def test_audits_meet_an_hour_of_the_day_as_often_as_it_lasts() -> None:
    day = 24 * 3_600_000_000_000
    now, evenings = 0, 0
    for _ in range(20_000):
        now = next_audit_ns(now, MEAN, 5)
        evenings += 18 <= now % day / 3_600_000_000_000 < 21
    assert abs(evenings / 20_000 - 3 / 24) < 4 * (0.125 * 0.875 / 20_000) ** 0.5


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(1, 400 * 86_400_000_000_000),
    st.integers(-(2**70), 2**70),
)
def test_it_is_later_within_bounds_and_the_same_again(now, mean, seed) -> None:
    later = next_audit_ns(now, mean, seed)
    assert now < later <= now + 37 * mean
    assert later == next_audit_ns(now, mean, seed)


def test_two_homes_do_not_ask_at_the_same_instants() -> None:
    assert not set(gaps(1000, seed=1)) & set(gaps(1000, seed=2))


def test_a_mean_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="mean gap of 0 ns"):
        next_audit_ns(0, 0, 1)
