"""Owns what goes in and out of a dialect: a message of the wire, and what it says.

Never in here: how any one dialect spells it.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

from appliance.core.readings import Reading
from appliance.errors import ConfigError

Scalar = str | int | float | bool


class Message(msgspec.Struct, frozen=True, gc=False):
    """One MQTT message. `retained`: the broker kept it, so its age is unknown. `late`: it waited somewhere for longer than is known,
    and what it measured is of unknown age, too; words and states count all the same, in their order.
    """

    topic: str
    payload: bytes
    retained: bool = False
    late: bool = False


class Declaration(msgspec.Struct, frozen=True):
    """What a device says of itself: the unit of each property, the words that it accepts for each settable one."""

    device: str
    units: Mapping[str, str]
    accepts: Mapping[str, tuple[Scalar, ...]]
    description: str = ""


class Decoded(msgspec.Struct, frozen=True):
    """What one message said.

    `readings` are numbers measured; `states` are the device's own words on what it does ("fan_state" = "on") and the
    numbers that say the same ("fan_speed" = 5, unit "level"); `available` is None where the message does not speak of
    it. `declarations` are of any device. `dropped` counts, by reason ("null", "sentinel", "not_a_number", "unit" ...),
    what gave no reading. `last_seen` is the device's own stamp, only ever compared for equality.
    """

    device: str
    readings: tuple[Reading, ...] = ()
    states: tuple[Reading, ...] = ()
    available: bool | None = None
    declarations: tuple[Declaration, ...] = ()
    dropped: Mapping[str, int] = {}
    last_seen: str | None = None


class Catalogue(msgspec.Struct, frozen=True):
    """The fold of all declarations: device -> Declaration. Bounded: see `MAX_DEVICES`."""

    devices: Mapping[str, Declaration] = {}

    def fold(self, declarations: tuple[Declaration, ...]) -> "Catalogue":
        """Return a catalogue in which each of `declarations` replaces what its device declared before."""
        if not declarations:
            return self
        merged = {**self.devices, **{declaration.device: declaration for declaration in declarations}}
        if len(merged) > MAX_DEVICES:
            merged = dict(list(merged.items())[:MAX_DEVICES])
        return Catalogue(merged)


MAX_DEVICES = 4096
"""More declared devices than this are ignored: a catalogue is a home's, not a city's."""


_NOT_IN_A_LEVEL = re.compile(r"[+#/\x00-\x1f\x7f\u2028\u2029\ufeff\ud800-\udfff]")


def level(text: str, *, where: str) -> str:
    """Return `text`, which becomes one level of a topic that we publish to.

    Raises:
        ConfigError: it is empty, longer than 128 characters, or holds a wildcard, a slash or a control character.
    """
    if not 0 < len(text) <= 128 or _NOT_IN_A_LEVEL.search(text):
        raise ConfigError(
            f"{where}: {text[:64]!r} can't be part of a topic", hint="use letters, digits, _ and -"
        )
    return text


class Dialect(Protocol):
    """How one family of devices spells its messages. One module each, found by `appliance.core.registry`."""

    name: str

    def subscriptions(self) -> tuple[str, ...]:
        """Return the MQTT topic filters that this dialect needs to hear."""
        ...

    def decode(self, message: Message, catalogue: Catalogue) -> Decoded | None:
        """Return what `message` says, or None where the topic is not this dialect's.

        Raises:
            Malformed: the topic is this dialect's, but the payload is broken.
        """
        ...

    def encode(self, device: str, command: Mapping[str, Scalar]) -> tuple[Message, ...]:
        """Return the messages that make `device` (as "zigbee2mqtt/purifier") do `command`: property -> value.

        Raises:
            ConfigError: the device's name or the command can't be said in this dialect.
        """
        ...

    def ask(self, device: str, properties: tuple[str, ...]) -> tuple[Message, ...]:
        """Return the messages that make `device` report its state now; empty where the dialect knows none."""
        ...
