"""Bins and features: exact, bounded, causal, independent of the sensor's rate."""

from datetime import UTC

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from appliance.core.clock import SECOND, Instant
from appliance.core.features import Feature, FeatureSpec, extract
from appliance.core.windows import BIN_NS, Window, steepest
from tests.core.plain import PlainWindow

PUSHES = st.lists(st.tuples(st.integers(1, 700), st.integers(-500, 5000)), min_size=1, max_size=120)
MAX_AGE = 600 * SECOND


def filled(pushes, start=0):
    window, at = Window.empty(MAX_AGE, 0.1), start
    for seconds, steps in pushes:
        at += seconds * SECOND
        window = window.push(steps, at)
    return window, at


@given(PUSHES)
def test_pushing_leaves_the_old_window_as_it_was(pushes) -> None:
    window, at = filled(pushes)
    before = msgspec.msgpack.encode(window)
    window.push(7, at + 45 * SECOND)
    assert msgspec.msgpack.encode(window) == before


@given(PUSHES)
def test_a_window_that_was_stored_gives_the_same_bits(pushes) -> None:
    window, at = filled(pushes)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(window), type=Window)
    for span in (60, 600, 7200, 86_400):
        assert again.mean(at, span * SECOND, whole=False) == window.mean(at, span * SECOND, whole=False)
        assert again.slope(at, span * SECOND, whole=False) == window.slope(at, span * SECOND, whole=False)


@given(PUSHES)
def test_mean_lies_between_least_and_greatest(pushes) -> None:
    window, at = filled(pushes)
    least, mean, most = (
        getattr(window, name)(at, 1800 * SECOND, whole=False) for name in ("minimum", "mean", "maximum")
    )
    assert least <= mean + 1e-9
    assert mean <= most + 1e-9


def test_memory_is_bounded_whatever_the_rate() -> None:
    window = Window.empty(MAX_AGE, 0.1)
    for second in range(0, 200_000, 7):
        window = window.push(second % 900, second * SECOND)
    assert len(window.fine) <= 241
    assert len(window.coarse) <= 145
    assert len(msgspec.msgpack.encode(window)) < 10_000


def test_an_empty_bin_holds_the_value_before_it_until_it_is_too_old() -> None:
    window = Window.empty(MAX_AGE, 0.1).push(100, 5 * SECOND)
    assert window.mean(300 * SECOND, BIN_NS) == 10.0
    assert window.mean(604 * SECOND, BIN_NS) == 10.0
    assert window.mean(640 * SECOND, BIN_NS) is None


def test_a_span_that_is_not_full_is_unknown_unless_asked_otherwise() -> None:
    window = Window.empty(MAX_AGE, 0.1).push(100, 95 * SECOND)
    assert window.mean(95 * SECOND, 120 * SECOND) is None
    assert window.mean(95 * SECOND, 120 * SECOND, whole=False) == 10.0


def test_a_slope_is_in_units_per_minute() -> None:
    window = Window.empty(MAX_AGE, 0.1)
    for second in range(0, 600, 10):
        window = window.push(second, second * SECOND)  # 0.1 a second
    assert window.slope(599 * SECOND, 300 * SECOND) == pytest.approx(6.0)


def test_a_value_of_the_past_changes_the_open_bin_and_never_raises() -> None:
    window = Window.empty(MAX_AGE, 0.1).push(100, 95 * SECOND).push(50, 5 * SECOND)
    assert window.last_ns == 95 * SECOND
    assert window.minimum(95 * SECOND, BIN_NS) == 5.0


@given(st.integers(1, 20))
def test_the_mean_does_not_depend_on_how_often_a_steady_sensor_speaks(every) -> None:
    window = Window.empty(MAX_AGE, 0.1)
    for second in range(0, 1200, every):
        window = window.push(100 if second < 600 else 200, second * SECOND)
    assert window.mean(1199 * SECOND, 600 * SECOND) == 20.0


SPEC = FeatureSpec(
    (
        Feature("a", "above_low", "co2", 7200),
        Feature("b", "below_high", "co2", 86_400),
        Feature("c", "slope", "co2", 900),
        Feature("d", "spread", "co2", 600),
        Feature("e", "mean", "co2", 300),
        Feature("f", "day_sin"),
    )
)


def test_training_and_streaming_give_the_same_bits_over_a_day() -> None:
    """Training pushes all and extracts row by row; the device has a restart in between and asks in between as well."""
    rng = np.random.default_rng(1)
    values = (500 + 200 * np.sin(np.arange(1440) / 100) + rng.normal(0, 5, 1440)).round().astype(int)
    trained = Window.empty(MAX_AGE, 1.0)
    rows = []
    for minute, value in enumerate(values):
        at = minute * 60 * SECOND
        trained = trained.push(int(value), at)
        rows.append(extract({"co2": trained}, SPEC, Instant("b", at, at), UTC))
    device = Window.empty(MAX_AGE, 1.0)
    for minute, value in enumerate(values):
        at = minute * 60 * SECOND
        extract({"co2": device}, SPEC, Instant("b", max(at - 1, 0), at), UTC)
        device = device.push(int(value), at)
        if minute == 700:
            device = msgspec.msgpack.decode(msgspec.msgpack.encode(device), type=Window)
        assert extract({"co2": device}, SPEC, Instant("b", at, at), UTC).tobytes() == rows[minute].tobytes()


def test_a_feature_is_unknown_without_its_channel_and_without_a_baseline() -> None:
    assert np.isnan(extract({}, SPEC, Instant("b", 0, 0), UTC)[:5]).all()
    window = Window.empty(MAX_AGE, 1.0)
    for second in range(0, 3500, 60):
        window = window.push(500, second * SECOND)
    row = extract({"co2": window}, SPEC, Instant("b", 3500 * SECOND, 0), UTC)
    assert np.isnan(row[:2]).all()
    assert np.isfinite(row[2:]).all()


GAPS = st.one_of(
    st.integers(1, 90), st.sampled_from((-20, 30, 600, 1799, 1800, 3600, 7200, 7260, 20_000, 90_000, 400_000))
)


@given(
    st.lists(st.tuples(GAPS, st.integers(1, 60), st.integers(-500, 5000)), min_size=1, max_size=12),
    st.sampled_from((60, 600, 1800, 7200, 172_800)),
    st.sampled_from((0, 0, 1, 31, 700, 5000, 90_000)),
    st.sampled_from((1, 30, 119, 1800, 3600, 7200, 7201, 86_400)),
)
def test_columns_give_the_bits_of_a_look_at_each_bin(pushes, max_age, later, span) -> None:
    """Runs of readings with gaps, values of the past, and ages up to days; then each statistic, beside the plain one."""
    window, plain, at = Window.empty(max_age * SECOND, 0.1), PlainWindow(max_age * SECOND, 0.1), 50 * SECOND
    for gap, times, steps in pushes:
        at += gap * SECOND
        for turn in range(times):
            at += 37 * SECOND * turn % (90 * SECOND)
            value = steps + turn * turn % 23
            window = window.push(value, at)
            plain.push(value, at)
        # What is summed here is carried on by later bins.
        window.slope(at, span * SECOND)
    now = max(at, window.last_ns) + later * SECOND
    assert window.heard_since_ns() == plain.heard_since_ns()
    assert window.series(now, span * SECOND) == plain.series(now, span * SECOND)
    for name in ("mean", "minimum", "maximum", "slope", "spread"):
        for whole in (True, False):
            found = getattr(window, name)(now, span * SECOND, whole=whole)
            assert found == plain.statistic(name, now, span * SECOND, whole=whole), (name, whole)


def test_a_long_silence_costs_no_memory() -> None:
    window = (
        Window.empty(MAX_AGE, 0.1).push(1, 0).push(2, 400 * 86_400 * SECOND).push(3, 401 * 86_400 * SECOND)
    )
    assert len(window.fine) <= 241
    assert len(window.coarse) <= 145


def test_a_value_from_before_the_span_counts_while_it_stands() -> None:
    window = Window.empty(MAX_AGE, 1.0).push(50, 5 * SECOND).push(80, 95 * SECOND)
    assert window.minimum(95 * SECOND, 60 * SECOND) == 50
    assert window.minimum(95 * SECOND, BIN_NS) == 80
    assert window.minimum(135 * SECOND, 60 * SECOND) == 80


def test_no_slope_is_steeper_than_a_leap_through_the_range_in_the_middle() -> None:
    window = Window.empty(600 * SECOND, 1.0)
    for at in range(10):
        window = window.push(0 if at < 5 else 100, at * BIN_NS)
    assert window.slope(9 * BIN_NS, 300 * SECOND) == pytest.approx(100 * steepest(300 * SECOND))
