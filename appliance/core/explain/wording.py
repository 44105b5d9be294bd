"""Owns how a condition is said to a person: what it needs, and what is the case instead.

Never in here: the truth of a condition (conditions), or what follows from it.
"""

import msgspec

from appliance.core.clock import SECOND, WEEK
from appliance.core.conditions.nodes import (
    Acknowledged,
    And,
    Between,
    Compare,
    CompareAge,
    CompareWindow,
    DayIs,
    Doing,
    DoingUnknown,
    For,
    Is,
    IsUnknown,
    Node,
    Not,
    Or,
)
from appliance.core.quantities import with_unit
from appliance.core.snapshot import Snapshot

_OPS = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}


class Clause(msgspec.Struct, frozen=True):
    """One part of a condition that keeps it from what is wanted: what it needs, and how that stands now.

    `unknown` tells that nobody knows, so that better sight alone might be enough. Alternatives are one clause: each says in
    `needs` how it stands, and `stands` is empty.
    """

    needs: str
    stands: str
    unknown: bool

    def __str__(self) -> str:
        return f"{self.needs} ({self.stands})" if self.stands else self.needs


def joined(clauses: tuple[Clause, ...]) -> str:
    """Return what is needed in one phrase: "pm2_5 above 150 µg/m³, it is 12.3 µg/m³"."""
    if len(clauses) == 1 and clauses[0].stands:
        return f"{clauses[0].needs}, {clauses[0].stands}"
    return " and ".join(map(str, clauses))


def missing(node: Node, around: Snapshot, *, want: bool = True) -> tuple[Clause, ...]:
    """Return the least parts of `node` that keep it from being `want`, in order; empty where it is so already."""
    if node.truth(around) is want:
        return ()
    match node:
        case Not(part=part):
            return missing(part, around, want=not want)
        case And(all_of=parts) | Or(any_of=parts):
            found = [missing(part, around, want=want) for part in parts]
            if isinstance(node, And) is want:
                return tuple(clause for clauses in found for clause in clauses)
            # Any of these alone would do.
            choices = [" and ".join(map(str, clauses)) for clauses in found]
            unknown = any(clause.unknown for clauses in found for clause in clauses)
            return (Clause(" or ".join(choices), "", unknown),)
        case For(part=part, span_ns=span_ns, key=key) if want:
            inner = missing(part, around)
            since = around.true_since(key)
            so_far = "" if since is None else f" for {span(around.now.boottime_ns - since)} so far"
            return inner or (
                Clause(f"{spell(part, around)} for {span(span_ns)}", f"it is so{so_far}", unknown=False),
            )
        case For(part=part):
            return missing(part, around, want=False)
        case _:
            needs = spell(node, around) if want else _negated(node, around)
            unknown = node.truth(around) is None
            return (Clause(needs, _stands(node, around, unknown=unknown), unknown),)


def spell(node: Node, around: Snapshot) -> str:
    """Return the condition in words, thresholds in the units of their channels."""
    match node:
        case Compare(channel=channel, op=op, threshold=threshold):
            return f"{channel} {_OPS[op]} {amount(threshold, unit(channel, around))}"
        case CompareAge(channel=channel, op=op, threshold=threshold):
            return f"age({channel}) {_OPS[op]} {span(threshold)}"
        case CompareWindow():
            slope = " per min" if node.statistic in ("rising", "falling") else ""
            of = f"{node.statistic}({node.channel}, {span(node.span_ns)})"
            return f"{of} {_OPS[node.op]} {amount(node.threshold, unit(node.channel, around))}{slope}"
        case Is(channel=channel, word=word):
            return f"{channel} {word}"
        case IsUnknown(channel=channel):
            return f"{channel} unknown"
        case Between(start=start, end=end):
            return f"a time between {_clock(start)} and {_clock(end)}"
        case Not(part=part):
            return f"not ({spell(part, around)})" if part.parts() else _negated(part, around)
        case And(all_of=parts):
            return " and ".join(_nested(part, around) for part in parts)
        case Or(any_of=parts):
            return " or ".join(_nested(part, around) for part in parts)
        case For(part=part, span_ns=span_ns):
            return f"{_nested(part, around)} for {span(span_ns)}"
        case DayIs(days=days):
            return f"a {' or '.join(WEEK[day].capitalize() for day in days)}"
        case Doing(appliance=appliance, action=action):
            return f"the state of {appliance} {action}" if appliance else f"its state {action}"
        case DoingUnknown(appliance=appliance):
            return f"the state of {appliance} unknown" if appliance else "its state unknown"
        case Acknowledged():
            return "a person's acknowledgement"
        case _:
            return type(node).__name__.lower()


def amount(value: float, of: str | None) -> str:
    """Return a number with its unit, as short as it is exact."""
    return with_unit(f"{value:.10g}", of)


def unit(channel: str, around: Snapshot) -> str | None:
    """Return the unit of a measured channel, None for one that speaks in words."""
    sense = around.senses.get(channel)
    return None if sense is None else sense.channel.quantity.unit


def span(nanoseconds: float) -> str:
    """Return a duration in its largest fitting unit, rounded down to a whole one: "45 s", "7 min", "2 h 30 min"."""
    seconds = int(nanoseconds // SECOND)
    if seconds < 100:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _nested(node: Node, around: Snapshot) -> str:
    said = spell(node, around)
    return f"({said})" if isinstance(node, And | Or) else said


def _negated(node: Node, around: Snapshot) -> str:
    if isinstance(node, Compare | CompareAge | CompareWindow):
        return spell(msgspec.structs.replace(node, op=_OPPOSITE[node.op]), around)
    if isinstance(node, IsUnknown):
        return f"{node.channel} known"
    if isinstance(node, Is):
        return f"{node.channel} not {node.word}"
    if isinstance(node, DoingUnknown):
        return f"the state of {node.appliance} known" if node.appliance else "its state known"
    return f"not {spell(node, around)}"


def _stands(node: Node, around: Snapshot, *, unknown: bool) -> str:
    """Return what is the case instead."""
    match node:
        case Compare(channel=channel) | Is(channel=channel) | IsUnknown(channel=channel):
            value = around.value(channel)
            if value is None:
                return "it is unknown"
            return f"it is {value if isinstance(value, str) else amount(value, unit(channel, around))}"
        case CompareAge(channel=channel):
            age = around.age_ns(channel)
            return "it was never heard" if age is None else f"it is {span(age)}"
        case CompareWindow():
            value = node.compared(around)
            return "it is unknown" if value is None else f"it is {value:.4g}"
        case Between():
            return f"it is {_clock(around.minute_of_day())}"
        case DayIs():
            return f"it is {WEEK[around.day_of_week()].capitalize()}"
        case Doing(appliance=appliance) | DoingUnknown(appliance=appliance):
            return f"it is {around.doing(appliance) or 'unknown'}"
        case Acknowledged():
            return "nobody gave it yet"
        case _:
            return "which nobody knows" if unknown else "which is not so"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
