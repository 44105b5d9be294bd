"""Chips whose keys mean something else than their neighbours', and Tasmota's ways to say a state."""

import json

import pytest

from appliance.core.payloads import Decoder
from appliance.core.payloads.lines import decode_line
from appliance.core.payloads.message import Catalogue, Message
from appliance.core.payloads.tasmota import Tasmota
from appliance.errors import ConfigError


def said(topic: str, payload: object) -> dict:
    line = json.dumps({"topic": topic, "payload": payload, "retain": False})
    return decode_line(line, Decoder([Tasmota()]), Catalogue())[0]


def values(payload: object, topic: str = "tele/x/SENSOR") -> dict:
    return {one["metric"]: one["value"] for one in said(topic, payload)["readings"]}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        # The SGP4X calls its VOC index TVOC, which is parts per billion on an SGP30.
        ({"SGP4X": {"VOC_Raw": 30000, "NOX_Raw": 16000, "TVOC": 101, "NOx": 1}}, {"voc_index": 101, "nox_index": 1}),
        ({"SGP30": {"eCO2": 584, "TVOC": 263}}, {"eco2": 584, "voc_ppb": 263}),
        ({"SEN5X": {"PM1": 1, "PM2.5": 2, "PM4": 3, "PM10": 4, "NOx": 1, "VOC": 99, "Temperature": 22.5, "Humidity": 40}}, {"pm1": 1, "pm2_5": 2, "pm4": 3, "pm10": 4, "nox_index": 1, "voc_index": 99, "temperature": 22.5, "humidity": 40}),
        ({"SPS30": {"PM1_0": 1.5, "PM2_5": 2.5, "PM4_0": 3.5, "PM10": 4.5, "NCPM2_5": 9, "TYPSIZ": 0.6}}, {"pm1": 1.5, "pm2_5": 2.5, "pm4": 3.5, "pm10": 4.5}),
        ({"HM330X": {"CF1": 1, "CF2.5": 9, "CF10": 9, "PM1": 2, "PM2.5": 3, "PM10": 4}}, {"pm1": 2, "pm2_5": 3, "pm10": 4}),
        ({"AHT2X": {"Temperature": 21.0}, "SHT3X-0x44": {"Temperature": 20.0}}, {"temperature": 21.0, "temperature_sht3x_0x44": 20.0}),
        ({"S8": {"CarbonDioxide": 700}, "TSL2561": {"Illuminance": 21.18}, "DHT11": {"Temperature": None, "Humidity": None}}, {"co2": 700, "illuminance": 21.18}),
        ({"BMP280": {"Temperature": 70.0, "Pressure": 29.92, "SeaPressure": 30.1}, "PressureUnit": "inHg", "TempUnit": "F"}, {"temperature": 21.11, "pressure": 1013.21}),
        ({"ENERGY": {"Total": 1.5, "Power": [1, None, "x", 4], "Voltage": [230, 231, 232], "Current": [1, 2, 3]}}, {"energy": 1.5, "power_1": 1, "power_4": 4, "voltage_1": 230, "voltage_2": 231, "voltage_3": 232}),
    ],
)  # fmt: skip
def test_a_chip_s_keys_mean_what_that_chip_means(payload, expected) -> None:
    assert values(payload) == expected


def test_no_probe_is_there_in_either_unit() -> None:
    for payload in (
        {"DS18B20": {"Temperature": -127.0}},
        {"DS18B20": {"Temperature": -196.6}, "TempUnit": "F"},
    ):
        told = said("tele/x/SENSOR", payload)
        assert (told["readings"], told["dropped"]) == ([], {"sentinel": 1})


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        ("tele/x/STATE", {"Uptime": "1T", "POWER1": "ON", "POWER2": "OFF", "FanSpeed": 2, "Dimmer": 5}, {"state_1": "on", "state_2": "off", "fan_speed": 2}),
        ("stat/x/RESULT", {"POWER": "ON"}, {"state": "on"}),
        ("stat/x/RESULT", {"FanSpeed": 3}, {"fan_speed": 3}),
        ("stat/x/RESULT", {"PulseTime1": {"Set": 0}}, {}),
        ("stat/x/POWER", "OFF", {"state": "off"}),
        ("stat/x/POWER2", "ON", {"state_2": "on"}),
        ("stat/x/POWER", "?", {}),
        ("stat/x/STATUS11", {"StatusSTS": {"POWER": "ON"}}, {"state": "on"}),
        ("stat/x/STATUS10", {"StatusSNS": {"SHT3X": {"Temperature": 21.5}, "TempUnit": "C"}}, {"temperature": 21.5}),
    ],
)  # fmt: skip
def test_a_state_in_each_of_its_places(topic, payload, expected) -> None:
    told = said(topic, payload)
    assert "error" not in told
    assert values(payload, topic) == expected


def test_a_command_is_one_message_a_property() -> None:
    assert Tasmota().encode("tasmota/attic/fan", {"POWER": "ON", "FanSpeed": 2}) == (
        Message("cmnd/attic/fan/POWER", b"ON"),
        Message("cmnd/attic/fan/FanSpeed", b"2"),
    )
    assert Tasmota().ask("tasmota/fan", ()) == (Message("cmnd/fan/STATE", b""),)
    with pytest.raises(ConfigError):
        Tasmota().encode("tasmota/fan", {"POWER/../x": "ON"})
