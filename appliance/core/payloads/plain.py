"""Owns devices that speak no dialect: a topic that the config declares, and where the numbers lie in it.

Never in here: guessing. What is not declared is not read.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.core.payloads.json import number, read
from appliance.core.payloads.message import Catalogue, Decoded, Message, Scalar, level
from appliance.core.quantities import Quantity, canonical, convert, quantity_of
from appliance.core.readings import Reading
from appliance.errors import ConfigError

_BARE_NUMBER = re.compile(rb"\s*(-?\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?)\s*")
"""What counts as a bare number: no nan, no inf, no underscores, no digits of other scripts."""
_POSITION = re.compile(r"[0-9]{1,6}")
_NO_VALUE = frozenset({b"nan", b"unknown", b"unavailable", b"null", b"none", b""})
MAX_WORD = 64
"""The longest bare number or word, in bytes."""
MAX_TOPICS = 4096
"""Of so many topics it is remembered which source they are of; and so many commands as they were spelt."""


class PlainField(msgspec.Struct, frozen=True):
    """One number of a message, and where it lies.

    `path` goes by dots, as "air.pm" or "sensors.0.value"; one that begins with "/" is a JSON pointer (RFC 6901), for keys
    with a dot in them, as "/VINDRIKTNING/PM2.5"; "" means that the payload is the bare number.
    """

    metric: str
    path: str
    unit: str | None


class PlainSource(msgspec.Struct, frozen=True):
    """Messages on `topic`, in which one "+" stands for the device's name (without one it is `name`).

    `states` are pairs of metric and path, as in `PlainField`; with the path "" the payload is the bare word.
    """

    name: str
    topic: str
    fields: tuple[PlainField, ...]
    states: tuple[tuple[str, str], ...] = ()


class PlainTarget(msgspec.Struct, frozen=True):
    """Where commands go: in `topic` and `payload`, {device} and the command's {properties} are filled in."""

    name: str
    topic: str
    payload: str


class _Number(msgspec.Struct, frozen=True):
    metric: str
    quantity: Quantity
    unit: str | None
    path: tuple[str, ...]


class _Shape(msgspec.Struct, frozen=True):
    """What one source's messages are read for, worked out once."""

    numbers: tuple[_Number, ...]
    states: tuple[tuple[str, tuple[str, ...]], ...]


class Plain:
    """The dialect of what the config declares. Raises ConfigError where a declaration makes no sense."""

    name = "plain"

    def __init__(self, sources: tuple[PlainSource, ...] = (), targets: tuple[PlainTarget, ...] = ()) -> None:
        self._sources = sources
        self._targets = targets
        self._patterns = [(_pattern(source), source.name, _shape(source)) for source in sources]
        self._topics: dict[str, tuple[str, tuple[_Shape, ...]]] = {}
        self._encoded: dict[tuple[Any, ...], tuple[Message, ...]] = {}

    def subscriptions(self) -> tuple[str, ...]:
        """The declared topics."""
        return tuple(dict.fromkeys(source.topic for source in self._sources))

    def decode(self, message: Message, catalogue: Catalogue) -> Decoded | None:
        """Return what `message` says by every source whose topic it has; None where there is none. Raises Malformed."""
        del catalogue
        topic, payload = message.topic, message.payload
        known = self._topics.get(topic) or self._match(topic)
        if known is None:
            return None
        device, shapes = known
        readings: list[Reading] = []
        states: list[Reading] = []
        dropped: defaultdict[str, int] = defaultdict(int)
        tree: Any = None
        unread = True
        for shape in shapes:
            for number_ in shape.numbers:
                if number_.path and unread:
                    tree, unread = read(payload, where=topic), False
                plain = _looked_up(tree, number_.path) if number_.path else _bare(payload)
                if isinstance(plain, str):
                    dropped[plain] += 1
                else:
                    _measure(device, number_, plain, readings, dropped)
            for metric, path in shape.states:
                if path and unread:
                    tree, unread = read(payload, where=topic), False
                word = _found(tree, path) if path else _bare_word(payload)
                if isinstance(word, str) and 0 < len(word) <= MAX_WORD:
                    states.append(Reading(device, metric, word.lower(), None))
                elif isinstance(word, bool):
                    states.append(Reading(device, metric, word, None))
                elif (told := number(word)) is not None:
                    states.append(Reading(device, metric, told, None))
                else:
                    dropped["null" if word is None else "not_a_word"] += 1
        return Decoded(device, tuple(readings), tuple(states), dropped=dict(dropped))

    def encode(self, device: str, command: Mapping[str, Scalar]) -> tuple[Message, ...]:
        """Return the declared message, filled in.

        Raises:
            ConfigError: nothing is declared for `device`, the declaration asks for a property that `command` has not, or
                what would stand in the topic can't.
        """
        key = (device, *command.items())
        known = self._encoded.get(key)
        if known is None:
            known = self._encode(device, command)
            if len(self._encoded) < MAX_TOPICS:
                self._encoded[key] = known
        return known

    def _encode(self, device: str, command: Mapping[str, Scalar]) -> tuple[Message, ...]:
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
        topic = _filled(target.topic, words, where=f"[plain.{target.name}] command_topic")
        for part in topic.split("/"):
            level(part, where=f"[plain.{target.name}] command_topic")
        payload = _filled(target.payload, words, where=f"[plain.{target.name}] command_payload")
        return (Message(topic, payload.encode()),)

    def ask(self, device: str, properties: tuple[str, ...]) -> tuple[Message, ...]:
        """Nothing: a plain device is not known to answer."""
        del device, properties
        return ()

    def _match(self, topic: str) -> tuple[str, tuple[_Shape, ...]] | None:
        found = [
            (match, name, shape)
            for pattern, name, shape in self._patterns
            if (match := pattern.fullmatch(topic)) is not None
        ]
        if not found:
            return None
        match, name, _ = found[0]
        known = (
            f"plain/{match[1] if match.re.groups else name}",
            tuple(shape for _, _, shape in found),
        )
        if len(self._topics) < MAX_TOPICS:
            self._topics[topic] = known
        return known


def _shape(source: PlainSource) -> _Shape:
    numbers = []
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
        unit = None if field.unit is None else canonical(field.unit)
        numbers.append(_Number(field.metric, quantity, unit, _path(field.path)))
    return _Shape(tuple(numbers), tuple((metric, _path(path)) for metric, path in source.states))


def _path(text: str) -> tuple[str, ...]:
    if text.startswith("/"):
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))
    return tuple(text.split(".")) if text else ()


def _measure(
    device: str, spelt: _Number, plain: float, readings: list[Reading], dropped: defaultdict[str, int]
) -> None:
    quantity = spelt.quantity
    if plain in quantity.sentinels:
        dropped["sentinel"] += 1
    elif spelt.unit is None:
        readings.append(Reading(device, spelt.metric, plain, None))
    elif spelt.unit == quantity.unit:
        readings.append(Reading(device, spelt.metric, plain, quantity.unit))
    elif (converted := convert(plain, spelt.unit, quantity)) is None:
        dropped["unit"] += 1
    elif converted in quantity.sentinels:
        dropped["sentinel"] += 1
    else:
        readings.append(Reading(device, spelt.metric, converted, quantity.unit))


def _pattern(source: PlainSource) -> re.Pattern[str]:
    if source.topic.count("+") > 1 or "#" in source.topic:
        raise ConfigError(
            f"[plain.{source.name}] topic {source.topic!r}: one + at most, and no #",
            hint="write it as sensors/+/state",
        )
    return re.compile(re.escape(source.topic).replace(r"\+", "([^/]{1,128})"))


def _bare(payload: bytes) -> float | int | str:
    """Return the bare number, or the reason for none."""
    match = _BARE_NUMBER.fullmatch(payload) if len(payload) <= MAX_WORD else None
    if match is not None:
        text = match[1]
        return int(text) if text.removeprefix(b"-").isdigit() else float(text)
    return "null" if payload[:MAX_WORD].strip().lower() in _NO_VALUE else "not_a_number"


def _bare_word(payload: bytes) -> str | None:
    """Return the payload as a word; "" where it is none, None where it says that there is no value."""
    word = payload[: MAX_WORD + 1].strip()
    if word.lower() in _NO_VALUE:
        return None
    return word.decode() if word.isascii() and word.decode().isprintable() else ""


def _found(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and _POSITION.fullmatch(key) and int(key) < len(value):
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


def _filled(template: str, words: Mapping[str, str], *, where: str) -> str:
    """Return `template` with each {name} replaced; other braces, as JSON has them, stay. Raises ConfigError."""

    def word(match: re.Match[str]) -> str:
        found = words.get(match[1])
        if found is None:
            raise ConfigError(
                f"{where}: the command says no {match[1]!r}",
                hint=f"it says {', '.join(sorted(words))}",
            )
        return found

    return re.sub(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", word, template)


DIALECT = Plain
