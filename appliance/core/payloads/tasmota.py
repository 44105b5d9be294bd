"""Owns how Tasmota spells: `tele/<t>/SENSOR` by sensor chip, `stat/<t>/RESULT` and `POWER`, `tele/<t>/LWT`.

Units are fixed by the firmware, but for TempUnit and PressureUnit, which each message tells. A chip's own temperature is not
the room's. Never in here: trust, or what a device should do.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from appliance.core.payloads.json import number, read_object
from appliance.core.payloads.message import Catalogue, Decoded, Message, Scalar, level
from appliance.core.quantities import MICROGRAMS, QUANTITIES, convert
from appliance.core.readings import Reading
from appliance.errors import ConfigError, Malformed

_FIELDS: dict[str, tuple[str, str | None]] = {
    # Field -> (metric, unit); None: the message's TempUnit or PressureUnit tells. Units as in Tasmota's own table of them.
    "CarbonDioxide": ("co2", "ppm"),
    "PM1": ("pm1", MICROGRAMS),
    "PM2.5": ("pm2_5", MICROGRAMS),
    "PM4": ("pm4", MICROGRAMS),
    "PM10": ("pm10", MICROGRAMS),
    "PM1_0": ("pm1", MICROGRAMS),
    "PM2_5": ("pm2_5", MICROGRAMS),
    "PM4_0": ("pm4", MICROGRAMS),
    "Temperature": ("temperature", None),
    "Humidity": ("humidity", "%"),
    "Pressure": ("pressure", None),
    "Illuminance": ("illuminance", "lx"),
    "Ambient": ("illuminance", "lx"),
    "eCO2": ("eco2", "ppm"),
    "TVOC": ("voc_ppb", "ppb"),
    "Gas": ("gas_resistance", "kΩ"),
}
_INDEXES = {
    "SEN5": {"VOC": ("voc_index", "index"), "NOx": ("nox_index", "index")},
    "SEN6": {"VOC": ("voc_index", "index"), "NOx": ("nox_index", "index")},
    "SGP4": {"TVOC": ("voc_index", "index"), "NOx": ("nox_index", "index"), "NOX": ("nox_index", "index")},
}
"""Sensirion's chips that tell indexes, by the first letters of their names. An SGP4X calls its VOC index TVOC, as others call
parts per billion."""
_ENERGY = {
    "Power": ("power", "W"),
    "Total": ("energy", "kWh"),
    "Voltage": ("voltage", "V"),
    "Current": ("current", "A"),
}
_SPLIT = frozenset({"Power", "Total", "Voltage"})
"""What a meter with several channels tells of each, in an array."""

_OWN_TEMPERATURE = ("MHZ19", "BL09", "ESP32", "AXP", "CSE", "HLW", "BL6523", "ADE79")
"""Chips whose temperature is their own and not the room's."""
_WARM = ("SCD", "STCC", "S8", "K30", "K70", "SEN5", "SEN6", "SENSEAIR", "PMS", "BME680")
"""Chips that warm themselves: another one's temperature is the better one."""
_PROBES = ("DS18", "DS1822", "MAX31855")
"""Probes on a wire: they hang anywhere; the room's is another one's where there is one."""
_DS18_NOT_READY = 85.0
"""What a DS18B20 says before its first conversion (its data sheet), in °C."""

_POWER = re.compile(r"POWER(\d{0,2})")


class Tasmota:
    """The dialect of Tasmota's default topics, %prefix%/%topic%/."""

    name = "tasmota"

    def subscriptions(self) -> tuple[str, ...]:
        """What devices say by themselves, and in answer."""
        return ("tele/#", "stat/#")

    def decode(self, message: Message, catalogue: Catalogue) -> Decoded | None:
        """Return what `message` says; None where the topic has not the shape prefix/name/command. Raises Malformed."""
        del catalogue
        prefix, _, rest = message.topic.partition("/")
        name, _, what = rest.rpartition("/")
        if prefix not in ("tele", "stat") or not name:
            return None
        device = f"tasmota/{name}"
        if what == "LWT":
            return self._will(device, message)
        power = _POWER.fullmatch(what)
        if power is not None and prefix == "stat":
            word = message.payload[:64].decode("utf-8", "replace").lower()
            return (
                Decoded(device, states=(Reading(device, _numbered("state", power[1]), word, None),))
                if word in ("on", "off")
                else Decoded(device)
            )
        if what == "SENSOR":
            return self._sensors(device, read_object(message.payload, where=message.topic))
        if what in ("STATE", "RESULT"):
            return self._state(device, read_object(message.payload, where=message.topic))
        if what in ("STATUS8", "STATUS10"):
            return self._sensors(device, _inner(message, "StatusSNS"))
        if what == "STATUS11":
            return self._state(device, _inner(message, "StatusSTS"))
        return Decoded(device)

    def encode(self, device: str, command: Mapping[str, Scalar]) -> tuple[Message, ...]:
        """Return one message a property: `cmnd/<t>/POWER` with ON. Raises ConfigError for what is no topic or command."""
        name = _name(device)
        for key in command:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,31}", key):
                raise ConfigError(
                    f"{device}: {key[:64]!r} is no command of Tasmota", hint="as POWER, POWER2, FanSpeed"
                )
        return tuple(Message(f"cmnd/{name}/{key}", str(value).encode()) for key, value in command.items())

    def ask(self, device: str, properties: tuple[str, ...]) -> tuple[Message, ...]:
        """Return the command State, which is answered by stat/<t>/RESULT with every relay and speed."""
        del properties
        return (Message(f"cmnd/{_name(device)}/STATE", b""),)

    def _will(self, device: str, message: Message) -> Decoded:
        word = message.payload[:16].lower()
        if word not in (b"online", b"offline"):
            raise Malformed(
                f"{message.topic}: neither Online nor Offline", hint="is this Tasmota?", reason="no_word"
            )
        return Decoded(device, available=word == b"online")

    def _state(self, device: str, payload: dict[str, Any]) -> Decoded:
        states: list[Reading] = []
        dropped: defaultdict[str, int] = defaultdict(int)
        for key, value in payload.items():
            power = _POWER.fullmatch(key)
            if power is not None:
                if isinstance(value, str) and value.lower() in ("on", "off"):
                    states.append(Reading(device, _numbered("state", power[1]), value.lower(), None))
                else:
                    dropped["not_a_word"] += 1
            elif key == "FanSpeed":
                speed = number(value)
                if speed is None:
                    dropped["not_a_number"] += 1
                else:
                    states.append(Reading(device, "fan_speed", speed, "level"))
        return Decoded(device, states=tuple(states), dropped=dict(dropped))

    def _sensors(self, device: str, payload: dict[str, Any]) -> Decoded:
        found: dict[str, Reading] = {}
        dropped: defaultdict[str, int] = defaultdict(int)
        units = {
            "temperature": _text(payload, "TempUnit", "C"),
            "pressure": _text(payload, "PressureUnit", "hPa"),
        }
        chips = {name: fields for name, fields in payload.items() if isinstance(fields, dict)}
        several = (
            sum(name.startswith(_PROBES) and "Temperature" in fields for name, fields in chips.items()) > 1
        )
        # The best chip for the room's air speaks first, and so gets the plain names.
        for name in sorted(chips, key=_rank):
            if name == "ENERGY":
                _energy(device, chips[name], found, dropped)
                continue
            fields = chips[name]
            indexes = _INDEXES.get(name[:4], {})
            for key, value in fields.items():
                spelt = indexes.get(key) or _FIELDS.get(key)
                if (
                    spelt is None
                    or (key == "Temperature" and name.startswith(_OWN_TEMPERATURE))
                    or (key == "eCO2" and "CarbonDioxide" in fields)
                ):
                    # An estimate beside the measurement itself (eCO2 of an SCD30) adds nothing.
                    continue
                metric, unit = spelt[0], spelt[1] or units[spelt[0]]
                converted = _measured(metric, unit, value, dropped)
                if converted is None:
                    continue
                if name.startswith(_PROBES) and converted == _DS18_NOT_READY:
                    dropped["sentinel"] += 1
                    continue
                probe = name.startswith(_PROBES) and (several or metric in found)
                named = f"{metric}_{_tail(name)}" if probe or metric in found else metric
                if len(found) < 64:
                    found[named] = Reading(device, named, converted, QUANTITIES[metric].unit)
        return Decoded(device, tuple(found.values()), dropped=dict(dropped))


def _measured(metric: str, unit: str, value: object, dropped: defaultdict[str, int]) -> float | int | None:
    if value is None:
        dropped["null"] += 1
        return None
    plain = number(value)
    if plain is None:
        dropped["not_a_number"] += 1
        return None
    quantity = QUANTITIES[metric]
    if plain in quantity.sentinels:
        dropped["sentinel"] += 1
        return None
    converted = convert(plain, unit, quantity)
    if converted is None:
        dropped["unit"] += 1
    elif converted in quantity.sentinels:
        # -127 °C is also -196.6 °F.
        dropped["sentinel"] += 1
        return None
    return converted


def _energy(
    device: str, fields: dict[str, Any], found: dict[str, Reading], dropped: defaultdict[str, int]
) -> None:
    for key, (metric, unit) in _ENERGY.items():
        value = fields.get(key)
        if key not in fields:
            continue
        if isinstance(value, list):
            # A channel's current follows from its power and the voltage; what is read of each is power, energy and voltage.
            if key in _SPLIT:
                for position, one in enumerate(value[:8], 1):
                    plain = _measured(metric, unit, one, dropped)
                    if plain is not None:
                        found[f"{metric}_{position}"] = Reading(device, f"{metric}_{position}", plain, unit)
            continue
        plain = _measured(metric, unit, value, dropped)
        if plain is not None:
            found[metric] = Reading(device, metric, plain, unit)


def _rank(chip: str) -> int:
    return 2 if chip.startswith(_PROBES) else 1 if chip.startswith(_WARM) else 0


def _tail(chip: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", chip.lower()[:32]).strip("_")


def _numbered(metric: str, digits: str) -> str:
    return f"{metric}_{digits}" if digits else metric


def _text(payload: Mapping[str, Any], key: str, default: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) and len(value) <= 16 else default


def _inner(message: Message, key: str) -> dict[str, Any]:
    inner = read_object(message.payload, where=message.topic).get(key)
    return inner if isinstance(inner, dict) else {}


def _name(device: str) -> str:
    name = device.removeprefix("tasmota/")
    for part in name.split("/"):
        level(part, where=device)
    return name


DIALECT = Tasmota
