"""Owns the way from a profile and a home's binding to an `Appliance`, or to one clear refusal.

Never in here: what a profile may hold (profile), reading files, or what a rule does.
"""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from appliance.core import rulebook
from appliance.core.arbitration import Ladder
from appliance.core.commands import LEASE_UNITS, Actuator, Spelling, lease_value
from appliance.core.conditions import RESERVED, Doing, DoingUnknown, Vocabulary, duration_ns
from appliance.core.guards import Guard
from appliance.core.guards.exclusion import Exclusion
from appliance.core.overrides import Ends
from appliance.core.profile import (
    MAX_ACTIONS,
    MAX_CHANNELS,
    Appliance,
    Binding,
    ChannelTable,
    ProfileTable,
    SpellingTable,
    VoicesTable,
)
from appliance.core.quantities import quantity_of
from appliance.core.readings import Channel
from appliance.core.words import WORD_MAX_AGE_NS, WordChannel
from appliance.errors import ProfileError


def assemble(
    profile: ProfileTable,
    binding: Binding,
    guards: Mapping[str, type[Guard]],
    *,
    where: str,
    others: Mapping[str, tuple[str, ...]] = {},
) -> Appliance:
    """Return the appliance that `binding` makes of `profile`.

    Args:
        profile: the kind of appliance.
        binding: this home's one of it.
        guards: the guards that there are, by name.
        where: names the file in errors.
        others: the actions and modes of the home's other appliances, by id, for rules that look at them.

    Raises:
        ProfileError: the profile contradicts itself, its device, or the binding.
    """
    ladder = _ladder(profile, where)
    measured, models, words, worded = _channels(profile, where)
    vocabulary = Vocabulary(
        {name: channel.quantity for name, channel in measured.items()},
        {**words, **{name: channel.words for name, channel in worded.items()}},
        {**others, "": (*profile.actions, *profile.modes)},
        frozenset(models),
    )
    voices = _voices(profile, binding, where)
    rules = tuple(
        rulebook.rule(table, ladder, vocabulary, voices, where=f"{where}, rule {table.id}")
        for table in rulebook.changed(profile.rules, binding, where)
    )
    fallback, instead = rulebook.fallback(profile.fallback, ladder, vocabulary, where=f"{where}, fallback")
    ends = Ends(vocabulary, profile.ends)
    for name in profile.ends:
        try:
            ends.condition(name)
        except ProfileError as wrong:
            raise ProfileError(f"{where}, ends {name!r}: {wrong.message}", hint=wrong.hint) from None
    spellings, lease_ns = _spellings(profile, binding, where)
    spelt = {spelling.action for spelling in spellings}
    stood = _guards(profile, binding, guards, ladder, measured, where)
    looked_at = [node for one in (*rules, *instead) for node in one.nodes()]
    return Appliance(
        id=binding.id,
        title=binding.title or profile.title,
        profile=profile.name,
        # A mode that nobody can tell this device is none that it has.
        ladder=replace(ladder, modes=tuple(mode for mode in ladder.modes if mode in spelt)),
        actuator=Actuator(
            binding.device, spellings, askable=not binding.device.startswith("plain/"), lease_ns=lease_ns
        ),
        channels=measured,
        sources=_sources(binding, measured, models, profile, where),
        models=models,
        words=words,
        rules=rules,
        guards=stood,
        fallback=fallback,
        instead=instead,
        hold_ns=duration_ns(binding.hold or profile.hold, where=f"{where}, hold"),
        watts=profile.watts,
        ends=ends,
        worded=worded,
        needs_person=_needs_person(profile, ladder, where),
        invariants=tuple(
            rulebook.invariant(claim, ladder, vocabulary, where=f"{where}, invariant {claim.id}")
            for claim in profile.invariants
        ),
        watches=frozenset(
            [
                node.appliance
                for node in looked_at
                if isinstance(node, Doing | DoingUnknown) and node.appliance
            ]
            + [name for _, higher, lower in binding.excludes for name in (*higher, *lower)]
        ),
    )


def _ladder(profile: ProfileTable, where: str) -> Ladder:
    if not 2 <= len(profile.actions) <= MAX_ACTIONS or len({*profile.actions, *profile.modes}) != len(
        profile.actions
    ) + len(profile.modes):
        raise ProfileError(
            f"{where}: actions {profile.actions} and modes {profile.modes} must be two or more different words",
            hint=f"list 2 to {MAX_ACTIONS} actions, weakest first; a mode is no action",
        )
    for key in ("rest", "safe"):
        if getattr(profile, key) not in profile.actions:
            raise ProfileError(
                f"{where}: {key} = {getattr(profile, key)!r} is no action",
                hint=f"choose one of {', '.join(profile.actions)}",
            )
    return Ladder(
        profile.actions,
        profile.actions.index(profile.rest),
        profile.actions.index(profile.safe),
        profile.modes,
    )


def _guards(
    profile: ProfileTable,
    binding: Binding,
    guards: Mapping[str, type[Guard]],
    ladder: Ladder,
    measured: Mapping[str, Channel],
    where: str,
) -> tuple[Guard, ...]:
    quantities = {name: channel.quantity for name, channel in measured.items()}
    stood: list[Guard] = []
    for name, table in profile.guards.items():
        if name not in guards:
            raise ProfileError(
                f"{where}: there is no guard {name!r}", hint=f"the guards are: {', '.join(sorted(guards))}"
            )
        stood.append(guards[name].from_table(table, ladder, quantities, where=f"{where}, guard {name}"))
    for name, higher, lower in binding.excludes:
        if ladder.safe != 0:
            raise ProfileError(
                f"{where}: [exclusions.{name}] would keep {ladder.actions[ladder.safe]!r}, the safe action, from being taken",
                hint=f"take {binding.id} out of it",
            )
        stood.append(Exclusion(name, higher, lower))
    return tuple(stood)


def _voices(profile: ProfileTable, binding: Binding, where: str) -> VoicesTable:
    try:
        given = msgspec.convert(dict(binding.voices), VoicesTable)
    except msgspec.ValidationError as broken:
        raise ProfileError(
            f"{where}, voices: {broken}", hint='write: rules = "recommend", or model = "off"'
        ) from None
    return VoicesTable(
        rulebook.lower(profile.voices.rules, given.rules), rulebook.lower(profile.voices.model, given.model)
    )


def _needs_person(profile: ProfileTable, ladder: Ladder, where: str) -> frozenset[int]:
    """Return the actions that only a person may enter, as indices. They lie at one end of the ladder, and never hold `rest`."""
    needed = set()
    for name in profile.needs_person:
        if name not in ladder.actions:
            raise ProfileError(
                f"{where}: needs_person names {name!r}, which is no action",
                hint=f"choose from {', '.join(ladder.actions)}",
            )
        needed.add(ladder.actions.index(name))
    count = len(needed)
    at_an_end = needed in (set(range(count)), set(range(ladder.top + 1 - count, ladder.top + 1)))
    if not at_an_end or ladder.rest in needed:
        raise ProfileError(
            f"{where}: needs_person = {list(profile.needs_person)} must lie at one end of the actions, without rest",
            hint=f"the actions are {', '.join(ladder.actions)}, rest is {ladder.actions[ladder.rest]}",
        )
    return frozenset(needed)


def _channels(
    profile: ProfileTable, where: str
) -> tuple[dict[str, Channel], dict[str, str], dict[str, tuple[str, ...]], dict[str, WordChannel]]:
    if len(profile.channels) > MAX_CHANNELS:
        raise ProfileError(f"{where}: more than {MAX_CHANNELS} channels", hint="split the appliance")
    measured: dict[str, Channel] = {}
    models: dict[str, str] = {}
    words: dict[str, tuple[str, ...]] = {}
    worded: dict[str, WordChannel] = {}
    for name, table in profile.channels.items():
        here = f"{where}, channel {name}"
        if name in RESERVED:
            raise ProfileError(f"{here}: {name!r} is a word of the rules", hint="give it another name")
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
            continue
        quantity = quantity_of(table.quantity or name)
        if quantity is None:
            raise ProfileError(
                f"{here}: there is no quantity {table.quantity or name!r}",
                hint="the quantities are listed in docs/configuration.md",
            )
        max_age = None if table.max_age is None else duration_ns(table.max_age, where=f"{here}, max_age")
        measured[name] = Channel.of(name, quantity, max_age_ns=max_age)
    return measured, models, words, worded


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


def _spellings(
    profile: ProfileTable, binding: Binding, where: str
) -> tuple[tuple[Spelling, ...], int | None]:
    """Return how each action is told, and after which time the device ends it by itself (None: it does not)."""
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
    spellings = tuple(_spelling(action, table, lease_ns, where) for action, table in tables.items())
    if profile.lease is not None and profile.lease.required and not binding.without_lease:
        for spelling in spellings:
            if spelling.action != profile.safe and not spelling.leased:
                raise ProfileError(
                    f"{where}: {binding.device} would go on with {spelling.action!r} if this computer stopped",
                    hint=f"name its own timer in [appliances.{binding.id}.commands.{spelling.action}] lease, or accept it: "
                    "without_lease = true",
                )
    return spellings, lease_ns if any(spelling.leased for spelling in spellings) else None


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


def _sources(
    binding: Binding,
    measured: Mapping[str, Channel],
    models: Mapping[str, str],
    profile: ProfileTable,
    where: str,
) -> tuple[tuple[str, str, str], ...]:
    sources: list[tuple[str, str, str]] = []
    for name, given in binding.channels.items():
        table = profile.channels.get(name)
        if table is not None and isinstance(table.words, dict):
            sources += [(device, metric or table.metric or name, name) for device, metric in given]
            continue
        if name not in measured:
            kind = "is learned, not measured" if name in models else "is no channel of this profile"
            raise ProfileError(
                f"{where}: {name!r} {kind}", hint=f"the channels are: {', '.join(profile.channels)}"
            )
        sources += [(device, metric or measured[name].quantity.name, name) for device, metric in given]
    return tuple(sources)
