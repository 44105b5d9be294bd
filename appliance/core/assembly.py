"""Owns the way from a profile and a home's binding to an `Appliance`, or to one clear refusal.

Never in here: what a profile may hold (profile), its channels and commands (wiring), its rules (rulebook), or reading files.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from appliance.core import rulebook, wiring
from appliance.core.arbitration import Ladder
from appliance.core.commands import Actuator
from appliance.core.conditions import UNSAYABLE, Doing, DoingUnknown, Node, Vocabulary, duration_ns
from appliance.core.guards import Guard
from appliance.core.guards.exclusion import Exclusion
from appliance.core.overrides import LONGEST_NS, Ends
from appliance.core.profile import (
    MAX_ACTIONS,
    Appliance,
    Binding,
    ProfileTable,
    VoicesTable,
)
from appliance.core.readings import Channel
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
    channels = wiring.channels(profile, where)
    vocabulary = Vocabulary(
        {name: channel.quantity for name, channel in channels.measured.items()},
        {**channels.words, **{name: channel.words for name, channel in channels.worded.items()}},
        {**others, "": (*profile.actions, *profile.modes)},
        frozenset(channels.models),
    )
    voices = _voices(profile, binding, where)
    rules = tuple(
        rulebook.rule(table, ladder, vocabulary, voices, where=f"{where}, rule {table.id}")
        for table in rulebook.changed(profile.rules, binding, where)
    )
    fallback, instead = rulebook.fallback(profile.fallback, ladder, vocabulary, where=f"{where}, fallback")
    named = [_end(name, Ends(vocabulary, profile.ends), where) for name in profile.ends]
    looked_at = [node for one in (*rules, *instead) for node in one.nodes()]
    looked_at += [node for condition in named for node in condition.walk()]
    watches = _watches(looked_at, binding)
    # Only of those that it watches does it know what they do: an override that waits for another one would never end.
    known = {name: actions for name, actions in vocabulary.actions.items() if not name or name in watches}
    spellings, lease_ns = wiring.spellings(profile, binding, where)
    spelt = {spelling.action for spelling in spellings}
    stood = _guards(profile, binding, guards, ladder, channels.measured, where)
    return Appliance(
        id=binding.id,
        title=binding.title or profile.title,
        profile=profile.name,
        # A mode that nobody can tell this device is none that it has.
        ladder=replace(ladder, modes=tuple(mode for mode in ladder.modes if mode in spelt)),
        actuator=Actuator(
            binding.device, spellings, askable=not binding.device.startswith("plain/"), lease_ns=lease_ns
        ),
        channels=channels.measured,
        sources=wiring.sources(profile, binding, channels, where),
        models=channels.models,
        alphas=channels.alphas,
        words=channels.words,
        rules=rules,
        guards=stood,
        fallback=fallback,
        instead=instead,
        hold_ns=_hold_ns(binding.hold or profile.hold, where),
        watts=profile.watts,
        ends=Ends(replace(vocabulary, actions=known), profile.ends),
        worded=channels.worded,
        needs_person=_needs_person(profile, ladder, where),
        invariants=tuple(
            rulebook.invariant(claim, ladder, vocabulary, where=f"{where}, invariant {claim.id}")
            for claim in profile.invariants
        ),
        watches=watches,
    )


def _hold_ns(text: str, where: str) -> int:
    span = duration_ns(text, where=f"{where}, hold")
    if span > LONGEST_NS:
        raise ProfileError(f"{where}, hold: {text!r} is longer than a day", hint='write "24 h" at most')
    return span


def _end(name: str, ends: Ends, where: str) -> Node:
    try:
        return ends.condition(name)
    except ProfileError as wrong:
        raise ProfileError(f"{where}, ends {name!r}: {wrong.message}", hint=wrong.hint) from None


def _watches(looked_at: Sequence[Node], binding: Binding) -> frozenset[str]:
    """Return the other appliances at whose doing a condition looks, or that exclude this one."""
    named = {
        node.appliance for node in looked_at if isinstance(node, Doing | DoingUnknown) and node.appliance
    }
    return frozenset(named.union(*((*higher, *lower) for _, higher, lower in binding.excludes)))


def _ladder(profile: ProfileTable, where: str) -> Ladder:
    if not 2 <= len(profile.actions) <= MAX_ACTIONS or len({*profile.actions, *profile.modes}) != len(
        profile.actions
    ) + len(profile.modes):
        raise ProfileError(
            f"{where}: actions {profile.actions} and modes {profile.modes} must be two or more different words",
            hint=f"list 2 to {MAX_ACTIONS} actions, weakest first; a mode is no action",
        )
    for name in (*profile.actions, *profile.modes):
        if name in UNSAYABLE:
            raise ProfileError(
                f"{where}: the action or mode {name!r} is a word of the rules", hint="give it another name"
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
