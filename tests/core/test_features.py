"""Features: the same at every rate of reporting, causal, local time, and known no sooner than they mean something."""

from datetime import UTC
from math import cos, pi, sin
from zoneinfo import ZoneInfo

import numpy as np
import pytest

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
