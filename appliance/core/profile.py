"""Owns the profile: what kind of appliance this is, as data, checked and typed.

Here stand its tables as they are written, what a home adds to them (`Binding`), and what the controller gets (`Appliance`).
Never in here: putting them together (assembly), reading files, or what a rule does.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.commands import Actuator
from appliance.core.conditions import Node
from appliance.core.guards import Guard, NoFault
from appliance.core.guards.switches import Switches
from appliance.core.overrides import Ends
from appliance.core.payloads.message import Scalar
from appliance.core.readings import Channel
from appliance.core.rules import Rule, Standing
from appliance.core.trust import ALPHA
from appliance.core.words import WordChannel
from appliance.errors import ProfileError

MAX_RULES = 64
MAX_CHANNELS = 32
MAX_ACTIONS = 16
LEARNED_MAX_AGE_NS = 300 * 1_000_000_000
"""How long a model's word holds without being said anew; it is said at every reading and every 30 s (assumed)."""


class ChannelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[channels.NAME]`: a measured one has a `quantity` (by default its name), a learned one a `model` and its `words`; one
    that a sensor says in words has `words` = word -> what the device says for it, the word of most concern first. `alpha` is the error
    level at which a model's word is acted on.
    """

    quantity: str | None = None
    max_age: str | None = None
    model: str | None = None
    alpha: float | None = None
    metric: str | None = None
    words: tuple[str, ...] | dict[str, Scalar | tuple[Scalar, ...]] = ()


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
    """`[commands.DIALECT.ACTION]`: `set` = property -> value; `seen` = metric -> value, or the values that all mean it;
    `lease` = property -> the unit in which the device is told when to end it by itself.
    """

    set: dict[str, Scalar]
    seen: dict[str, Scalar | tuple[Scalar, ...]] = {}
    lease: dict[str, str] = {}


class InsteadTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[fallback.instead]]`: what is done instead of resting, while `when` is true and nobody asks for anything."""

    when: str
    exactly: str
    because: str


class FallbackTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[fallback]`: what is done when nobody asks for anything, and why."""

    because: str
    instead: tuple[InsteadTable, ...] = ()


class LeaseTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[lease]`: after which time the device ends what it was told, unless it is told again. `required`: for what must not run
    when nobody watches.
    """

    span: str = msgspec.field(name="for")
    required: bool = False


class VoicesTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[voices]`: how far the voices of a kind may go, whatever the single rule says."""

    rules: Standing = Standing.ACT
    model: Standing = Standing.ACT


class InvariantTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[invariants]]`: what must hold of every decision while `when` does, but where an authority of `unless` settled it."""

    id: str
    when: str
    because: str
    at_least: str | None = None
    at_most: str | None = None
    exactly: str | None = None
    unless: tuple[str, ...] = ()


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
    needs_person: tuple[str, ...] = ()
    voices: VoicesTable = VoicesTable()
    lease: LeaseTable | None = None
    ends: dict[str, str] = {}
    invariants: tuple[InvariantTable, ...] = ()


class Binding(msgspec.Struct, frozen=True):
    """How one home uses a profile: the appliance's `id`, its `device`, and the sources (device, metric) of each channel.

    `rules` change a RULE of the profile by its id (settings not given stay), or add one; `commands` replace spellings;
    `voices` lower what the profile allows; `without_lease` accepts a device that can't end what it was told by itself.
    `excludes` are the groups that it belongs to: (name, the appliances that go first, those that come after).
    """

    id: str
    device: str
    title: str | None = None
    hold: str | None = None
    channels: Mapping[str, tuple[tuple[str, str | None], ...]] = {}
    rules: Mapping[str, Mapping[str, Any]] = {}
    commands: Mapping[str, SpellingTable] = {}
    voices: Mapping[str, str] = {}
    without_lease: bool = False
    excludes: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()


class Invariant(msgspec.Struct, frozen=True):
    """A claim about every decision: while `when` is true, the action lies within [`at_least`, `at_most`], indices into the
    ladder, unless an authority of `unless` settled it.
    """

    id: str
    when: Node
    at_least: int
    at_most: int
    unless: frozenset[Authority]
    because: str


class Appliance(msgspec.Struct, frozen=True, dict=True):
    """All that the controller knows of one appliance. Immutable; a changed config makes a new one.

    `sources` are (device, metric, channel); `models` are learned channel -> name of the bundle, `alphas` learned channel -> error level,
    where the profile gives one; `watts` by action.
    `needs_person` are the actions, as indices, that only a person or life safety may enter; `watches` the other appliances
    whose state a rule or guard looks at.
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
    instead: tuple[Rule, ...]
    hold_ns: int
    watts: Mapping[str, float]
    ends: Ends
    worded: Mapping[str, WordChannel] = {}
    needs_person: frozenset[int] = frozenset()
    invariants: tuple[Invariant, ...] = ()
    watches: frozenset[str] = frozenset()
    alphas: Mapping[str, float] = {}

    def alpha(self, channel: str) -> float:
        """Return the error level at which what a model says in `channel` is acted on."""
        return self.alphas.get(channel, ALPHA)

    @cached_property
    def may_act(self) -> bool:
        """Whether any rule may act; where none may, the fallback only recommends too."""
        return any(rule.standing is Standing.ACT for rule in self.rules)

    @cached_property
    def bound(self) -> frozenset[str]:
        """The channels that something in this home feeds: a sensor, or a model."""
        return frozenset([*(channel for _, _, channel in self.sources), *self.models])

    @cached_property
    def counted(self) -> int:
        """How many switches of the last hour a guard looks at."""
        return max((guard.per_hour for guard in self.guards if isinstance(guard, Switches)), default=0)

    @cached_property
    def fault_finders(self) -> tuple[Guard, ...]:
        """The guards that can tell whether the device is broken."""
        return tuple(guard for guard in self.guards if not isinstance(guard, NoFault))


def read_profile(table: Mapping[str, Any], *, where: str) -> ProfileTable:
    """Return the typed form of a profile's TOML table.

    Raises:
        ProfileError: something is missing, unknown, or of the wrong type; names the key.
    """
    try:
        return msgspec.convert(table, ProfileTable)
    except msgspec.ValidationError as broken:
        raise ProfileError(
            f"{where}: {broken}",
            hint="the keys of a profile are listed in docs/configuration.md",
            rule=_rule_named(table, str(broken)),
        ) from None


def _rule_named(table: Mapping[str, Any], broken: str) -> str | None:
    """Return the id of the rule that an error of the form "… at `$.rules[3]`" means, or None."""
    found = re.search(r"`\$\.(rules|invariants)\[(\d+)\]", broken)
    if found is None:
        return None
    rule = table[found[1]][int(found[2])]
    name = rule.get("id") if isinstance(rule, dict) else None
    return name if isinstance(name, str) else None
