"""Owns the grammar of a condition: text in, a tree of nodes out, or an error that points at the place.

A recursive descent over one short text. Never in here: `eval`, what may be spoken of (vocabulary), or what a condition means in
a snapshot.

    condition := conjunction ("or" conjunction)*
    conjunction := negation ("and" negation)*
    negation := "not" negation | held
    held := primary ["for" duration]                           directly after a "not" only in brackets
    primary := "(" condition ")" | comparison
    comparison := term (">" | ">=" | "<" | "<=") number [unit] ["per" "min"]
                | channel "is" ["not"] ("unknown" | word)
                | "time" "is" ["not"] "between" HH:MM "and" HH:MM
                | "day" "is" ["not"] ("monday" | … | "sunday" | "workday" | "weekend")
                | "state" ["of" appliance] "is" ["not"] ("unknown" | action)
                | "acknowledged"                             only where an alarm ends
    term := channel | "age" "(" channel ")" | ("mean" | "min" | "max") "(" channel "," duration ")"
          | ("rising" | "falling") "(" channel ")"             per minute, over the last 5 min
    duration := number ("s" | "min" | "h")
"""

from appliance.core.clock import SECOND
from appliance.core.conditions.nodes import (
    COMPARE,
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
from appliance.core.conditions.tokens import Tokens
from appliance.core.conditions.vocabulary import DAYS, UNITS_OF_TIME, Vocabulary, nanoseconds
from appliance.core.quantities import Quantity, convert
from appliance.core.windows import KEPT_NS, steepest

MAX_DEPTH = 12
"""Brackets and negations within each other."""
SLOPE_SPAN_NS = 300 * SECOND
"""Over which `rising` and `falling` are measured: ten bins, so that one noisy bin does not make a trend (assumed)."""


def parse(text: str, vocabulary: Vocabulary, *, where: str, alarm: str | None = None) -> Node:
    """Return the tree of `text`.

    Args:
        text: one condition.
        vocabulary: the channels and words that it may use.
        where: names the place in errors, and is the prefix of the keys of `for`, as "rule clean_air, when".
        alarm: the rule whose end this is, where a person may end it by an acknowledgement.

    Raises:
        ProfileError: with the column, a caret under the place, and the remedy.
    """
    return _Parser(text, vocabulary, where, alarm).whole()


class _Parser(Tokens):
    """Recursive descent over the pieces of one text; one method a rule of the grammar."""

    def __init__(self, text: str, vocabulary: Vocabulary, where: str, alarm: str | None) -> None:
        super().__init__(text, where)
        self.vocabulary = vocabulary
        self.alarm = alarm
        self.depth = 0
        self.holds = 0

    # ------------------------------------------------------------ grammar

    def whole(self) -> Node:
        node = self.disjunction()
        if self.tokens[self.position][0] != "end":
            raise self.error(f"{self.peek()!r} is too much", 'join conditions with "and" or "or"')
        return node

    def disjunction(self) -> Node:
        parts = [self.conjunction()]
        while self.accept("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self) -> Node:
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negation(self, *, negated: bool = False) -> Node:
        self.depth += 1
        # One is the condition itself, in no bracket yet.
        if self.depth > MAX_DEPTH + 1:
            raise self.error(f"more than {MAX_DEPTH} brackets within each other", "split it into two rules")
        node = Not(self.negation(negated=True)) if self.accept("not") else self.primary()
        if self.peek() == "for":
            if negated:
                raise self.error(
                    '"for" after a "not" can be read in two ways',
                    "put brackets: (not …) for 5 min, or not (… for 5 min)",
                )
            self.take()
            span = self.duration()
            self.holds += 1
            node = For(node, span, f"{self.where}#{self.holds}")
        self.depth -= 1
        return node

    def primary(self) -> Node:
        if self.accept("("):
            node = self.disjunction()
            self.expect(")", "close the bracket")
            return node
        return self.comparison()

    def comparison(self) -> Node:
        kind, word, column = self.take()
        if kind != "name":
            raise self.error("a condition is missing here", "write a channel, as pm2_5 > 12", column)
        if word == "time":
            return self.time()
        if word == "day":
            return self.day()
        if word == "state":
            return self.state()
        if word == "acknowledged":
            if self.alarm is None:
                raise self.error(
                    "nothing can be acknowledged here",
                    "only the `until` of a LIFE_SAFETY or EQUIPMENT rule may wait for a person",
                    column,
                )
            return Acknowledged(self.alarm)
        if word == "age" and self.accept("("):
            channel = self.channel()
            self.expect(")", "close the bracket")
            op = self.op()
            return CompareAge(channel, op, self.duration())
        if word in ("mean", "min", "max") and self.accept("("):
            channel, quantity = self.measured()
            self.expect(",", f"say over which time: {word}({channel}, 10 min)")
            span = self.kept()
            self.expect(")", "close the bracket")
            op = self.op()
            return CompareWindow(channel, word, span, op, self.threshold(quantity, op))
        if word in ("rising", "falling") and self.accept("("):
            channel, quantity = self.measured()
            self.expect(")", "close the bracket")
            op = self.op()
            value = self.threshold(quantity, op, slope=True)
            self.expect("per", f"say per what: {word}({channel}) > 1 per min")
            self.expect("min", f"say per what: {word}({channel}) > 1 per min")
            return CompareWindow(channel, word, SLOPE_SPAN_NS, op, value)
        self.known(word, column)
        if self.accept("is"):
            negated = self.accept("not")
            node = self.word(word)
            return Not(node) if negated else node
        numeric = self.vocabulary.measured.get(word)
        if numeric is None:
            raise self.error(
                f"{word} has words, not numbers",
                f'write "{word} is …": {", ".join(self.vocabulary.worded[word])}',
            )
        op = self.op()
        return Compare(word, op, self.threshold(numeric, op))

    def word(self, channel: str) -> Node:
        kind, word, column = self.take()
        if word == "unknown":
            return IsUnknown(channel)
        words = self.vocabulary.worded.get(channel)
        if words is None:
            raise self.error(
                f"{channel} is a number, not a word",
                f"compare it, as {channel} > 12, or ask “{channel} is unknown”",
                column,
            )
        if kind != "name" or word not in words:
            raise self.error(
                f"{channel} is never {word!r}", f"it can be: {', '.join(words)}, unknown", column
            )
        return Is(channel, word)

    def time(self) -> Node:
        self.expect("is", "write: time is between 22:00 and 07:00")
        negated = self.accept("not")
        self.expect("between", "write: time is between 22:00 and 07:00")
        start = self.clock()
        self.expect("and", "write: time is between 22:00 and 07:00")
        _, _, column = self.tokens[self.position]
        end = self.clock()
        if start == end:
            raise self.error("that is no time at all", "leave it out for the whole day", column)
        node = Between(start, end)
        return Not(node) if negated else node

    def day(self) -> Node:
        self.expect("is", "write: day is saturday")
        negated = self.accept("not")
        _, word, column = self.take()
        if word not in DAYS:
            raise self.error(f"{word!r} is no day", f"write one of {', '.join(DAYS)}", column)
        node = DayIs(DAYS[word])
        return Not(node) if negated else node

    def state(self) -> Node:
        name = ""
        if self.accept("of"):
            _, name, column = self.take()
            if not name or name not in self.vocabulary.actions:
                others = ", ".join(other for other in self.vocabulary.actions if other) or "none"
                raise self.error(f"there is no appliance {name!r}", f"the others here are: {others}", column)
        self.expect("is", "write: state is off, or: state of heater is off")
        negated = self.accept("not")
        _, word, column = self.take()
        actions = self.vocabulary.actions.get(name, ())
        if word == "unknown":
            node: Node = DoingUnknown(name)
        elif word in actions:
            node = Doing(name, word)
        else:
            raise self.error(f"it never does {word!r}", f"it can be: {', '.join(actions)}, unknown", column)
        return Not(node) if negated else node

    def clock(self) -> int:
        kind, word, column = self.take()
        hours, _, minutes = word.partition(":")
        if kind != "clock" or int(hours) > 23 or int(minutes) > 59:
            remedy = "midnight is 00:00" if word == "24:00" else "write hours and minutes, as 07:00"
            raise self.error("a time of day is missing here", remedy, column)
        return int(hours) * 60 + int(minutes)

    # ------------------------------------------------------------ parts

    def known(self, word: str, column: int) -> None:
        if word not in self.vocabulary.measured and word not in self.vocabulary.worded:
            names = ", ".join([*self.vocabulary.measured, *self.vocabulary.worded]) or "none"
            raise self.error(f"there is no channel {word!r}", f"the channels are: {names}", column)

    def channel(self) -> str:
        _, word, column = self.take()
        self.known(word, column)
        return word

    def measured(self) -> tuple[str, Quantity]:
        _, word, column = self.take()
        self.known(word, column)
        quantity = self.vocabulary.measured.get(word)
        if quantity is None:
            raise self.error(f"{word} has words, not numbers", "use a measured channel", column)
        return word, quantity

    def op(self) -> str:
        _, word, column = self.take()
        if word not in COMPARE:
            raise self.error("a comparison is missing here", "write one of > >= < <=", column)
        return word

    def threshold(self, quantity: Quantity, op: str, *, slope: bool = False) -> float:
        kind, word, column = self.take()
        if kind != "number":
            raise self.error("a number is missing here", f"write a threshold in {quantity.unit}", column)
        value = float(word)
        kind, unit, at = self.tokens[self.position]
        if kind == "name" and unit not in ("and", "or", "for", "per"):
            self.take()
            converted = convert(value, unit, quantity)
            if converted is not None and slope:
                # A change has no zero point: 9 °F per minute are 5 °C per minute, whatever 0 °F is.
                origin = convert(0.0, unit, quantity)
                converted = None if origin is None else converted - origin
            if converted is None:
                raise self.error(
                    f"{unit!r} is no unit of {quantity.name}",
                    f"write it in {quantity.unit}, or leave the unit out",
                    at,
                )
            value = converted
        low, high, per = quantity.low, quantity.high, ""
        if slope:
            high = (quantity.high - quantity.low) * steepest(SLOPE_SPAN_NS)
            low, per = -high, " per min"
        beyond = (op == ">" and value == high) or (op == "<" and value == low)
        if beyond or not low <= value <= high:
            raise self.error(
                f"{quantity.name} never {'passes' if beyond else 'reaches'} {value:g}{per}",
                f"it lies between {low:g} and {high:g} {quantity.unit}{per}",
                column,
            )
        return value

    def kept(self) -> int:
        """Return a duration over which there are statistics."""
        _, _, column = self.tokens[self.position]
        span = self.duration()
        if span > KEPT_NS:
            raise self.error(
                f"windows keep {KEPT_NS // UNITS_OF_TIME['h']} h", "ask over a shorter time", column
            )
        return span

    def duration(self) -> int:
        kind, word, column = self.take()
        if kind != "number" or float(word) <= 0:
            raise self.error(
                "a duration is missing here", "write a number and a unit: 30 s, 5 min, 2 h", column
            )
        unit_kind, unit, at = self.take()
        if unit_kind != "name" or unit not in UNITS_OF_TIME:
            raise self.error("the unit of time is missing", f"write {word} s, {word} min or {word} h", at)
        span = nanoseconds(word, unit)
        if span is None:
            raise self.error("that is longer than a year", "write a shorter time, as 2 h", column)
        return span
