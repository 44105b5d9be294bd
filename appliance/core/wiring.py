"""Owns the way from what a profile names to this home's devices: which channels there are, what feeds them, how the actuator is
told.

Never in here: rules, guards, or putting an appliance together (assembly).
"""

from collections.abc import Mapping

import msgspec

from appliance.core.commands import LEASE_UNITS, Spelling, lease_value
from appliance.core.conditions import RESERVED, UNSAYABLE, duration_ns, is_name
from appliance.core.profile import MAX_CHANNELS, Binding, ChannelTable, ProfileTable, SpellingTable
from appliance.core.quantities import quantity_of
from appliance.core.readings import Channel
from appliance.core.words import WORD_MAX_AGE_NS, WordChannel
from appliance.errors import ProfileError

ONE_WORD = "write one word that begins with a letter, as half_full"


LOOSEST = 0.5
"""An error level is below this: else a coin would do."""


class Channels(msgspec.Struct, frozen=True):
    """A profile's channels by what speaks in them: a sensor in numbers, a model (its bundle's name, and its words), a sensor in
    words.
    """

    measured: Mapping[str, Channel]
    models: Mapping[str, str]
    words: Mapping[str, tuple[str, ...]]
    worded: Mapping[str, WordChannel]
    alphas: Mapping[str, float] = {}


def channels(profile: ProfileTable, where: str) -> Channels:
    """Return the channels of `profile`.

    Raises:
        ProfileError: one of them measures nothing that there is, contradicts itself, or has a word of the rules for its name.
    """
    if len(profile.channels) > MAX_CHANNELS:
        raise ProfileError(f"{where}: more than {MAX_CHANNELS} channels", hint="split the appliance")
    measured: dict[str, Channel] = {}
    models: dict[str, str] = {}
    words: dict[str, tuple[str, ...]] = {}
    worded: dict[str, WordChannel] = {}
    alphas: dict[str, float] = {}
    for name, table in profile.channels.items():
        here = f"{where}, channel {name}"
        if name in RESERVED:
            raise ProfileError(f"{here}: {name!r} is a word of the rules", hint="give it another name")
        if not is_name(name):
            raise ProfileError(f"{here}: rules can't name {name!r}", hint=ONE_WORD)
        for word in table.words:
            _sayable(word, here)
        if table.alpha is not None and not (table.model and 0 < table.alpha < LOOSEST):
            raise ProfileError(
                f"{here}: alpha = {table.alpha:g} is no error level of a model",
                hint=f"give a learned channel one below {LOOSEST:g}, as alpha = 0.05",
            )
        if isinstance(table.words, dict):
            worded[name] = _worded(name, table, here)
            continue
        if table.model is not None:
            if len(table.words) < 2 or table.quantity is not None:
                raise ProfileError(
                    f"{here}: a learned channel needs two or more words and has no quantity",
                    hint="add: words = [..]",
                )
            models[name], words[name] = table.model, table.words
            if table.alpha is not None:
                alphas[name] = table.alpha
            continue
        quantity = quantity_of(table.quantity or name)
        if quantity is None:
            raise ProfileError(
                f"{here}: there is no quantity {table.quantity or name!r}",
                hint="the quantities are listed in docs/configuration.md",
            )
        max_age = None if table.max_age is None else duration_ns(table.max_age, where=f"{here}, max_age")
        measured[name] = Channel.of(name, quantity, max_age_ns=max_age)
    return Channels(measured, models, words, worded, alphas)


def _sayable(word: str, where: str) -> None:
    """Look whether a condition can ask for `word`. Raises ProfileError."""
    if word in UNSAYABLE:
        raise ProfileError(f"{where}: {word!r} is a word of the rules", hint="give it another name")
    if not is_name(word):
        raise ProfileError(f"{where}: rules can't say {word!r}", hint=ONE_WORD)


def _worded(name: str, table: ChannelTable, where: str) -> WordChannel:
    if not isinstance(table.words, dict) or len(table.words) < 2 or table.quantity or table.model:
        raise ProfileError(
            f"{where}: a channel of words needs two or more of them, and neither quantity nor model",
            hint="write: words = { open = false, closed = true }",
        )
    meanings = [
        (raw.lower() if isinstance(raw, str) else raw, word)
        for word, said in table.words.items()
        for raw in (said if isinstance(said, tuple) else (said,))
    ]
    if len({(type(raw), raw) for raw, _ in meanings}) < len(meanings):
        raise ProfileError(f"{where}: two words have the same meaning", hint="let each value mean one word")
    max_age = (
        WORD_MAX_AGE_NS if table.max_age is None else duration_ns(table.max_age, where=f"{where}, max_age")
    )
    return WordChannel(name, tuple(table.words), tuple(meanings), max_age)


def spellings(profile: ProfileTable, binding: Binding, where: str) -> tuple[tuple[Spelling, ...], int | None]:
    """Return how each action is told, and after which time the device ends it by itself (None: it does not).

    Raises:
        ProfileError: an action can't be told, or would go on where it must not once this computer stops.
    """
    dialect = binding.device.partition("/")[0]
    tables = {**profile.commands.get(dialect, {}), **binding.commands}
    missing = [action for action in profile.actions if action not in tables]
    if missing:
        raise ProfileError(
            f"{where}: nobody says how {binding.device} is told {', '.join(missing)}",
            hint=f"add [appliances.{binding.id}.commands.{missing[0]}] with set = {{ property = value }}",
        )
    for action in tables:
        if action not in profile.actions and action not in profile.modes:
            raise ProfileError(
                f"{where}: commands has {action!r}, which is no action or mode", hint="remove it"
            )
    lease_ns = None if profile.lease is None else duration_ns(profile.lease.span, where=f"{where}, lease")
    spelt = tuple(_spelling(action, table, lease_ns, where) for action, table in tables.items())
    if profile.lease is not None and profile.lease.required and not binding.without_lease:
        for spelling in spelt:
            if spelling.action != profile.safe and not spelling.leased:
                raise ProfileError(
                    f"{where}: {binding.device} would go on with {spelling.action!r} if this computer stopped",
                    hint=f"name its own timer in [appliances.{binding.id}.commands.{spelling.action}] lease, or accept it: "
                    "without_lease = true",
                )
    return spelt, lease_ns if any(spelling.leased for spelling in spelt) else None


def _spelling(action: str, table: SpellingTable, lease_ns: int | None, where: str) -> Spelling:
    for unit in table.lease.values():
        if unit not in LEASE_UNITS:
            raise ProfileError(
                f"{where}, commands: {unit!r} is no unit of a lease",
                hint=f"choose {' or '.join(LEASE_UNITS)}",
            )
    lease = (
        {} if lease_ns is None else {name: lease_value(lease_ns, unit) for name, unit in table.lease.items()}
    )
    return Spelling(
        action,
        # The timer first: a device that is switched on starts it.
        {**lease, **table.set},
        {metric: words if isinstance(words, tuple) else (words,) for metric, words in table.seen.items()},
        leased=bool(lease),
    )


def sources(
    profile: ProfileTable, binding: Binding, known: Channels, where: str
) -> tuple[tuple[str, str, str], ...]:
    """Return (device, metric, channel) of every sensor that `binding` names.

    Raises:
        ProfileError: it feeds a channel that there is not, or that a model speaks in.
    """
    found: list[tuple[str, str, str]] = []
    for name, given in binding.channels.items():
        table = profile.channels.get(name)
        if table is not None and isinstance(table.words, dict):
            found += [(device, metric or table.metric or name, name) for device, metric in given]
            continue
        if name not in known.measured:
            kind = "is learned, not measured" if name in known.models else "is no channel of this profile"
            raise ProfileError(
                f"{where}: {name!r} {kind}", hint=f"the channels are: {', '.join(profile.channels)}"
            )
        found += [(device, metric or known.measured[name].quantity.name, name) for device, metric in given]
    return tuple(found)
