"""Bins and features: exact, bounded, causal, independent of the sensor's rate."""

from datetime import UTC

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from appliance.core.clock import SECOND, Instant
from appliance.core.features import Feature, FeatureSpec, extract
from appliance.core.windows import BIN_NS, Window

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
    assert len(window.fine) <= 242
    assert len(window.coarse) <= 146
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


@given(
    PUSHES,
    st.sampled_from((0, 31, 700, 5000, 90_000)),
    st.sampled_from((1, 30, 119, 3600, 7200, 7201, 86_400)),
    st.booleans(),
)
def test_least_and_greatest_agree_with_a_look_at_each_bin(pushes, later, span, whole) -> None:
    """They are found from stored bins alone; the bins of `series`, one by one, say what they must be."""
    pushes = [
        (seconds, 100 + index) for index, (seconds, _) in enumerate(pushes)
    ]  # rising: each bin's last is its greatest
    window, at = filled(pushes)
    now = at + later * SECOND
    window = msgspec.structs.replace(
        window,
        fine=tuple(msgspec.structs.replace(one, count=1, total=one.last) for one in window.fine),
        open_fine=msgspec.structs.replace(window.open_fine, count=1, total=window.open_fine.last),
        coarse=tuple(msgspec.structs.replace(one, count=1, total=one.last) for one in window.coarse),
        open_coarse=msgspec.structs.replace(window.open_coarse, count=1, total=window.open_coarse.last),
    )
    bins = window.series(now, span * SECOND)
    known = [value for value in bins if value is not None]
    expected = None if bins[-1] is None or (whole and len(known) < len(bins)) else max(known)
    assert window.maximum(now, span * SECOND, whole=whole) == expected
    assert (window.minimum(now, span * SECOND, whole=whole) is None) is (expected is None)


def test_a_value_from_before_the_span_counts_while_it_stands() -> None:
    window = Window.empty(MAX_AGE, 1.0).push(50, 5 * SECOND).push(80, 95 * SECOND)
    assert window.minimum(95 * SECOND, 60 * SECOND) == 50
    assert window.minimum(95 * SECOND, BIN_NS) == 80
    assert window.minimum(135 * SECOND, 60 * SECOND) == 80
