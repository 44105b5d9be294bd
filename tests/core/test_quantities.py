"""The vocabulary: a wrong unit or a wrong name here would be wrong everywhere."""

import math

import pytest
from hypothesis import given, strategies as st

from appliance.core.quantities import QUANTITIES, canonical, convert, quantity_of

UNITS = ["°C", "F", "K", "Pa", "hPa", "kPa", "mmHg", "inHg", "mg/m³", "µg/m³", "ppm", "ppb", "%", "lx", "W", "kW", "Wh", "kWh", "MWh", "V", "mV", "kV", "A", "mA", "Ω", "kΩ", "MΩ", "klx", "index", "x", ""]  # fmt: skip


@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(UNITS),
    st.sampled_from(sorted(QUANTITIES)),
)
def test_no_number_becomes_infinite_by_being_converted(value, unit, name) -> None:
    converted = convert(value, unit, QUANTITIES[name])
    assert converted is None or math.isfinite(converted)


def test_a_number_at_the_end_of_the_floats_is_dropped_and_not_infinite() -> None:
    assert convert(1e308, "MWh", QUANTITIES["energy"]) is None


@pytest.mark.parametrize("name", sorted(QUANTITIES))
def test_each_quantity_is_whole(name) -> None:
    quantity = QUANTITIES[name]
    assert quantity.name == name
    assert quantity.low < quantity.high
    assert quantity.resolution > 0
    assert canonical(quantity.unit) == quantity.unit
    assert convert(quantity.low, quantity.unit, quantity) == quantity.low


@given(st.sampled_from(sorted(QUANTITIES)), st.floats(0, 1))
def test_steps_and_back_is_the_value_within_half_a_step(name, share) -> None:
    quantity = QUANTITIES[name]
    value = quantity.low + share * (quantity.high - quantity.low)
    back = quantity.value(quantity.steps(value))
    assert abs(back - value) <= quantity.resolution * 0.5 + 1e-9 * abs(value)


@pytest.mark.parametrize(
    "spelling", ["µg/m³", "ug/m3", "ug/m³", "µg/m3", "\u03bcg/m³", "\u03bcg/m3", "UG/M3"]
)
def test_micrograms_in_each_spelling_are_micrograms(spelling) -> None:
    assert convert(12.4, spelling, QUANTITIES["pm2_5"]) == 12.4


def test_a_share_of_volume_becomes_a_mass_only_where_the_substance_is_known() -> None:
    assert convert(0.08, "ppm", QUANTITIES["hcho_ugm3"]) == 98.0
    assert convert(0.08, "ppm", QUANTITIES["voc_ugm3"]) is None
    assert convert(10, "ppb", QUANTITIES["pm2_5"]) is None


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("power_l1", "power"),
        ("temperature_sht3x", "temperature"),
        ("temperature_sht3x_0x44", "temperature"),
        ("temperature_si7021", "temperature"),
        ("pm2_5_2", "pm2_5"),
    ],
)
def test_a_second_sensor_s_name_is_of_the_same_quantity(metric, name) -> None:
    assert quantity_of(metric) is QUANTITIES[name]


@pytest.mark.parametrize(
    "metric", ["co2_calibration", "energy_today", "humidity_offset", "pm", "pm2", "2_5", "", "_1"]
)
def test_a_setting_or_a_part_of_a_name_is_no_quantity(metric) -> None:
    assert quantity_of(metric) is None
