"""Owns how zigbee2mqtt spells: `<base>/<name>` with all keys of a device's cache, units in `<base>/bridge/devices`.

null is "not known yet", never 0. The unit of some keys (voc) is told by the declaration alone. Never in here: trust, or
what a device should do.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from appliance.core.payloads.json import MAX_DECLARATION, number, read, read_object
from appliance.core.payloads.message import Catalogue, Declaration, Decoded, Message, Scalar, level
from appliance.core.quantities import MICROGRAMS, QUANTITIES, Quantity, canonical, convert
from appliance.core.readings import Reading
from appliance.errors import Malformed

MAX_EXPOSES = 512

# Property -> (quantity, unit). The converters fix these units in code; where it is None the same key comes in several
# units, and only the device's declaration tells which (zigbee-herdsman-converters 26.112.0).
_MEASURED: dict[str, tuple[str, str | None]] = {
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
_BY_UNIT = {("voc", "ppb"): "voc_ppb", ("voc", "ppm"): "voc_ppb", ("voc", MICROGRAMS): "voc_ugm3", ("voc", "mg/m³"): "voc_ugm3",
            ("hcho", MICROGRAMS): "hcho_ugm3", ("hcho", "mg/m³"): "hcho_ugm3"}  # fmt: skip
"""Which quantity an ambiguous key is, by its declared unit."""

_STATES = frozenset(
    [
        "state",
        "fan_state",
        "fan_mode",
        "fan_speed",
        "contact",
        "occupancy",
        "presence",
        "smoke",
        "water_leak",
        "gas",
        "carbon_monoxide",
        "tamper",
        "vibration",
    ]
)
"""Properties that say what a device does or senses in words or flags."""
_LEVELS = frozenset({"fan_speed"})
_ENDPOINTS = frozenset(
    f"{name}_{end}"
    for name in ("state", "contact")
    for end in ("l1", "l2", "l3", "l4", "left", "right", "1", "2", "3", "4")
)


class _Spelling(msgspec.Struct, frozen=True):
    """How one property of one device is understood: which quantity, and in which unit it is sent."""

    metric: str
    quantity: Quantity | None
    unit: str | None


class Zigbee2mqtt:
    """The dialect of a zigbee2mqtt bridge at `base`."""

    name = "zigbee2mqtt"

    def __init__(self, base: str = "zigbee2mqtt") -> None:
        self.base = base
        self._prefix = f"{base}/"
        self._fixed = {key: spelling for key in _MEASURED if (spelling := _spelling(key, None)) is not None}
        self._declared: dict[str, tuple[Declaration, dict[str, _Spelling | None]]] = {}

    def subscriptions(self) -> tuple[str, ...]:
        """Everything under the base topic."""
        return (f"{self.base}/#",)

    def decode(self, message: Message, catalogue: Catalogue) -> Decoded | None:
        """Return what `message` says; None where the topic lies outside the base. Raises Malformed."""
        topic = message.topic
        if not topic.startswith(self._prefix):
            return None
        name = topic[len(self._prefix) :]
        if name.startswith("bridge/"):
            return self._bridge(name, message)
        if name.endswith("/availability"):
            return self._availability(name.removesuffix("/availability"), message)
        device = f"zigbee2mqtt/{name}"
        if name.endswith(("/set", "/get")) or "/set/" in name or "/get/" in name:
            return Decoded(device)
        return self._device(device, read_object(message.payload, where=topic), catalogue)

    def encode(self, device: str, command: Mapping[str, Scalar]) -> tuple[Message, ...]:
        """Return one message to `<base>/<name>/set` with all of `command`. Raises ConfigError for a name that is no topic."""
        return (Message(f"{self._prefix}{self._name(device)}/set", msgspec.json.encode(dict(command))),)

    def ask(self, device: str, properties: tuple[str, ...]) -> tuple[Message, ...]:
        """Return one message to `<base>/<name>/get`."""
        return (
            Message(
                f"{self._prefix}{self._name(device)}/get", msgspec.json.encode(dict.fromkeys(properties, ""))
            ),
        )

    def _name(self, device: str) -> str:
        name = device.removeprefix("zigbee2mqtt/")
        for part in name.split("/"):
            level(part, where=device)
        return name

    def _device(self, device: str, payload: dict[str, Any], catalogue: Catalogue) -> Decoded:
        readings: list[Reading] = []
        states: list[Reading] = []
        dropped: Counter[str] = Counter()
        spellings = self._spellings(device, catalogue)
        for key, value in payload.items():
            spelling = spellings.get(key)
            if spelling is None:
                if key in _STATES or key in _ENDPOINTS:
                    self._state(device, key, value, states, dropped)
                elif key in _MEASURED and key in spellings:
                    dropped["unit"] += value is not None
                continue
            if value is None:
                dropped["null"] += 1
                continue
            plain = number(value)
            if plain is None:
                dropped["not_a_number"] += 1
            elif spelling.quantity is None:
                if key != "voltage" or "battery" not in payload:
                    # No declaration: what it is can't be known. (A battery device's voltage is the battery's, in mV.)
                    readings.append(Reading(device, spelling.metric, plain, None))
            elif plain in spelling.quantity.sentinels:
                dropped["sentinel"] += 1
            else:
                converted = (
                    plain
                    if spelling.unit == spelling.quantity.unit
                    else convert(plain, spelling.unit or "", spelling.quantity)
                )
                if converted is None:
                    dropped["unit"] += 1
                else:
                    readings.append(Reading(device, spelling.metric, converted, spelling.quantity.unit))
        last_seen = payload.get("last_seen")
        return Decoded(
            device,
            tuple(readings),
            tuple(states),
            dropped=dropped,
            last_seen=None if last_seen is None else str(last_seen)[:64],
        )

    def _state(
        self, device: str, key: str, value: object, states: list[Reading], dropped: Counter[str]
    ) -> None:
        if value is None:
            dropped["null"] += 1
        elif key in _LEVELS:
            plain = number(value)
            if plain is None:
                dropped["not_a_number"] += 1
            else:
                states.append(Reading(device, key, plain, "level"))
        elif isinstance(value, bool):
            states.append(Reading(device, key, value, None))
        elif isinstance(value, str) and len(value) <= 64:
            states.append(Reading(device, key, value.lower(), None))
        else:
            dropped["not_a_word"] += 1

    def _spellings(self, device: str, catalogue: Catalogue) -> Mapping[str, _Spelling | None]:
        """Return how each property of `device` is spelt; None for one whose declared unit can't be understood."""
        declaration = catalogue.devices.get(device)
        if declaration is None:
            return self._fixed
        cached = self._declared.get(device)
        if cached is None or cached[0] is not declaration:
            table: dict[str, _Spelling | None] = dict(self._fixed)
            for key, unit in declaration.units.items():
                if key == "voltage" and canonical(unit) == "mV":
                    # Every device that tells millivolts tells them of its battery.
                    table.pop(key, None)
                elif (spelling := _spelling(key, unit)) is not None or key in _MEASURED:
                    table[key] = spelling
            cached = (declaration, table)
            if len(self._declared) <= len(catalogue.devices):
                self._declared[device] = cached
        return cached[1]

    def _bridge(self, name: str, message: Message) -> Decoded:
        device = "zigbee2mqtt/bridge"
        if name == "bridge/state":
            word = _word(message)
            return (
                Decoded(device, available=word == "online")
                if word in ("online", "offline")
                else Decoded(device)
            )
        if name != "bridge/devices":
            return Decoded(device)
        listed = read(message.payload, where=message.topic, most=MAX_DECLARATION)
        if type(listed) is not list:
            raise Malformed(
                f"{message.topic}: no list of devices", hint="is this zigbee2mqtt?", reason="no_list"
            )
        return Decoded(
            device,
            declarations=tuple(found for entry in listed if (found := _declaration(entry)) is not None),
        )

    def _availability(self, name: str, message: Message) -> Decoded:
        word = _word(message)
        if word not in ("online", "offline"):
            raise Malformed(
                f"{message.topic}: neither online nor offline", hint="is this zigbee2mqtt?", reason="no_word"
            )
        return Decoded(f"zigbee2mqtt/{name}", available=word == "online")


def _word(message: Message) -> str | None:
    """Return the state that a message tells, as {"state": "online"} or, in older versions, bare."""
    if message.payload in (b"online", b"offline"):
        return message.payload.decode()
    value = read_object(message.payload, where=message.topic).get("state")
    return value if isinstance(value, str) else None


def _spelling(key: str, declared: str | None) -> _Spelling | None:
    base, mark, number_ = key.rpartition("_")
    measured = _MEASURED.get(key)
    suffix = ""
    if measured is None and mark and number_.isdigit() and base in _MEASURED:
        measured, suffix = _MEASURED[base], f"_{number_}"
    if measured is None:
        return None
    metric, unit = measured
    if declared is not None:
        unit = canonical(declared)
        metric = _BY_UNIT.get((metric, unit), metric)
    if unit is None:
        return _Spelling(metric + suffix, None, None)
    quantity = QUANTITIES.get(metric)
    if quantity is None or (unit != quantity.unit and convert(0.0, unit, quantity) is None):
        return None
    return _Spelling(metric + suffix, quantity, unit)


def _declaration(entry: object) -> Declaration | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("friendly_name"), str):
        return None
    definition = entry.get("definition")
    if not isinstance(definition, dict):
        return None
    units: dict[str, str] = {}
    accepts: dict[str, tuple[Scalar, ...]] = {}
    for feature in _features(definition.get("exposes"), MAX_EXPOSES):
        key = feature.get("property")
        if not isinstance(key, str) or len(key) > 64:
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
            accepts[key] = tuple(word for word in words[:64] if isinstance(word, str | int | float | bool))
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


DIALECT = Zigbee2mqtt
