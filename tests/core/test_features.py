"""Features: the same at every rate of reporting, causal, local time, and known no sooner than they mean something."""

from datetime import UTC
from math import cos, pi, sin
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, strategies as st

from appliance.bundle import load_bundle, shipped
from appliance.core.clock import SECOND, Instant
from appliance.core.features import LEAST_BASELINE_NS, Feature, FeatureSpec, extract
from appliance.core.windows import Window

AGE = 600 * SECOND
SPEC = FeatureSpec(
    (
        Feature("level", "mean", "co2", 600),
        Feature("above", "above_low", "co2", 7200),
        Feature("above a day", "above_low", "co2", 86_400),
        Feature("below", "below_high", "co2", 7200),
        Feature("slope", "slope", "co2", 900),
        Feature("spread", "spread", "co2", 1800),
    )
)


def room(second: int) -> float:
    """A room whose CO2 rises and falls within three hours, in ppm."""
    return 700 + 250 * sin(second / 10_800 * 2 * pi)


def heard(every: int, until: int) -> Window:
    window = Window.empty(AGE, 1.0)
    for second in range(0, until + 1, every):
        window = window.push(round(room(second)), second * SECOND)
    return window


def at(second: int, spec: FeatureSpec, window: Window, zone=UTC) -> np.ndarray:
    return extract({"co2": window}, spec, Instant("b", second * SECOND, second * SECOND), zone)


@pytest.mark.parametrize("every", [10, 30, 120])
@pytest.mark.parametrize("minute", [75, 130, 260])
def test_a_sensor_that_speaks_more_or_less_often_gives_like_features(every, minute) -> None:
    """Training saw one value a minute; devices speak every 10 s to 2 min."""
    trained = at(minute * 60, SPEC, heard(60, minute * 60))
    found = at(minute * 60, SPEC, heard(every, minute * 60))
    assert found == pytest.approx(trained, abs=12, rel=0.02)  # ppm: what this room moves in about two minutes


def test_what_comes_later_changes_nothing() -> None:
    window = heard(60, 7200)
    row = at(7200, SPEC, window)
    for second in range(7260, 20_000, 60):
        window.push(4000, second * SECOND)
    assert at(7200, SPEC, window).tobytes() == row.tobytes()


def test_a_baseline_is_no_baseline_before_its_time() -> None:
    least = LEAST_BASELINE_NS // SECOND
    spec = FeatureSpec((Feature("above", "above_low", "co2", 7200),))
    assert np.isnan(at(least - 60, spec, heard(60, least - 60)))[0]
    assert np.isfinite(at(least, spec, heard(60, least)))[0]


def test_a_sensor_that_fell_silent_leaves_features_unknown() -> None:
    window = heard(60, 7200)
    assert np.isfinite(at(7200 + 500, SPEC, window)).all()
    assert np.isnan(at(7200 + 700, SPEC, window)).all()


AGAINST_THE_ROOM = FeatureSpec(
    (
        Feature("above mean", "above_mean", "co2", 1800),
        Feature("above mean of 4 h", "above_mean", "co2", 14_400),
        Feature("within", "within", "co2", 7200),
        Feature("within a day", "within", "co2", 86_400),
        Feature("change", "change", "co2", 1800),
    )
)


@pytest.mark.parametrize("waited", [0, 40, 200])
def test_a_room_is_set_against_its_own_mean_range_and_past(waited) -> None:
    """Computed here from the bins themselves; a moment later, with nothing heard in the newest bin, too."""
    second = 4 * 3600
    window = heard(60, second)
    now_ns = (second + waited) * SECOND
    recent = np.mean(window.series(now_ns, 120 * SECOND))
    half_hour = window.series(now_ns, 1800 * SECOND)
    told = [round(room(second)) for second in range(0, second + 1, 60)]
    last = told[-122 + waited // 60 :] if waited else told[-120:]
    found = at(second + waited, AGAINST_THE_ROOM, window)
    assert found[0] == pytest.approx(recent - np.mean(half_hour), abs=1e-3)
    assert found[1] == pytest.approx(recent - np.mean(window.series(now_ns, 14_400 * SECOND)), abs=1e-3)
    assert found[2] == pytest.approx((recent - min(last)) / (max(last) - min(last) + 20), abs=5e-3)
    assert found[3] == pytest.approx((recent - min(told)) / (max(told) - min(told) + 20), abs=1e-3)
    assert found[4] == pytest.approx(recent - np.mean(half_hour[:4]), abs=1e-3)


def test_a_room_has_no_own_range_before_an_hour_and_no_past_before_it_was_heard() -> None:
    early = at(1200, AGAINST_THE_ROOM, heard(60, 1200))
    assert np.isnan(early).all()
    later = at(2400, AGAINST_THE_ROOM, heard(60, 2400))
    assert np.isnan(later[:4]).all()
    assert np.isfinite(later[4])


def test_the_time_of_day_is_the_home_s_own() -> None:
    spec = FeatureSpec((Feature("sin", "day_sin"), Feature("cos", "day_cos")))
    noon_utc = Instant("b", 0, 12 * 3600 * SECOND)
    angle = 2 * pi * 13 / 24  # 1970 in Berlin: an hour ahead
    row = extract({}, spec, noon_utc, ZoneInfo("Europe/Berlin"))
    assert row == pytest.approx([sin(angle), cos(angle)], abs=1e-6)


def test_the_shipped_model_s_features_come_out_in_its_order() -> None:
    spec = load_bundle(shipped("presence")).card.features
    backwards = FeatureSpec(tuple(reversed(spec.features)))
    windows = {channel: heard(60, 9000) for channel in spec.channels}
    now = Instant("b", 9000 * SECOND, 9000 * SECOND)
    row = extract(windows, spec, now, UTC)
    assert row.shape == (len(spec.features),)
    assert row.dtype == np.float32
    assert np.isfinite(row).all()
    assert extract(windows, backwards, now, UTC)[::-1].tobytes() == row.tobytes()


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 60_000)), min_size=2, max_size=150),
    st.sampled_from([120, 600, 3600, 7200, 86_400]),
)
def test_what_follows_from_the_open_bin_alone_is_what_the_windows_say(pushes, span) -> None:
    """The short way of one reading against the window's own exact statistics, which rules compare."""
    kinds = ("mean", "slope", "spread", "above_low", "below_high")
    spec = FeatureSpec(tuple(Feature(kind, kind, "co2", span) for kind in kinds))
    window, second = Window.empty(600 * SECOND, 0.01), 0
    for seconds, steps in pushes:
        second += seconds
        window = window.push(steps, second * SECOND)
    now = second * SECOND
    recent = window.mean(now, 120 * SECOND, whole=False)
    wanted = [
        window.mean(now, span * SECOND, whole=False),
        window.slope(now, span * SECOND, whole=False),
        window.spread(now, span * SECOND, whole=False),
    ]
    if second - window.heard_since_ns() / SECOND >= 3600:
        wanted += [
            recent - window.minimum(now, span * SECOND, whole=False),
            window.maximum(now, span * SECOND, whole=False) - recent,
        ]
    found = at(second, spec, window)
    for value, exact in zip(found, wanted, strict=False):
        assert np.isnan(value) if exact is None else value == pytest.approx(exact, rel=1e-5, abs=1e-4)


def test_a_room_that_stands_still_has_no_slope_to_the_last_bit() -> None:
    spec = FeatureSpec((Feature("rise", "slope", "co2", 900), Feature("noise", "spread", "co2", 600)))
    window = Window.empty(600 * SECOND, 0.01)
    for second in range(0, 7200, 7):
        window = window.push(51_237, second * SECOND)
    assert at(7199, spec, window).tolist() == [0.0, 0.0]
