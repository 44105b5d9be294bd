"""Owns what zigbee2mqtt's properties mean: which quantity in which unit, fixed by its converters or told by `exposes`.

Never in here: topics, or the values of a message.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from appliance.core.payloads.message import Declaration, Scalar
from appliance.core.quantities import MICROGRAMS, QUANTITIES, Quantity, canonical, convert

MAX_EXPOSES = 512
"""So many features of one device are read."""
MAX_WORD = 64

# Property -> (quantity, unit). The converters fix these units in code; where it is None the same key comes in several
# units, and only the device's declaration tells which (zigbee-herdsman-converters 26.112.0).
MEASURED: dict[str, tuple[str, str | None]] = {
    "pm1": ("pm1", MICROGRAMS),
    "pm25": ("pm2_5", MICROGRAMS),
    "pm4": ("pm4", MICROGRAMS),
    "pm10": ("pm10", MICROGRAMS),
    "co2": ("co2", "ppm"),
    "eco2": ("eco2", "ppm"),
    "voc": ("voc", None),
    "voc_index": ("voc_index", "index"),
    "formaldehyd": ("hcho_ugm3", MICROGRAMS),
    "formaldehyde": ("hcho", None),
    "hcho": ("hcho", None),
    "temperature": ("temperature", "°C"),
    "humidity": ("humidity", "%"),
    "pressure": ("pressure", "hPa"),
    "illuminance": ("illuminance", "lx"),
    "illuminance_lux": ("illuminance", "lx"),
    "power": ("power", "W"),
    "energy": ("energy", "kWh"),
    "current": ("current", "A"),
    "voltage": ("voltage", None),
    "battery": ("battery", "%"),
}
_NUMBERED = re.compile(r"([a-z0-9_]+)_(l?[0-9]{1,2})")
"""A property of a device that has several of a kind."""
_BY_UNIT = {("voc", "ppb"): "voc_ppb", ("voc", "ppm"): "voc_ppb", ("voc", MICROGRAMS): "voc_ugm3", ("voc", "mg/m³"): "voc_ugm3",
            ("voc", "index"): "voc_index",
            ("hcho", MICROGRAMS): "hcho_ugm3", ("hcho", "mg/m³"): "hcho_ugm3", ("hcho", "ppm"): "hcho_ugm3", ("hcho", "ppb"): "hcho_ugm3"}  # fmt: skip
"""Which quantity an ambiguous key is, by its declared unit."""


class Spelling(msgspec.Struct, frozen=True):
    """How one property of one device is understood: which quantity, and in which unit it is sent."""

    metric: str
    quantity: Quantity | None
    unit: str | None


def spell(key: str, declared: str | None) -> Spelling | None:
    """Return how the property `key` is understood where its unit is declared as `declared` (None: not at all).

    None: it is nothing measured, or in a unit that can't be understood. A spelling without a quantity is of a key whose unit
    nobody told: its number is shown, never acted on.
    """
    measured = MEASURED.get(key)
    suffix = ""
    if measured is None and (numbered := _NUMBERED.fullmatch(key)) is not None:
        # A device with several of a kind: temperature_2, power_l1.
        measured, suffix = MEASURED.get(numbered[1]), f"_{numbered[2]}"
    if measured is None:
        return None
    metric, unit = measured
    if declared is not None:
        unit = canonical(declared)
        metric = _BY_UNIT.get((metric, unit), metric)
    if unit is None:
        return Spelling(metric + suffix, None, None)
    quantity = QUANTITIES.get(metric)
    if quantity is None or (unit != quantity.unit and convert(0.0, unit, quantity) is None):
        return None
    return Spelling(metric + suffix, quantity, unit)


def read_declaration(entry: object) -> Declaration | None:
    """Return what one entry of `bridge/devices` declares; None where it is no device that zigbee2mqtt knows."""
    if not isinstance(entry, dict) or not isinstance(entry.get("friendly_name"), str):
        return None
    definition = entry.get("definition")
    if not isinstance(definition, dict):
        return None
    units: dict[str, str] = {}
    accepts: dict[str, tuple[Scalar, ...]] = {}
    for feature in _features(definition.get("exposes"), MAX_EXPOSES):
        key = feature.get("property")
        if not isinstance(key, str) or len(key) > MAX_WORD:
            continue
        unit = feature.get("unit")
        if isinstance(unit, str) and len(unit) <= 32:
            units[key] = unit
        access = feature.get("access")
        values = feature.get("values")
        if isinstance(access, int) and access & 2:
            words = (
                values if isinstance(values, list) else [feature.get("value_on"), feature.get("value_off")]
            )
            accepts[key] = tuple(
                word
                for word in words[:64]
                if isinstance(word, int | float | bool) or (isinstance(word, str) and len(word) <= MAX_WORD)
            )
    described = definition.get("description")
    return Declaration(
        f"zigbee2mqtt/{entry['friendly_name'][:200]}",
        units,
        accepts,
        described[:200] if isinstance(described, str) else "",
    )


def _features(exposes: object, most: int) -> Iterator[dict[str, Any]]:
    """Yield the leaves of a definition's exposes; a bounded number, and no deeper than they nest (one level)."""
    if not isinstance(exposes, list):
        return
    for exposed in exposes[:most]:
        if isinstance(exposed, dict):
            inner = exposed.get("features")
            if isinstance(inner, list):
                yield from (feature for feature in inner[:most] if isinstance(feature, dict))
            else:
                yield exposed
