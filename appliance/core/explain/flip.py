"""Owns what would change a decision: the nearest flip by one reading, and the flips that are no value, by name.

Never in here: how a supposed decision is made (what_if), or how values are searched (searching).
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from appliance.core.conditions.nodes import Compare, CompareWindow
from appliance.core.explain.searching import Found, search
from appliance.core.explain.what_if import Question
from appliance.core.explain.wording import amount, span


class Change(msgspec.Struct, frozen=True):
    """A flip by one reading: `channel` reads `was` (None: unknown); at `value`, `steps` of its resolution away, `action`.

    `exact`: no smaller change of this channel flips it. Else it is the nearest that the search found.
    """

    channel: str
    value: float
    unit: str | None
    was: float | None
    steps: int | None
    action: str | None
    exact: bool


class Named(msgspec.Struct, frozen=True):
    """A flip that is no value: `what` happens or would have to be so, and then `action`."""

    what: str
    action: str | None


class Flips(msgspec.Struct, frozen=True):
    """What would change a decision. `changes` come nearest first, at most one a channel; what is unknown comes last.

    `unsettled` are the channels of which the search did not come to its end; `basis` says what it rests on.
    """

    decided: str | None
    changes: tuple[Change, ...]
    named: tuple[Named, ...]
    unsettled: tuple[str, ...]
    evaluations: int
    basis: str

    @property
    def nearest(self) -> Change | None:
        """The smallest change of a known channel."""
        return next((change for change in self.changes if change.steps is not None), None)

    def lines(self) -> tuple[str, ...]:
        """Return it in words, the nearest flip first."""
        said = []
        nearest = self.nearest
        if nearest is None:
            left = f" found within {self.evaluations} evaluations" if self.unsettled else " in range"
            said.append(f"nearest flip: none{left} of any one known channel")
        for change in self.changes:
            lead = "nearest flip" if change is nearest else "flip"
            said.append(f"{lead}: {_told(change)}")
        said += [f"{named.what}: then {named.action or 'nothing'}" for named in self.named]
        if self.unsettled:
            said.append(f"not searched to the end: {', '.join(self.unsettled)}")
        said.append(f"(flips {self.basis})")
        return tuple(said)


def _told(change: Change) -> str:
    at = amount(change.value, change.unit)
    then = change.action or "nothing"
    if change.was is None or change.steps is None:
        return f"{change.channel} is unknown; heard at {at}: {then}"
    if not change.steps:
        return f"{change.channel} heard again at {at}: {then}"
    less = "more" if change.value > change.was else "less"
    nearest = "" if change.exact else ", the nearest that was found"
    step = "step" if change.steps == 1 else "steps"
    was = amount(change.was, None)
    return f"{change.channel} at {at} ({change.steps} {step} {less} than {was}{nearest}): {then}"


def flips(question: Question, *, basis: str, expired: Callable[[], bool] = lambda: False) -> Flips:
    """Return what would change the decision in question. Channels at which nothing looks are not asked about.

    `expired` is asked before each supposed decision; once it is True the answer is what was found until then.
    """
    decided = question.decided()
    spec, around = question.spec, question.around
    thresholds = _thresholds(question)
    looks_on = question.looks_on()
    looked_at = looks_on.union(*(node.channels() for node in question.conditions()))
    changes, unsettled, evaluations = [], [], 0
    for channel, measured in spec.channels.items():
        if channel not in looked_at:
            continue
        value = around.senses[channel].value(around.now)
        found = search(
            measured.quantity,
            value,
            thresholds.get(channel, ()),
            lambda value, channel=channel: question.valued(channel, value),  # type: ignore[misc]
            decided,
            piecewise=channel not in looks_on,
            expired=expired,
        )
        evaluations += found.evaluations
        if not found.whole:
            unsettled.append(channel)
        change = _change(channel, measured.quantity.unit, value, found)
        if change is not None:
            changes.append(change)
    far = 1 << 62
    changes.sort(key=lambda change: far if change.steps is None else change.steps)
    named = tuple(_named(question, decided, looked_at, expired))
    return Flips(decided, tuple(changes), named, tuple(unsettled), evaluations, basis)


def _change(channel: str, unit: str, value: float | None, found: Found) -> Change | None:
    if found.value is None:
        return None
    return Change(channel, found.value, unit, value, found.steps, found.action, found.exact)


def _named(
    question: Question, decided: str | None, looked_at: frozenset[str], expired: Callable[[], bool]
) -> Iterator[Named]:
    for what, action in question.without():
        if action != decided:
            yield Named(what, action)
    around, spec = question.around, question.spec
    spoken = {**{name: channel.words for name, channel in spec.worded.items()}, **spec.words}
    for channel, words in spoken.items():
        if channel not in looked_at:
            continue
        said = around.value(channel)
        for word in words:
            if expired():
                return
            if word != said and (action := question.worded(channel, word)) != decided:
                yield Named(f"if {channel} were {word}", action)
    ages = {name: sensed.max_age_ns for name, sensed in spec.channels.items()}
    ages |= {name: sensed.max_age_ns for name, sensed in spec.worded.items()}
    for channel, max_age_ns in ages.items():
        age_ns = around.age_ns(channel)
        if channel not in looked_at or age_ns is None or around.value(channel) is None:
            continue
        if expired():
            return
        action = question.unheard(channel)
        if action != decided:
            left = span(max(max_age_ns - age_ns, 0))
            yield Named(f"{channel} becomes unknown in {left} unless it is heard", action)


def _thresholds(question: Question) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = {}
    for node in question.conditions():
        if isinstance(node, Compare | CompareWindow):
            found.setdefault(node.channel, []).append(node.threshold)
    for guard in question.spec.guards:
        if (channel := getattr(guard, "channel", None)) is not None:
            # A guard's limits are whatever numbers it has.
            limits = [limit for limit in msgspec.structs.astuple(guard) if isinstance(limit, float)]  # type: ignore[arg-type]
            found.setdefault(channel, []).extend(limits)
    return found
