"""Owns how zigbee2mqtt spells: `<base>/<name>` with all keys of a device's cache, units in `<base>/bridge/devices`.

null is "not known yet", never 0. The unit of some keys (voc) is told by the declaration alone. Never in here: trust, or
what a device should do.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.core.payloads.exposes import MEASURED, Spelling, read_declaration, spell
from appliance.core.payloads.json import MAX_DECLARATION, number, read, read_object
from appliance.core.payloads.message import (
    MAX_DEVICES,
    Catalogue,
    Declaration,
    Decoded,
    Message,
    Scalar,
    level,
)
from appliance.core.quantities import QUANTITIES, canonical, convert
from appliance.core.readings import Reading
from appliance.errors import Malformed

_STATES = frozenset(
    [
        *(f"state_{end}" for end in ("l1", "l2", "l3", "l4", "left", "right", "1", "2", "3", "4")),
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


class Zigbee2mqtt:
    """The dialect of a zigbee2mqtt bridge at `base`."""

    name = "zigbee2mqtt"

    def __init__(self, base: str = "zigbee2mqtt") -> None:
        self.base = base
        self._prefix = f"{base}/"
        self._fixed = {
            key: spelling
            for measured in MEASURED
            for key in (
                measured,
                *(f"{measured}_{end}" for end in ("1", "2", "3", "4", "l1", "l2", "l3", "l4")),
            )
            if (spelling := spell(key, None)) is not None
        }
        self._devices: dict[str, str] = {}
        self._declared: dict[str, tuple[Declaration, dict[str, Spelling | None]]] = {}

    def subscriptions(self) -> tuple[str, ...]:
        """Everything under the base topic."""
        return (f"{self.base}/#",)

    def decode(self, message: Message, catalogue: Catalogue) -> Decoded | None:
        """Return what `message` says; None where the topic lies outside the base. Raises Malformed."""
        topic = message.topic
        device = self._devices.get(topic)
        if device is not None:
            return self._device(device, read_object(message.payload, where=topic), catalogue)
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
        if len(self._devices) < MAX_DEVICES:
            self._devices[topic] = device
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
        dropped: defaultdict[str, int] = defaultdict(int)
        spellings = self._spellings(device, catalogue)
        for key, value in payload.items():
            spelling = spellings.get(key)
            if spelling is None:
                if key in _STATES:
                    self._state(device, key, value, states, dropped)
                elif value is not None and key in spellings:
                    dropped["unit"] += 1
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
            elif spelling.unit == spelling.quantity.unit:
                if key != "illuminance" or "illuminance_lux" not in payload:
                    # Versions before 2 send both: lux under the longer name, the chip's raw number under the shorter.
                    readings.append(Reading(device, spelling.metric, plain, spelling.unit))
            elif (converted := convert(plain, spelling.unit or "", spelling.quantity)) is None:
                dropped["unit"] += 1
            elif converted in spelling.quantity.sentinels:
                dropped["sentinel"] += 1
            else:
                readings.append(Reading(device, spelling.metric, converted, spelling.quantity.unit))
        last_seen = payload.get("last_seen")
        return Decoded(
            device,
            tuple(readings),
            tuple(states),
            dropped=dict(dropped),
            last_seen=str(last_seen)[:64] if isinstance(last_seen, str | int | float) else None,
        )

    def _state(
        self, device: str, key: str, value: object, states: list[Reading], dropped: defaultdict[str, int]
    ) -> None:
        if value is None:
            dropped["null"] += 1
        elif key in _LEVELS:
            plain = number(value)
            if plain is None:
                dropped["not_a_number"] += 1
            elif plain in QUANTITIES["fan_speed"].sentinels:
                dropped["sentinel"] += 1
            else:
                states.append(Reading(device, key, plain, "level"))
        elif isinstance(value, bool):
            states.append(Reading(device, key, value, None))
        elif isinstance(value, str) and len(value) <= 64:
            states.append(Reading(device, key, value.lower(), None))
        else:
            dropped["not_a_word"] += 1

    def _spellings(self, device: str, catalogue: Catalogue) -> Mapping[str, Spelling | None]:
        """Return how each property of `device` is spelt; None for one whose declared unit can't be understood."""
        declaration = catalogue.devices.get(device)
        if declaration is None:
            return self._fixed
        cached = self._declared.get(device)
        if cached is None or cached[0] is not declaration:
            table: dict[str, Spelling | None] = dict(self._fixed)
            for key, unit in declaration.units.items():
                if key == "voltage" and canonical(unit) == "mV":
                    # Every device that tells millivolts tells them of its battery.
                    table.pop(key, None)
                elif (spelling := spell(key, unit)) is not None or key in table:
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
            declarations=tuple(found for entry in listed if (found := read_declaration(entry)) is not None),
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


DIALECT = Zigbee2mqtt
