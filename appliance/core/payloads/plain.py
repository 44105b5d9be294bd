"""Owns devices that speak no dialect: a topic that the config declares, and where the numbers lie in it.

Never in here: guessing. What is not declared is not read.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.core.payloads.json import number, read
from appliance.core.payloads.message import Catalogue, Decoded, Message, Scalar, level
from appliance.core.quantities import convert, quantity_of
from appliance.core.readings import Reading
from appliance.errors import ConfigError

_BARE_NUMBER = re.compile(rb"\s*(-?\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?)\s*")
"""What counts as a bare number: no nan, no inf, no underscores, no digits of other scripts."""
_NO_VALUE = frozenset({b"nan", b"NaN", b"unknown", b"unavailable", b"null", b"None", b""})


class PlainField(msgspec.Struct, frozen=True):
    """One number of a message: `path` is where it lies in the JSON, as "air.pm" or "sensors.0.value"; "" is a bare number."""

    metric: str
    path: str
    unit: str | None


class PlainSource(msgspec.Struct, frozen=True):
    """Messages on `topic`, in which one "+" stands for the device's name (without one it is `name`). `states`: metric, path."""

    name: str
    topic: str
    fields: tuple[PlainField, ...]
    states: tuple[tuple[str, str], ...] = ()


class PlainTarget(msgspec.Struct, frozen=True):
    """Where commands go: in `topic` and `payload`, {device} and the command's {properties} are filled in."""

    name: str
    topic: str
    payload: str


class Plain:
    """The dialect of what the config declares. Raises ConfigError where a declaration makes no sense."""

    name = "plain"

    def __init__(self, sources: tuple[PlainSource, ...] = (), targets: tuple[PlainTarget, ...] = ()) -> None:
        self._sources = sources
        self._targets = targets
        self._patterns = [(_pattern(source), source) for source in sources]
        for source in sources:
            for field in source.fields:
                quantity = quantity_of(field.metric)
                if quantity is None:
                    raise ConfigError(
                        f"[plain.{source.name}] {field.metric!r} is no quantity",
                        hint="see docs/configuration.md",
                    )
                if field.unit is not None and convert(0.0, field.unit, quantity) is None:
                    raise ConfigError(
                        f"[plain.{source.name}] {field.unit!r} is no unit of {field.metric}",
                        hint=f"write it in {quantity.unit}",
                    )
        self._spelt = {
            (source.name, field.metric): (
                quantity,
                field.unit,
                tuple(field.path.split(".")) if field.path else (),
            )
            for source in sources
            for field in source.fields
            if (quantity := quantity_of(field.metric)) is not None
        }

    def subscriptions(self) -> tuple[str, ...]:
        """The declared topics."""
        return tuple(dict.fromkeys(source.topic for source in self._sources))

    def decode(self, message: Message, catalogue: Catalogue) -> Decoded | None:
        """Return what `message` says by every source whose topic it has; None where there is none. Raises Malformed."""
        del catalogue
        topic, payload = message.topic, message.payload
        device = None
        value: Any = None
        readings: list[Reading] = []
        states: list[Reading] = []
        dropped: Counter[str] = Counter()
        for pattern, source in self._patterns:
            match = pattern.fullmatch(topic)
            if match is None:
                continue
            if device is None:
                device = f"plain/{match[1] if match.groups() else source.name}"
            if value is None and (source.states or any(field.path for field in source.fields)):
                value = read(payload, where=topic)
            for field in source.fields:
                quantity, unit, path = self._spelt[source.name, field.metric]
                plain = _bare(payload) if not path else _looked_up(value, path)
                if plain is None or isinstance(plain, str):
                    dropped[plain or "missing"] += 1
                elif plain in quantity.sentinels:
                    dropped["sentinel"] += 1
                elif unit is None:
                    readings.append(Reading(device, field.metric, plain, None))
                else:
                    converted = plain if unit == quantity.unit else convert(plain, unit, quantity)
                    if converted is not None:
                        readings.append(Reading(device, field.metric, converted, quantity.unit))
            for metric, spot in source.states:
                word = _found(value, tuple(spot.split(".")))
                if isinstance(word, str | bool | int | float) and len(str(word)) <= 64:
                    states.append(
                        Reading(device, metric, word.lower() if isinstance(word, str) else word, None)
                    )
                else:
                    dropped["missing" if word is None else "not_a_word"] += 1
        return None if device is None else Decoded(device, tuple(readings), tuple(states), dropped=dropped)

    def encode(self, device: str, command: Mapping[str, Scalar]) -> tuple[Message, ...]:
        """Return the declared message, filled in. Raises ConfigError where nothing is declared for `device`."""
        name = level(device.removeprefix("plain/"), where=device)
        target = next((one for one in self._targets if one.name == name), None) or next(
            (one for one in self._targets if "{device}" in one.topic), None
        )
        if target is None:
            raise ConfigError(
                f"{device}: no command_topic is declared",
                hint=f"add [plain.{name}] with command_topic and command_payload",
            )
        words = {"device": name, **{key: _word(value) for key, value in command.items()}}
        return (Message(_filled(target.topic, words), _filled(target.payload, words).encode()),)

    def ask(self, device: str, properties: tuple[str, ...]) -> tuple[Message, ...]:
        """Nothing: a plain device is not known to answer."""
        del device, properties
        return ()


def _pattern(source: PlainSource) -> re.Pattern[str]:
    if source.topic.count("+") > 1 or "#" in source.topic:
        raise ConfigError(
            f"[plain.{source.name}] topic {source.topic!r}: one + at most, and no #",
            hint="write it as sensors/+/state",
        )
    return re.compile(re.escape(source.topic).replace(r"\+", "([^/]{1,128})"))


def _bare(payload: bytes) -> float | str:
    """Return the bare number, or the reason for none."""
    match = _BARE_NUMBER.fullmatch(payload[:64])
    if match is not None and len(payload) <= 64:
        return float(match[1])
    return "null" if payload.strip() in _NO_VALUE else "not_a_number"


def _found(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _looked_up(value: Any, path: tuple[str, ...]) -> float | int | str:
    """Return the number at `path`, or the reason for none. A number in a string counts: plain devices often send it so."""
    found = _found(value, path)
    if found is None:
        return "null"
    if isinstance(found, str):
        return _bare(found.encode()) if len(found) <= 64 and found.isascii() else "not_a_number"
    plain = number(found)
    return "not_a_number" if plain is None else plain


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(template: str, words: Mapping[str, str]) -> str:
    """Return `template` with each known {name} replaced; other braces, as JSON has them, stay."""
    return re.sub(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", lambda match: words.get(match[1], match[0]), template)


DIALECT = Plain
