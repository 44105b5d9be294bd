"""Owns the profile: what kind of appliance this is, as data, checked and typed.

Here stand its tables as they are written, what a home adds to them (`Binding`), and what the controller gets (`Appliance`).
Never in here: putting them together (assembly), reading files, or what a rule does.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.core.arbitration import Ladder, Proposal
from appliance.core.commands import Actuator
from appliance.core.guards import Guard
from appliance.core.payloads.message import Scalar
from appliance.core.readings import Channel
from appliance.core.rules import Rule, Standing
from appliance.errors import ProfileError

MAX_RULES = 64
MAX_CHANNELS = 32
MAX_ACTIONS = 16
LEARNED_MAX_AGE_NS = 300 * 1_000_000_000
"""How long a model's word holds without being said anew; it is said at every reading and every 30 s (assumed)."""


class ChannelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[channels.NAME]`: a measured one has a `quantity` (by default its name), a learned one a `model` and its `words`."""

    quantity: str | None = None
    max_age: str | None = None
    model: str | None = None
    words: tuple[str, ...] = ()


class RuleTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[rules]]`."""

    id: str
    when: str
    because: str
    until: str | None = None
    at_least: str | None = None
    at_most: str | None = None
    exactly: str | None = None
    authority: str = "RULE"
    standing: Standing = Standing.ACT


class SpellingTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[commands.DIALECT.ACTION]`: `set` = property -> value; `seen` = metric -> value, or the values that all mean it."""

    set: dict[str, Scalar]
    seen: dict[str, Scalar | tuple[Scalar, ...]] = {}


class FallbackTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[fallback]`: what is done when nobody asks for anything, and why."""

    because: str


class ProfileTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole profile, as written."""

    name: str
    title: str
    actions: tuple[str, ...]
    rest: str
    safe: str
    fallback: FallbackTable
    modes: tuple[str, ...] = ()
    hold: str = "1 h"
    channels: dict[str, ChannelTable] = {}
    rules: tuple[RuleTable, ...] = ()
    guards: dict[str, dict[str, Any]] = {}
    commands: dict[str, dict[str, SpellingTable]] = {}
    watts: dict[str, float] = {}


class Binding(msgspec.Struct, frozen=True):
    """How one home uses a profile: the appliance's `id`, its `device`, and the sources (device, metric) of each channel.

    `rules` change a RULE of the profile by its id (settings not given stay), or add one; `commands` replace spellings.
    """

    id: str
    device: str
    title: str | None = None
    hold: str | None = None
    channels: Mapping[str, tuple[tuple[str, str | None], ...]] = {}
    rules: Mapping[str, Mapping[str, Any]] = {}
    commands: Mapping[str, SpellingTable] = {}


class Appliance(msgspec.Struct, frozen=True):
    """All that the controller knows of one appliance. Immutable; a changed config makes a new one.

    `sources` are (device, metric, channel); `models` are learned channel -> name of the bundle; `watts` by action.
    """

    id: str
    title: str
    profile: str
    ladder: Ladder
    actuator: Actuator
    channels: Mapping[str, Channel]
    sources: tuple[tuple[str, str, str], ...]
    models: Mapping[str, str]
    words: Mapping[str, tuple[str, ...]]
    rules: tuple[Rule, ...]
    guards: tuple[Guard, ...]
    fallback: Proposal
    hold_ns: int
    watts: Mapping[str, float]

    @property
    def may_act(self) -> bool:
        """Whether any rule may act; where none may, the fallback only recommends too."""
        return any(rule.standing is Standing.ACT for rule in self.rules)


def read_profile(table: Mapping[str, Any], *, where: str) -> ProfileTable:
    """Return the typed form of a profile's TOML table.

    Raises:
        ProfileError: something is missing, unknown, or of the wrong type; names the key.
    """
    try:
        return msgspec.convert(table, ProfileTable)
    except msgspec.ValidationError as broken:
        raise ProfileError(
            f"{where}: {broken}", hint="the keys of a profile are listed in docs/configuration.md"
        ) from None
