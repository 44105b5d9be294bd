"""Owns what the simulated bridge declares of its devices: the retained list with their exposes and units.

Never in here: what they say later. Properties, units, access bits and words are those of
zigbee-herdsman-converters.
"""

from typing import Final

from appliance.simulate.devices import LIVING_AIR, LIVING_CO2, PURIFIER
from appliance.simulate.purifier import MODES

_READ, _ALL = 5, 7
"""Access bits of zigbee2mqtt: 1 published, 2 settable, 4 readable on request."""

AIR_QUALITY: Final = (
    (10, "excellent"),
    (20, "good"),
    (25, "moderate"),
    (50, "poor"),
    (75, "unhealthy"),
    (800, "hazardous"),
)
"""Up to so many µg/m³: the words by which the bridge calls the purifier's reading
(zigbee-herdsman-converters, ikea.ts)."""


def _numeric(
    key: str, label: str, unit: str | None, access: int, description: str, **more: object
) -> dict[str, object]:
    exposed: dict[str, object] = {
        "name": key,
        "label": label,
        "access": access,
        "type": "numeric",
        "property": key,
        "description": description,
    }
    return {**exposed, **({} if unit is None else {"unit": unit}), **more}


def _other(
    key: str, label: str, access: int, kind: str, description: str, **more: object
) -> dict[str, object]:
    return {
        "name": key,
        "label": label,
        "access": access,
        "type": kind,
        "property": key,
        "description": description,
        **more,
    }


def _device(
    number: int, name: str, kind: str, model_id: str, definition: dict[str, object] | None
) -> dict[str, object]:
    device: dict[str, object] = {
        "disabled": False,
        "friendly_name": name,
        "ieee_address": f"0x{0x00124B0000000000 + number:016x}",
        "interview_completed": True,
        "interviewing": False,
        "network_address": 0 if number == 0 else 984 + number,
        "supported": True,
        "type": kind,
        "definition": definition,
        "endpoints": {},
    }
    return device if definition is None else {**device, "model_id": model_id}


def _definition(
    vendor: str, model: str, description: str, exposes: list[dict[str, object]]
) -> dict[str, object]:
    return {
        "model": model,
        "vendor": vendor,
        "description": description,
        "exposes": exposes,
        "options": [],
        "supports_ota": False,
    }


DEVICES: Final = [
    _device(0, "Coordinator", "Coordinator", "", None),
    _device(
        16,
        LIVING_AIR,
        "EndDevice",
        "VINDSTYRKA",
        _definition(
            "IKEA",
            "E2112",
            "VINDSTYRKA air quality sensor",
            [
                _numeric("temperature", "Temperature", "°C", _READ, "Temperature of the room"),
                _numeric("humidity", "Humidity", "%", _READ, "Relative humidity of the room"),
                _numeric("pm25", "Pm25", "µg/m³", _READ, "Fine particles"),
                _numeric(
                    "voc_index",
                    "VOC index",
                    None,
                    _READ,
                    "Organic vapours against the last day, which is 100",
                ),
            ],
        ),
    ),
    _device(
        17,
        LIVING_CO2,
        "EndDevice",
        "HS3AQ-EFA-3.0",
        _definition(
            "Heiman",
            "HS3AQ",
            "Air quality monitor",
            [
                _numeric("co2", "CO2", "ppm", 1, "Carbon dioxide"),
                _numeric("battery", "Battery", "%", 1, "Charge left", value_max=100, value_min=0),
                _numeric("humidity", "Humidity", "%", 1, "Relative humidity of the room"),
                _numeric("temperature", "Temperature", "°C", 1, "Temperature of the room"),
            ],
        ),
    ),
    _device(
        18,
        PURIFIER,
        "Router",
        "STARKVIND Air purifier",
        _definition(
            "IKEA",
            "E2007",
            "STARKVIND air purifier",
            [
                {
                    "type": "fan",
                    "features": [
                        {
                            **_other(
                                "state", "State", _ALL, "binary", "On or off", value_on="ON", value_off="OFF"
                            ),
                            "property": "fan_state",
                        },
                        {
                            **_other("mode", "Mode", _ALL, "enum", "What the fan does", values=list(MODES)),
                            "property": "fan_mode",
                        },
                    ],
                },
                _numeric("fan_speed", "Fan speed", None, _READ, "Speed of the fan", value_max=9, value_min=0),
                _numeric("pm25", "PM25", "µg/m³", _READ, "Fine particles at the purifier"),
                _other(
                    "air_quality",
                    "Air quality",
                    _READ,
                    "enum",
                    "The same in a word",
                    values=[*(word for _, word in AIR_QUALITY), "out_of_range", "unknown"],
                ),
                _other(
                    "led_enable",
                    "Led enable",
                    _ALL,
                    "binary",
                    "Lights",
                    category="config",
                    value_on=True,
                    value_off=False,
                ),
                _other(
                    "child_lock",
                    "Child lock",
                    _ALL,
                    "binary",
                    "Locks the knob",
                    category="config",
                    value_on="LOCK",
                    value_off="UNLOCK",
                ),
                _other(
                    "replace_filter",
                    "Replace filter",
                    _READ,
                    "binary",
                    "Filter older than 6 months",
                    category="diagnostic",
                    value_on=True,
                    value_off=False,
                ),
                _numeric(
                    "filter_age",
                    "Filter age",
                    "minutes",
                    _READ,
                    "Time that the filter was used",
                    category="diagnostic",
                ),
                _numeric(
                    "device_age",
                    "Device age",
                    "minutes",
                    _READ,
                    "Time that the purifier was used",
                    category="diagnostic",
                ),
                _other(
                    "identify", "Identify", 2, "enum", "Lets it blink", category="config", values=["identify"]
                ),
            ],
        ),
    ),
]
