"""Owns the way from a profile and a home's binding to an `Appliance`, or to one clear refusal.

Never in here: what a profile may hold (profile), reading files, or what a rule does.
"""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.commands import Actuator, Spelling
from appliance.core.conditions import For, Node, Vocabulary, duration_ns, parse
from appliance.core.explain import places
from appliance.core.guards import Guard
from appliance.core.profile import (
    MAX_ACTIONS,
    MAX_CHANNELS,
    MAX_RULES,
    Appliance,
    Binding,
    ProfileTable,
    RuleTable,
)
from appliance.core.quantities import quantity_of
from appliance.core.readings import Channel
from appliance.core.rules import Rule, Standing
from appliance.errors import ProfileError


def assemble(
    profile: ProfileTable, binding: Binding, guards: Mapping[str, type[Guard]], *, where: str
) -> Appliance:
    """Return the appliance that `binding` makes of `profile`.

    Args:
        profile: the kind of appliance.
        binding: this home's one of it.
        guards: the guards that there are, by name.
        where: names the file in errors.

    Raises:
        ProfileError: the profile contradicts itself, its device, or the binding.
    """
    ladder = _ladder(profile, where)
    measured, models, words = _channels(profile, where)
    vocabulary = Vocabulary({name: channel.quantity for name, channel in measured.items()}, words)
    tables = _changed(profile.rules, binding, where)
    rules = tuple(_rule(table, ladder, vocabulary, f"{where}, rule {table.id}") for table in tables)
    for name in profile.guards:
        if name not in guards:
            raise ProfileError(
                f"{where}: there is no guard {name!r}", hint=f"the guards are: {', '.join(sorted(guards))}"
            )
    spellings = _spellings(profile, binding, where)
    spelt = {spelling.action for spelling in spellings}
    _known_places(profile.fallback.because, vocabulary, f"{where}, fallback")
    return Appliance(
        id=binding.id,
        title=binding.title or profile.title,
        profile=profile.name,
        # A mode that nobody can tell this device is none that it has.
        ladder=replace(ladder, modes=tuple(mode for mode in ladder.modes if mode in spelt)),
        actuator=Actuator(binding.device, spellings, askable=not binding.device.startswith("plain/")),
        channels=measured,
        sources=_sources(binding, measured, models, where),
        models=models,
        words=words,
        rules=rules,
        guards=tuple(
            guards[name].from_table(table, ladder, where=f"{where}, guard {name}")
            for name, table in profile.guards.items()
        ),
        fallback=Proposal(ladder.rest, ladder.rest, Authority.FALLBACK, "fallback", profile.fallback.because),
        hold_ns=duration_ns(binding.hold or profile.hold, where=f"{where}, hold"),
        watts=profile.watts,
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


def _channels(
    profile: ProfileTable, where: str
) -> tuple[dict[str, Channel], dict[str, str], dict[str, tuple[str, ...]]]:
    if len(profile.channels) > MAX_CHANNELS:
        raise ProfileError(f"{where}: more than {MAX_CHANNELS} channels", hint="split the appliance")
    measured: dict[str, Channel] = {}
    models: dict[str, str] = {}
    words: dict[str, tuple[str, ...]] = {}
    for name, table in profile.channels.items():
        here = f"{where}, channel {name}"
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
    return measured, models, words


def _changed(rules: tuple[RuleTable, ...], binding: Binding, where: str) -> tuple[RuleTable, ...]:
    tables = {rule.id: msgspec.to_builtins(rule) for rule in rules}
    if len(tables) != len(rules):
        raise ProfileError(f"{where}: two rules have the same id", hint="give each rule an id of its own")
    for name, changes in binding.rules.items():
        known = tables.get(name)
        if known is not None and known["authority"] != "RULE":
            raise ProfileError(
                f"{where}: the rule {name!r} speaks as {known['authority']} and can't be changed here",
                hint="write a profile of your own, and name its file in the config",
            )
        base = dict(known) if known is not None else {"id": name}
        if {"at_least", "at_most", "exactly"} & set(changes):
            for key in ("at_least", "at_most", "exactly"):
                base.pop(key, None)
        tables[name] = {**base, **changes}
    if len(tables) > MAX_RULES:
        raise ProfileError(f"{where}: more than {MAX_RULES} rules", hint="split the appliance")
    changed = []
    for name, table in tables.items():
        try:
            changed.append(msgspec.convert(table, RuleTable))
        except msgspec.ValidationError as broken:
            own = ", ".join(rule.id for rule in rules) or "none"
            raise ProfileError(
                f"{where}, rule {name}: {broken}",
                hint=f"a new rule needs when, because and an action; the profile's own are: {own}",
            ) from None
    for name in binding.rules:
        if tables[name].get("authority", "RULE") != "RULE":
            raise ProfileError(
                f"{where}: the rule {name!r} must speak as RULE",
                hint="write a profile of your own for a stronger one",
            )
    return tuple(changed)


def _rule(table: RuleTable, ladder: Ladder, vocabulary: Vocabulary, where: str) -> Rule:
    if table.authority not in ("RULE", "EQUIPMENT", "LIFE_SAFETY"):
        raise ProfileError(
            f"{where}: no rule speaks as {table.authority}", hint="choose RULE, EQUIPMENT or LIFE_SAFETY"
        )
    if not table.because.strip():
        raise ProfileError(f"{where}: because is empty", hint="say why, in the owner's words")
    if table.exactly is not None and (table.at_least is not None or table.at_most is not None):
        raise ProfileError(f"{where}: exactly excludes at_least and at_most", hint="keep one of them")
    low = _action(table.exactly or table.at_least, ladder, where, 0)
    high = _action(table.exactly or table.at_most, ladder, where, ladder.top)
    if (low, high) == (0, ladder.top):
        raise ProfileError(f"{where}: it asks for nothing", hint="add at_least, at_most or exactly")
    if low > high:
        raise ProfileError(
            f"{where}: at_least {table.at_least} lies above at_most {table.at_most}", hint="swap them"
        )
    _known_places(table.because, vocabulary, where)
    when = parse(table.when, vocabulary, where=f"{where}, when")
    until = None if table.until is None else parse(table.until, vocabulary, where=f"{where}, until")
    nodes: tuple[Node, ...] = (when,) if until is None else (when, until)
    learned = frozenset(name for node in nodes for name in node.acts_on() if name in vocabulary.worded)
    authority = Authority[table.authority]
    if learned and authority is not Authority.RULE:
        raise ProfileError(
            f"{where}: it rests on {', '.join(sorted(learned))}, which a model says, and can't speak as {table.authority}",
            hint="remove the authority, or use measured channels alone",
        )
    standing = Standing.ACT if authority is not Authority.RULE else table.standing
    # Inner timers first: an outer one needs them when it is asked.
    timers = tuple(part for node in nodes for part in reversed(list(node.walk())) if isinstance(part, For))
    return Rule(
        table.id,
        when,
        until,
        low,
        high,
        Authority.MODEL if learned else authority,
        table.because,
        learned,
        standing,
        timers,
    )


def _action(name: str | None, ladder: Ladder, where: str, default: int) -> int:
    if name is None:
        return default
    if name not in ladder.actions:
        raise ProfileError(
            f"{where}: {name!r} is no action", hint=f"choose one of {', '.join(ladder.actions)}"
        )
    return ladder.actions.index(name)


def _known_places(because: str, vocabulary: Vocabulary, where: str) -> None:
    for name in places(because):
        if name not in vocabulary.measured and name not in vocabulary.worded:
            raise ProfileError(
                f"{where}: because names {{{name}}}, which is no channel",
                hint="name a channel of this profile",
            )


def _spellings(profile: ProfileTable, binding: Binding, where: str) -> tuple[Spelling, ...]:
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
    return tuple(
        Spelling(
            action,
            table.set,
            {metric: words if isinstance(words, tuple) else (words,) for metric, words in table.seen.items()},
        )
        for action, table in tables.items()
    )


def _sources(
    binding: Binding, measured: Mapping[str, Channel], models: Mapping[str, str], where: str
) -> tuple[tuple[str, str, str], ...]:
    sources: list[tuple[str, str, str]] = []
    for name, given in binding.channels.items():
        if name not in measured:
            kind = "is learned, not measured" if name in models else "is no channel of this profile"
            raise ProfileError(f"{where}: {name!r} {kind}", hint=f"the channels are: {', '.join(measured)}")
        sources += [(device, metric or measured[name].quantity.name, name) for device, metric in given]
    return tuple(sources)
