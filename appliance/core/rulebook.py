"""Owns the way from a rule as it is written to a rule that can speak, or to one clear refusal.

Never in here: what a rule does (rules), or the rest of a profile (assembly).
"""

import re

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.conditions import For, Node, Vocabulary, parse
from appliance.core.explain import places
from appliance.core.profile import (
    MAX_RULES,
    Binding,
    FallbackTable,
    Invariant,
    InvariantTable,
    RuleTable,
    VoicesTable,
)
from appliance.core.rules import Rule, Standing
from appliance.errors import ProfileError

_FARTHEST = (Standing.OFF, Standing.RECOMMEND, Standing.ACT)
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_STRONG = ("RULE", "EQUIPMENT", "LIFE_SAFETY")


def lower(one: Standing, other: Standing) -> Standing:
    """Return the one of both that may do less."""
    return min(one, other, key=_FARTHEST.index)


def changed(rules: tuple[RuleTable, ...], binding: Binding, where: str) -> tuple[RuleTable, ...]:
    """Return the profile's rules with what the home changes in them, or adds.

    Raises:
        ProfileError: a change is none, touches a stronger rule, or lets one go further than the profile does.
    """
    tables = {rule.id: msgspec.to_builtins(rule) for rule in rules}
    if len(tables) != len(rules):
        raise ProfileError(f"{where}: two rules have the same id", hint="give each rule an id of its own")
    for name in (*tables, *binding.rules):
        if not _ID.fullmatch(name):
            raise ProfileError(
                f"{where}: {name[:64]!r} is no id of a rule",
                hint="use letters, digits, _ and -, a letter first, 64 at most",
                rule=name,
            )
    for name, changes in binding.rules.items():
        if "id" in changes:
            raise ProfileError(
                f"{where}: the rule {name!r} can't be given another id",
                hint="remove it: the id is in the section's name",
                rule=name,
                key="id",
            )
        known = tables.get(name)
        if known is not None and known["authority"] != "RULE":
            raise ProfileError(
                f"{where}: the rule {name!r} speaks as {known['authority']} and can't be changed here",
                hint="write a profile of your own, and name its file in the config",
                rule=name,
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
                rule=name,
            ) from None
    for name in binding.rules:
        if tables[name].get("authority", "RULE") != "RULE":
            raise ProfileError(
                f"{where}: the rule {name!r} must speak as RULE",
                hint="write a profile of your own for a stronger one",
                rule=name,
                key="authority",
            )
    for profiled, new in zip(rules, changed, strict=False):
        if lower(profiled.standing, new.standing) is not new.standing:
            raise ProfileError(
                f"{where}: the rule {new.id!r} goes no further than {profiled.standing.value!r}, "
                f"not to {new.standing.value!r}",
                hint="remove it: a config may lower what a profile allows, never raise it",
                rule=new.id,
                key="standing",
            )
    return tuple(changed)


def rule(
    table: RuleTable, ladder: Ladder, vocabulary: Vocabulary, voices: VoicesTable, *, where: str
) -> Rule:
    """Return the rule that `table` describes; what a model says in it lowers its authority, and `voices` how far it may go.

    Raises:
        ProfileError: it contradicts itself, or names what there is not; says in which rule.
    """
    try:
        return _rule(table, ladder, vocabulary, voices, where)
    except ProfileError as wrong:
        raise wrong.at(table.id) from None


def _rule(table: RuleTable, ladder: Ladder, vocabulary: Vocabulary, voices: VoicesTable, where: str) -> Rule:
    if table.authority not in _STRONG:
        raise ProfileError(
            f"{where}: no rule speaks as {table.authority}", hint="choose RULE, EQUIPMENT or LIFE_SAFETY"
        )
    if not table.because.strip():
        raise ProfileError(f"{where}: because is empty", hint="say why, in the owner's words", key="because")
    low, high = _interval(table, ladder, where)
    _known_places(table.because, vocabulary, where)
    alarm = table.id if table.authority != "RULE" else None
    when = _condition(table.when, vocabulary, where, "when", None)
    until = None if table.until is None else _condition(table.until, vocabulary, where, "until", alarm)
    nodes: tuple[Node, ...] = (when,) if until is None else (when, until)
    learned = frozenset(name for node in nodes for name in node.acts_on() if name in vocabulary.learned)
    authority = Authority[table.authority]
    if learned and authority is not Authority.RULE:
        raise ProfileError(
            f"{where}: it rests on {', '.join(sorted(learned))}, which a model says, and can't speak as {table.authority}",
            hint="remove the authority, or use measured channels alone",
        )
    allowed = voices.model if learned else voices.rules
    standing = Standing.ACT if authority is not Authority.RULE else lower(table.standing, allowed)
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
        _timers(*nodes),
    )


def fallback(
    table: FallbackTable, ladder: Ladder, vocabulary: Vocabulary, *, where: str
) -> tuple[Proposal, tuple[Rule, ...]]:
    """Return the fallback: exactly `rest`; and what it is instead, where a stated condition is true.

    Raises:
        ProfileError: a condition or an action of it is none.
    """
    _known_places(table.because, vocabulary, where)
    instead = []
    for number, other in enumerate(table.instead, 1):
        here = f"{where}, instead {number}"
        _known_places(other.because, vocabulary, here)
        index = _action(other.exactly, ladder, here, 0)
        when = parse(other.when, vocabulary, where=f"{here}, when")
        instead.append(
            Rule(
                f"fallback {number}",
                when,
                None,
                index,
                index,
                Authority.FALLBACK,
                other.because,
                timers=_timers(when),
            )
        )
    rest = Proposal(ladder.rest, ladder.rest, Authority.FALLBACK, "fallback", table.because)
    return rest, tuple(instead)


def invariant(table: InvariantTable, ladder: Ladder, vocabulary: Vocabulary, *, where: str) -> Invariant:
    """Return the claim that `table` makes.

    Raises:
        ProfileError: it claims nothing, or names what there is not.
    """
    for name in table.unless:
        if name not in Authority.__members__:
            raise ProfileError(
                f"{where}: there is no authority {name!r}",
                hint=f"choose from {', '.join(Authority.__members__)}",
            )
    low, high = _interval(table, ladder, where)
    when = parse(table.when, vocabulary, where=f"{where}, when")
    if any(isinstance(node, For) for node in when.walk()):
        raise ProfileError(
            f"{where}: a claim about every decision can't wait for a `for`", hint="leave the duration out"
        )
    unless = frozenset(Authority[name] for name in table.unless)
    return Invariant(table.id, when, low, high, unless, table.because)


def _condition(text: str, vocabulary: Vocabulary, where: str, key: str, alarm: str | None) -> Node:
    try:
        return parse(text, vocabulary, where=f"{where}, {key}", alarm=alarm)
    except ProfileError as wrong:
        wrong.key = key
        raise


def _interval(table: RuleTable | InvariantTable, ladder: Ladder, where: str) -> tuple[int, int]:
    if table.exactly is not None and (table.at_least is not None or table.at_most is not None):
        raise ProfileError(f"{where}: exactly excludes at_least and at_most", hint="keep one of them")
    low = _action(table.exactly or table.at_least, ladder, where, 0)
    high = _action(table.exactly or table.at_most, ladder, where, ladder.top)
    if (low, high) == (0, ladder.top):
        raise ProfileError(f"{where}: it asks for nothing", hint="add at_least, at_most or exactly")
    if low > high:
        raise ProfileError(
            f"{where}: at_least {table.at_least} lies above at_most {table.at_most}",
            hint="swap them",
            key="at_least",
        )
    return low, high


def _action(name: str | None, ladder: Ladder, where: str, default: int) -> int:
    if name is None:
        return default
    if name not in ladder.actions:
        raise ProfileError(
            f"{where}: {name!r} is no action", hint=f"choose one of {', '.join(ladder.actions)}"
        )
    return ladder.actions.index(name)


def _timers(*nodes: Node) -> tuple[For, ...]:
    """Return every `for` in `nodes`, inner ones first: an outer one needs them when it is asked."""
    return tuple(part for node in nodes for part in reversed(list(node.walk())) if isinstance(part, For))


def _known_places(because: str, vocabulary: Vocabulary, where: str) -> None:
    """Look whether what a reason names in braces is a channel. Raises ProfileError."""
    for name in places(because):
        if name not in vocabulary.measured and name not in vocabulary.worded:
            raise ProfileError(
                f"{where}: because names {{{name}}}, which is no channel",
                hint="name a channel of this profile",
            )
