"""Real messages of real devices: every listed reading, and nothing else."""

import json
from pathlib import Path

import pytest

from appliance.core.payloads import Decoder
from appliance.core.payloads.lines import decode_line
from appliance.core.payloads.message import Catalogue
from appliance.core.payloads.plain import Plain, PlainField, PlainSource
from appliance.core.payloads.tasmota import Tasmota
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt

DATA = Path(__file__).parents[2] / "data" / "payloads"
SAMPLES = {
    sample["id"]: sample
    for sample in map(json.loads, (DATA / "samples.jsonl").read_text("utf-8").splitlines())
}
OURS = [
    name for name, sample in SAMPLES.items() if sample["topic"].startswith(("zigbee2mqtt/", "tele/", "stat/"))
]
PLAIN = Plain(
    (
        PlainSource(
            "pm", "livingroom/sensor/pm_2_5_concentration/state", (PlainField("pm2_5", "", "µg/m³"),)
        ),
        PlainSource("co2", "livingroom/sensor/co2/state", (PlainField("co2", "", "ppm"),)),
        PlainSource("homie", "homie/5/airbox/sensors/pm25", (PlainField("pm2_5", "", "µg/m³"),)),
        PlainSource("ha", "homeassistant/sensor/living_pm25/state", (PlainField("pm2_5", "", "µg/m³"),)),
        PlainSource(
            "airgradient",
            "airgradient/readings/+",
            (
                PlainField("co2", "rco2", "ppm"),
                PlainField("temperature", "atmpCompensated", "°C"),
                PlainField("pm2_5", "pm02", "µg/m³"),
            ),
        ),
    )
)


def decoded(line: dict, catalogue: bool = True) -> dict:
    decoder = Decoder([PLAIN, Zigbee2mqtt(), Tasmota()])
    known = Catalogue()
    if catalogue:
        for text in (DATA / "z2m_bridge_devices.jsonl").read_text("utf-8").splitlines():
            _, known = decode_line(text, decoder, known)
    return decode_line(json.dumps(line), decoder, known)[0]


def as_set(readings: list[dict]) -> list[tuple]:
    return sorted((reading["metric"], reading["value"], reading["unit"] or "") for reading in readings)


@pytest.mark.parametrize("name", OURS)
def test_a_real_message_gives_exactly_its_readings(name) -> None:
    said = decoded(SAMPLES[name])
    assert "error" not in said
    assert as_set(said["readings"]) == as_set(SAMPLES[name]["readings"])


@pytest.mark.parametrize("name", ["p31", "p32", "p37", "p50"])
def test_a_declared_plain_topic_gives_exactly_its_readings(name) -> None:
    assert as_set(decoded(SAMPLES[name])["readings"]) == as_set(SAMPLES[name]["readings"])


def test_a_plain_object_gives_what_is_declared_and_names_the_device_by_the_topic() -> None:
    said = decoded(SAMPLES["p41"])
    assert said["device"] == "plain/ecda3b1eaaaf"
    assert as_set(said["readings"]) == [
        ("co2", 447, "ppm"),
        ("pm2_5", 7, "µg/m³"),
        ("temperature", 24.47, "°C"),
    ]


def test_without_a_declaration_voc_has_no_unit() -> None:
    for name in ("p05", "p06", "p12"):
        readings = decoded(SAMPLES[name], catalogue=False)["readings"]
        assert next(reading for reading in readings if reading["metric"].startswith("voc")) == {
            "metric": "voc",
            "value": json.loads(SAMPLES[name]["payload"])["voc"],
            "unit": None,
        }


def test_sentinels_and_nulls_are_counted() -> None:
    assert decoded(SAMPLES["p04"])["dropped"] == {"sentinel": 1}
    assert decoded(SAMPLES["p02"])["dropped"] == {"null": 3}


def test_a_command_or_the_bridge_s_own_topics_are_no_readings_and_no_errors() -> None:
    for topic, payload in (
        ("zigbee2mqtt/purifier/set", '{"fan_mode":"2"}'),
        ("zigbee2mqtt/bridge/info", "{}"),
        ("zigbee2mqtt/bridge/logging", "x"),
        ("tele/x/INFO1", "{}"),
        ("stat/x/STATUS5", "{}"),
    ):
        said = decoded({"topic": topic, "payload": payload, "retain": False})
        assert "error" not in said
        assert said["readings"] == []


@pytest.mark.parametrize(
    ("topic", "payload", "available"),
    [
        ("zigbee2mqtt/a/b/availability", '{"state":"online"}', True),
        ("zigbee2mqtt/a/availability", "offline", False),
        ("tele/plug/LWT", "Offline", False),
    ],
)
def test_availability_in_each_spelling(topic, payload, available) -> None:
    assert decoded({"topic": topic, "payload": payload, "retain": True})["readings"] == [
        {"metric": "available", "value": available, "unit": None}
    ]


@pytest.mark.parametrize(
    ("payload", "readings"),
    [
        ({"DS18B20": {"Id": "1", "Temperature": 21.5}, "TempUnit": "C"}, [("temperature", 21.5, "°C")]),
        ({"DS18B20": {"Id": "1", "Temperature": 85.0}, "TempUnit": "C"}, []),
        (
            {"SCD40": {"CarbonDioxide": 700, "Temperature": 23.9}, "SHT3X": {"Temperature": 21.0}},
            [("co2", 700, "ppm"), ("temperature", 21.0, "°C"), ("temperature_scd40", 23.9, "°C")],
        ),
        (
            {"SEN5X": {"PM2.5": 3.1, "VOC": 101, "NOx": 1}},
            [("nox_index", 1, "index"), ("pm2_5", 3.1, "µg/m³"), ("voc_index", 101, "index")],
        ),
        (
            {"BME280": {"Temperature": None, "Pressure": 760.0}, "PressureUnit": "mmHg"},
            [("pressure", 1013.25, "hPa")],
        ),
        ({"ESP32": {"Temperature": 53.3}}, []),
    ],
)
def test_tasmota_chips_that_are_easy_to_get_wrong(payload, readings) -> None:
    said = decoded({"topic": "tele/x/SENSOR", "payload": payload, "retain": False})
    assert as_set(said["readings"]) == readings
