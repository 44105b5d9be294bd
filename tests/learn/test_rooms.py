"""An imitated room follows from the balances of air: the truth stays, and what another room would have done is done."""

import numpy as np
import pytest

from appliance.learn.plumes import plumes
from appliance.learn.recordings import Recording
from appliance.learn.rooms import Room, drawn, imitated, own_rate

MINUTE = 60 * 10**9


def office(days: int = 2, rate: float = 0.8) -> Recording:
    """CO2 of a room with `rate` air changes an hour, used from 9 to 17, by the exact solution of its balance."""
    minutes = np.arange(days * 1440)
    labels = ((minutes % 1440 >= 540) & (minutes % 1440 < 1020)).astype(np.int64)
    co2, now = np.empty(len(minutes)), 0.0
    for at, used in enumerate(labels):
        end = 600.0 * used * 0.8 / rate
        now = end + (now - end) * np.exp(-rate / 60)
        co2[at] = 420.0 + now
    warm = 20.0 + (co2 - 420.0) / 400.0
    return Recording(
        "office",
        minutes * MINUTE,
        {"co2": co2, "temperature": warm, "humidity": 40.0 + 0 * warm + labels},
        labels,
    )


def test_a_room_like_the_recorded_one_is_the_recorded_one() -> None:
    one = office()
    made, order = imitated(one, Room(), np.random.default_rng(0))
    assert (order == np.arange(len(one.at_ns))).all()
    assert made.values["co2"] == pytest.approx(one.values["co2"], abs=1e-6)
    assert made.values["humidity"] == pytest.approx(one.values["humidity"], abs=1e-6)


def test_its_own_air_change_is_found_and_another_one_gives_what_that_room_would_have_had() -> None:
    one, faster = office(rate=0.8), office(rate=2.4)
    hours = np.full(len(one.at_ns), 1 / 60)
    assert own_rate(one.values["co2"] - 420.0, one.labels, hours) == pytest.approx(0.8, rel=0.02)
    made, _ = imitated(one, Room(air_change=3.0), np.random.default_rng(0))
    assert made.values["co2"] == pytest.approx(faster.values["co2"], abs=8.0)


def test_the_truth_and_the_day_of_a_row_go_with_it_when_days_are_shuffled() -> None:
    one = office(days=5)
    rng = np.random.default_rng(3)
    made, order = imitated(one, Room(shuffled=True, shifted_h=6.0), rng)
    assert sorted(order.tolist()) == list(range(len(one.at_ns)))
    assert (made.labels == one.labels[order]).all()
    assert (np.diff(made.at_ns) > 0).all()
    assert np.abs(np.diff(made.values["co2"])).max() < 60.0  # nothing leaps where two days meet


def test_drawn_rooms_differ_and_stay_what_sensors_can_say() -> None:
    one = office()
    rng = np.random.default_rng(0)
    rooms = [drawn(rng) for _ in range(20)]
    assert len({room.air_change for room in rooms}) == 20
    for room in rooms:
        made, _ = imitated(one, room, rng)
        for name, column in made.values.items():
            assert np.isfinite(column).all(), name
        assert 250 <= made.values["co2"].min() <= made.values["co2"].max() < 6000


def test_a_channel_that_was_not_heard_stays_unheard() -> None:
    one = office()
    gap = one.values["co2"].copy()
    gap[100:200] = np.nan
    made, _ = imitated(
        Recording(one.group, one.at_ns, {"co2": gap}, one.labels),
        Room(air_change=2.0),
        np.random.default_rng(0),
    )
    assert np.isnan(made.values["co2"][100:200]).all()
    assert np.isfinite(made.values["co2"][200:]).all()


def test_a_plume_begins_where_the_rule_says_and_quiet_is_far_from_it() -> None:
    pm2_5 = np.full(180, 5.0)
    pm2_5[60:75] = 40.0
    pm2_5[120] = 40.0  # one minute is no plume
    onsets, quiet, numbers = plumes(np.arange(180) * MINUTE, pm2_5)
    assert onsets == [60]
    assert not quiet[30:104].any()
    assert quiet[:29].all()
    assert quiet[106:].all()
    assert len(numbers) == 180


def test_a_room_that_keeps_its_hours_has_the_same_air_and_its_own_clock() -> None:
    for seed in range(20):
        other, kept = (drawn(np.random.default_rng(seed), rhythm) for rhythm in ("others", "kept"))
        assert (other.air_change, other.gain, other.heating_k) == (kept.air_change, kept.gain, kept.heating_k)
        assert kept.shifted_h == 0.0
        assert set(kept.ageing) == set(kept.scale) == {"co2", "temperature", "humidity"}
        assert (other.ageing, other.scale, other.lag_h) == ({}, {}, 0.0)


def test_a_sensor_ages_over_the_week_exaggerates_and_lags() -> None:
    one = office(days=8)
    co2 = one.values["co2"]

    def said(**differs) -> np.ndarray:
        made, _ = imitated(one, Room(**differs), np.random.default_rng(0))
        return made.values["co2"]

    aged = said(ageing={"co2": 30.0}) - co2
    assert aged[0] == pytest.approx(0.0, abs=1e-6)
    assert aged[7 * 1440] == pytest.approx(30.0, abs=0.1)
    assert np.ptp(said(scale={"co2": 1.1})) == pytest.approx(1.1 * np.ptp(co2), rel=1e-6)
    late = said(lag_h=0.25)
    first = int(np.argmax(co2 > 421.0))
    assert late[first + 15] - 420.0 < co2[first + 15] - 420.0
    assert np.abs(late - co2).mean() < 40.0
