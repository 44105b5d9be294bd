"""What only a device's own declaration tells, and what must not be taken for a measurement."""

import json

import pytest

from appliance.core.payloads import Decoder
from appliance.core.payloads.lines import decode_line
from appliance.core.payloads.message import Catalogue, Message
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt
from appliance.core.readings import Reading


def declared(*exposes: dict) -> Catalogue:
    payload = [{"friendly_name": "x", "definition": {"description": "d", "exposes": list(exposes)}}]
    line = json.dumps({"topic": "zigbee2mqtt/bridge/devices", "payload": payload, "retain": True})
    said, catalogue = decode_line(line, Decoder([Zigbee2mqtt()]), Catalogue())
    assert said["declared"] == ["zigbee2mqtt/x"]
    return catalogue


def numeric(key: str, unit: str | None) -> dict:
    return {"type": "numeric", "property": key, "access": 1, **({"unit": unit} if unit else {})}


def said(payload: dict, catalogue: Catalogue, dialect: Zigbee2mqtt | None = None) -> dict:
    line = json.dumps({"topic": "zigbee2mqtt/x", "payload": payload, "retain": False})
    return decode_line(line, Decoder([dialect or Zigbee2mqtt()]), catalogue)[0]


def triples(payload: dict, *exposes: dict) -> list[tuple]:
    catalogue = declared(*exposes) if exposes else Catalogue()
    return [(one["metric"], one["value"], one["unit"]) for one in said(payload, catalogue)["readings"]]


@pytest.mark.parametrize(
    ("key", "unit", "value", "expected"),
    [
        ("voc", "ppb", 182, ("voc_ppb", 182, "ppb")),
        ("voc", "ppm", 0.2, ("voc_ppb", 200, "ppb")),
        ("voc", "µg/m³", 118, ("voc_ugm3", 118, "µg/m³")),
        ("voc", "mg/m3", 0.118, ("voc_ugm3", 118, "µg/m³")),
        ("voc", None, 5, ("voc", 5, None)),
        ("voc", "VOC Index points", 101, ("voc_index", 101, "index")),
        ("voc_index", "VOC Index points", 101, ("voc_index", 101, "index")),
        ("hcho", "mg/m³", 0.03, ("hcho_ugm3", 30, "µg/m³")),
        ("formaldehyde", "ppm", 0.08, ("hcho_ugm3", 98, "µg/m³")),
        ("formaldehyde", None, 3, ("hcho", 3, None)),
        ("temperature", "°F", 71.8, ("temperature", 22.11, "°C")),
        ("temperature_2", "°C", 4.8, ("temperature_2", 4.8, "°C")),
        ("power_l1", "kW", 1.5, ("power_l1", 1500, "W")),
        ("voltage", "V", 231.4, ("voltage", 231.4, "V")),
        ("pressure", "kPa", 101.325, ("pressure", 1013.25, "hPa")),
    ],
)
def test_the_unit_that_a_device_declares_decides(key, unit, value, expected) -> None:
    assert triples({key: value}, numeric(key, unit)) == [expected]


def test_a_declared_unit_that_makes_no_sense_gives_no_reading() -> None:
    catalogue = declared(numeric("temperature", "lx"), numeric("temperature_1", "lx"))
    told = said({"temperature": 21, "temperature_1": 21}, catalogue)
    assert (told["readings"], told["dropped"]) == ([], {"unit": 2})


def test_a_new_declaration_takes_the_place_of_the_old() -> None:
    dialect = Zigbee2mqtt()
    for unit, metric in (("ppb", "voc_ppb"), ("µg/m³", "voc_ugm3"), ("ppb", "voc_ppb")):
        assert said({"voc": 7}, declared(numeric("voc", unit)), dialect)["readings"][0]["metric"] == metric


def test_a_battery_s_millivolts_are_not_the_mains() -> None:
    assert triples({"battery": 100, "voltage": 3000}, numeric("voltage", "mV")) == [("battery", 100, "%")]
    assert triples({"battery": 100, "voltage": 3000}) == [("battery", 100, "%")]


def test_several_of_a_kind_keep_their_own_names_without_a_declaration_too() -> None:
    assert triples({"temperature_1": 20.1, "temperature_2": 4.8, "temperature_calibration": 1.5}) == [
        ("temperature_1", 20.1, "°C"),
        ("temperature_2", 4.8, "°C"),
    ]


def test_the_chip_s_raw_light_is_not_lux_where_both_are_sent() -> None:
    assert triples({"illuminance": 17634, "illuminance_lux": 58}) == [("illuminance", 58, "lx")]
    assert triples({"illuminance": 58}) == [("illuminance", 58, "lx")]


def test_what_a_sensor_of_events_says_is_a_state_and_settings_are_nothing() -> None:
    payload = {"contact": False, "occupancy": True, "smoke": False, "water_leak": True, "state": "ON", "state_l2": "OFF", "child_lock": "LOCK", "air_quality": "good", "self_test": True}  # fmt: skip
    assert triples(payload) == [("contact", False, None), ("occupancy", True, None), ("smoke", False, None), ("water_leak", True, None), ("state", "on", None), ("state_l2", "off", None)]  # fmt: skip


def test_a_fan_s_speed_that_it_does_not_know_is_no_level() -> None:
    assert said({"fan_speed": 255}, Catalogue())["dropped"] == {"sentinel": 1}


@pytest.mark.parametrize("value", [True, "21.5", [21.5], {"x": 21.5}])
def test_what_is_no_json_number_is_no_temperature(value) -> None:
    told = said({"temperature": value}, Catalogue())
    assert (told["readings"], told["dropped"]) == ([], {"not_a_number": 1})


def test_a_stamp_that_is_a_deep_tree_is_no_stamp() -> None:
    deep = b"[" * 900 + b"]" * 900
    decoded = Zigbee2mqtt().decode(
        Message("zigbee2mqtt/x", b'{"last_seen":' + deep + b',"pm25":4}'), Catalogue()
    )
    assert decoded.last_seen is None
    assert decoded.readings == (Reading("zigbee2mqtt/x", "pm2_5", 4, "µg/m³"),)


def test_what_a_device_accepts_is_known_from_its_exposes() -> None:
    fan = {"type": "fan", "features": [{"property": "fan_state", "access": 7, "value_on": "ON", "value_off": "OFF"}, {"property": "fan_mode", "access": 7, "values": ["off", "auto", "1"]}]}  # fmt: skip
    device = declared(fan, {"property": "fan_speed", "access": 5}).devices["zigbee2mqtt/x"]
    assert device.accepts == {"fan_state": ("ON", "OFF"), "fan_mode": ("off", "auto", "1")}


def test_commands_and_questions_go_to_the_device_s_own_topics() -> None:
    dialect = Zigbee2mqtt("home/z2m")
    assert dialect.encode("zigbee2mqtt/attic/fan", {"fan_mode": "3"}) == (
        Message("home/z2m/attic/fan/set", b'{"fan_mode":"3"}'),
    )
    assert dialect.ask("zigbee2mqtt/fan", ("fan_mode",)) == (Message("home/z2m/fan/get", b'{"fan_mode":""}'),)
    assert dialect.decode(Message("zigbee2mqtt/fan", b"{}"), Catalogue()) is None
