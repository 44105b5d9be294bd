"""Trust in a reading: each test names what would otherwise be believed."""

import csv
import gzip
import io
import math
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from appliance.core.clock import SECOND, Instant
from appliance.core.quantities import QUANTITIES, convert, quantity_of
from appliance.core.readings import Channel, Quality, Reading, check, hear, known, median

PM = Channel.of("pm2_5", QUANTITIES["pm2_5"])
T = Channel.of("temperature", QUANTITIES["temperature"])


def at(seconds: float) -> Instant:
    return Instant("b", round(seconds * SECOND), round(seconds * SECOND))


def said(value, channel=PM, unit="own"):
    return Reading("d", channel.name, value, channel.quantity.unit if unit == "own" else unit)


@pytest.mark.parametrize(
    ("value", "unit", "quality", "reason"),
    [
        (12.0, "own", Quality.GOOD, None),
        (-1, "own", Quality.BAD, "sentinel"),
        (65535, "own", Quality.BAD, "sentinel"),
        (999.9, "own", Quality.BAD, "sentinel"),
        (30_000, "own", Quality.BAD, "out of range"),
        (-5, "own", Quality.BAD, "out of range"),
        (math.nan, "own", Quality.BAD, "no number"),
        (math.inf, "own", Quality.BAD, "no number"),
        (True, "own", Quality.BAD, "no number"),
        ("12", "own", Quality.BAD, "no number"),
        (12.0, None, Quality.UNCERTAIN, "no unit"),
        (12.0, "ppb", Quality.BAD, "unit ppb"),
    ],
)
def test_what_is_no_measurement_is_not_believed(value, unit, quality, reason) -> None:
    assert check(said(value, unit=unit), PM, None, at(0)) == (quality, reason)


def test_a_bad_reading_neither_refreshes_nor_ends_what_is_known() -> None:
    heard = hear(said(12.0), PM, None, at(0))
    heard = hear(said(-1), PM, heard, at(599))
    assert known(heard, PM, at(600)) == 12.0
    assert known(heard, PM, at(601)) is None


def test_a_retained_reading_refreshes_nothing() -> None:
    heard = hear(said(12.0), PM, None, at(0), retained=True)
    assert heard.quality is Quality.UNCERTAIN
    assert known(heard, PM, at(1)) is None


def test_a_cache_sent_again_refreshes_nothing_also_where_nothing_was_heard_before() -> None:
    heard = hear(said(12.0), PM, None, at(0))
    assert hear(said(12.0), PM, heard, at(300), resent=True) is heard
    first = hear(said(12.0), PM, None, at(0), resent=True)
    assert (first.quality, first.reason) == (Quality.UNCERTAIN, "resent")
    assert known(first, PM, at(0)) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "on"])
def test_what_is_no_number_is_not_remembered_as_one(value) -> None:
    assert hear(said(value), PM, None, at(0)).value is None


def test_one_spike_is_not_believed_and_a_confirmed_jump_is() -> None:
    heard = hear(said(5.0), PM, None, at(0))
    heard = hear(said(900.0), PM, heard, at(5))
    assert (heard.quality, heard.reason) == (Quality.BAD, "jump")
    back = hear(said(5.1), PM, heard, at(10))
    assert (back.quality, known(back, PM, at(10))) == (Quality.GOOD, 5.1)
    on = hear(said(880.0), PM, heard, at(10))
    assert (on.quality, known(on, PM, at(10))) == (Quality.GOOD, 880.0)


def test_alternating_spikes_do_not_confirm_each_other() -> None:
    heard = hear(said(20.0, T), T, None, at(0))
    for second, value in ((1, 80.0), (2, 20.1), (3, 80.0), (4, 20.2)):
        heard = hear(said(value, T), T, heard, at(second))
        assert known(heard, T, at(second)) < 21


def test_a_steady_particle_count_is_frozen_and_a_steady_zero_is_not() -> None:
    for value, quality in ((12.0, Quality.BAD), (0.0, Quality.GOOD), (2.0, Quality.GOOD)):
        heard = hear(said(value), PM, None, at(0))
        for second in range(60, 7300, 60):
            heard = hear(said(value), PM, heard, at(second))
        assert heard.quality is quality, value
    heard = hear(said(21.0, T), T, None, at(0))
    for second in range(60, 90_000, 600):
        heard = hear(said(21.0, T), T, heard, at(second))
    assert heard.quality is Quality.GOOD


def test_a_frozen_value_moves_again_and_is_believed_again() -> None:
    heard = hear(said(12.0), PM, None, at(0))
    for second in range(60, 7300, 60):
        heard = hear(said(12.0), PM, heard, at(second))
    assert heard.reason == "frozen"
    assert hear(said(12.5), PM, heard, at(7300)).quality is Quality.GOOD


@pytest.mark.parametrize(
    ("value", "unit", "name", "expected"),
    [
        (71.8, "F", "temperature", 22.11),
        (100613.25, "Pa", "pressure", 1006.13),
        (1234.5, "Wh", "energy", 1.2345),
        (0.035, "mg/m3", "pm2_5", 35.0),
        (760, "mmHg", "pressure", 1013.25),
        (300, "K", "temperature", 26.85),
        (20, "ug/m3", "pm2_5", 20),
        (20, "ppm", "pm2_5", None),
        (math.inf, "°C", "temperature", None),
    ],
)
def test_units_become_the_quantity_s_own(value, unit, name, expected) -> None:
    assert convert(value, unit, QUANTITIES[name]) == expected


def test_a_suffix_is_of_the_same_quantity_and_other_words_are_none() -> None:
    assert quantity_of("power_2") is QUANTITIES["power"]
    assert quantity_of("temperature_ds18b20_1") is QUANTITIES["temperature"]
    assert quantity_of("voc") is None
    assert quantity_of("temperature_calibration") is None


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=9))
def test_the_median_lies_in_the_middle(values) -> None:
    middle = median(values)
    assert sum(value <= middle for value in values) * 2 >= len(values)
    assert sum(value >= middle for value in values) * 2 >= len(values)


@pytest.mark.skipif(
    "APPLIANCE_DATA" not in os.environ and os.environ.get("CI") != "true", reason="$APPLIANCE_DATA is not set"
)
def test_real_plumes_are_believed() -> None:
    """A limit on jumps that rejects a real fire would be worse than none."""
    path = Path(os.environ["APPLIANCE_DATA"]) / "smoke_iot_dedup_sessions.csv.gz"
    rejected = total = longest = run = 0
    heard = session = None
    for row in csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())):
        if row["session"] != session:
            heard, session, run = None, row["session"], 0
        heard = hear(said(float(row["PM2.5"])), PM, heard, at(int(row["UTC"])))
        total += 1
        jumped = heard.reason in ("jump", "frozen")
        rejected += jumped
        run = run + 1 if jumped else 0
        longest = max(longest, run)
    assert rejected / total < 0.01
    assert longest <= 2


def test_after_a_silence_a_value_that_is_the_same_is_not_frozen() -> None:
    heard = hear(said(12.0), PM, None, at(0))
    assert hear(said(12.0), PM, heard, at(8000)).quality is Quality.GOOD
