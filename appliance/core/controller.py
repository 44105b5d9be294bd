"""Owns the order of things: events in, decisions made, effects out.

`decide` is a function of its arguments; `Controller` merely holds the state between calls. Never in here: a clock, the
network, the disk, or any rule of its own about what an appliance should do.
"""

from collections.abc import Mapping, Sequence, Set as AbstractSet

import msgspec

from appliance.core import deciding, hands, sensing
from appliance.core.clock import Instant
from appliance.core.events import (
    AdviceAnswered,
    AlarmAcknowledged,
    AskState,
    AvailabilityChanged,
    Decision,
    Effect,
    Event,
    Labelled,
    LinkChanged,
    PersonSpoke,
    ReadingArrived,
    Record,
    SendCommand,
    StateReported,
    Tick,
)
from appliance.core.features import row
from appliance.core.home import Home
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.readings import Reading
from appliance.core.senses import Learned, Sense
from appliance.core.snapshot import Other
from appliance.core.state import ApplianceState, State
from appliance.core.trust import verdict
from appliance.core.windows import BIN_NS
from appliance.core.words import Told

_Said = Mapping[str, tuple[list[list[float]], Sequence[int | None]]]
"""By model, of its rows of one wake-up: the probabilities (N, L) that it gave them, and what its novelty region says of each (N)."""


class Controller:
    """The holder of the state. Not safe for threads: one loop owns it."""

    def __init__(self, home: Home, state: State) -> None:
        self.home = home
        self.state = state

    def handle(self, events: Sequence[Event], now: Instant) -> list[Effect]:
        """Take one wake-up's events, in order of arrival, and return what follows, in order."""
        self.state, effects = decide(self.home, self.state, events, now)
        return effects

    def wake_at(self) -> int:
        """Return the `boottime_ns` at which it wants a `Tick`: a timer ends, or the next bins open."""
        return self.state.wake_ns

    def suppose(self, appliance: str, readings: Mapping[str, float], now: Instant) -> Decision | None:
        """Return the decision that would follow if the channels of `appliance` read `readings` now. Changes nothing.

        A value out of its quantity's range is BAD here as anywhere; a jump is not, for a supposition has no past.
        """
        state = self.state.appliances[appliance]
        senses = dict(state.senses)
        for channel, value in readings.items():
            sense = senses[channel]
            reading = Reading("supposed", channel, value, sense.channel.quantity.unit)
            senses[channel] = Sense(sense.channel, {}, sense.window).hear(
                "supposed", reading, now, retained=False, resent=False
            )
        supposed = msgspec.structs.replace(state, senses=senses, last=None, answered=True)
        whole = msgspec.structs.replace(self.state, appliances={**self.state.appliances, appliance: supposed})
        _, effects = decide(self.home, whole, [Tick()], now, only=appliance)
        return next(
            (
                effect.decision
                for effect in effects
                if isinstance(effect, Record) and effect.decision.appliance == appliance
            ),
            None,
        )


def unsettled(home: Home, state: State, event: Event, now: Instant) -> State:
    """Return the state as `event` leaves it before anybody decides: what was heard and said is in it, what follows is not.

    `decide` goes on from here, so it is what a decision rests on. Alters none of its arguments.
    """
    work = sensing.Fold(home.routes, home.word_routes, state, now)
    rows: dict[str, list[list[float]]] = {}
    steps: list[_Step] = []
    _fold(home, work, event, steps, rows, now, None)
    said = _ask(home, rows)
    appliances = dict(state.appliances)
    for step in steps:
        name = step.appliance
        after = _apply(home, home.appliances[name], appliances[name], step, said, now, [])
        appliances[name] = appliances[name] if after is None else after
    return msgspec.structs.replace(state, appliances=appliances)


class _Step(msgspec.Struct):
    """One event for one appliance: the senses after it, and where its feature rows lie (channel, model, index)."""

    appliance: str
    event: Event
    senses: Mapping[str, Sense] | None
    rows: list[tuple[str, str, int]]
    words: Mapping[str, Told] | None = None


def decide(
    home: Home, state: State, events: Sequence[Event], now: Instant, *, only: str | None = None
) -> tuple[State, list[Effect]]:
    """Return the state after `events` and what follows from them. Alters none of its arguments.

    Two passes, so that a wake-up with many readings runs each model once: fold the events, keeping each reading's
    feature row; ask the models about all rows; then decide in order. No feature reads a decision, so this is the same.
    """
    work = sensing.Fold(home.routes, home.word_routes, state, now)
    rows: dict[str, list[list[float]]] = {}
    steps: list[_Step] = []
    for event in events:
        _fold(home, work, event, steps, rows, now, only)
    said = _ask(home, rows)

    appliances = dict(state.appliances)
    effects: list[Effect] = [*work.kept]
    next_id = state.next_id
    wake_ns = state.wake_ns
    for step in steps:
        concerned: list[tuple[str, _Step | None]] = [(step.appliance, step)]
        for name, own in concerned:
            spec, before = home.appliances[name], appliances[name]
            after = before if own is None else _apply(home, spec, before, own, said, now, effects)
            if after is None:
                continue
            first = len(effects)
            after, next_id = deciding.settle(
                spec,
                after,
                now,
                home.zone,
                effects,
                next_id=next_id,
                remembered=before.memory,
                others=others(home, spec, appliances),
                observe=home.observe,
            )
            appliances[name] = after
            wake_ns = min(wake_ns, after.wake_ns)
            for effect in effects[first:]:
                if isinstance(effect, SendCommand):
                    work.commanded(effect.device)
            if name in home.watchers and deciding.other(spec, before) != deciding.other(spec, after):
                # Whoever watches this one looks again: once for each event, so that two who watch each other come to rest.
                seen = {one for one, _ in concerned}
                concerned += [(one, None) for one in home.watchers[name] if one not in seen]
    if wake_ns <= now.boottime_ns:
        # Whoever was first has been looked at; only now is it worth asking everybody.
        wake_ns = min((after.wake_ns for after in appliances.values()), default=now.boottime_ns + BIN_NS)
    links = [event.connected for event in events if isinstance(event, LinkChanged)]
    return State(
        appliances,
        work.devices,
        next_id,
        links[-1] if links else state.connected,
        now.boottime_ns if links else state.since_ns,
        wake_ns,
    ), effects


def others(home: Home, spec: Appliance, appliances: Mapping[str, ApplianceState]) -> Mapping[str, Other]:
    """Return what `spec` may know of the appliances that it watches."""
    if not spec.watches:
        return {}
    return {
        name: deciding.other(home.appliances[name], appliances[name])
        for name in sorted(spec.watches)
        if name in appliances
    }


def _fold(
    home: Home,
    work: sensing.Fold,
    event: Event,
    steps: list[_Step],
    rows: dict[str, list[list[float]]],
    now: Instant,
    only: str | None,
) -> None:
    """First pass: which appliances does `event` concern, what do they sense after it, which rows follow."""
    match event:
        case ReadingArrived():
            for appliance, heard in work.hear(event).items():
                senses = work.senses[appliance]
                steps.append(
                    _Step(appliance, event, senses, _rows(home, appliance, senses, heard, rows, now))
                )
        case Tick():
            for appliance in [only] if only is not None else work.due():
                senses = work.current(appliance)
                steps.append(_Step(appliance, event, None, _rows(home, appliance, senses, None, rows, now)))
        case StateReported():
            reporting = home.reporters.get(event.device, ())
            told = work.told(event) if home.word_routes else {}
            steps.extend(_Step(appliance, event, None, [], told.get(appliance)) for appliance in reporting)
            steps.extend(
                _Step(appliance, Tick(), None, [], words)
                for appliance, words in told.items()
                if appliance not in reporting
            )
        case AvailabilityChanged():
            steps.extend(
                _Step(appliance, event, None, []) for appliance in home.reporters.get(event.device, ())
            )
        case PersonSpoke() | AdviceAnswered() | AlarmAcknowledged() | Labelled():
            if event.appliance in home.appliances:
                steps.append(_Step(event.appliance, event, None, []))
        case LinkChanged():
            steps.extend(_Step(appliance, event, None, []) for appliance in home.appliances)
        case _:
            pass


def _rows(
    home: Home,
    appliance: str,
    senses: Mapping[str, Sense],
    heard: AbstractSet[str] | None,
    rows: dict[str, list[list[float]]],
    now: Instant,
) -> list[tuple[str, str, int]]:
    """Append the feature rows of the models that `heard` (None: all) concerns; return (channel, model, row) of each."""
    found = []
    for channel, model in home.appliances[appliance].models.items():
        classifier = home.classifiers.get(model)
        if classifier is None or (heard is not None and classifier.spec.channels.isdisjoint(heard)):
            continue
        windows = {name: senses[name].window for name in classifier.spec.channels if name in senses}
        table = rows.setdefault(model, [])
        found.append((channel, model, len(table)))
        table.append(row(windows, classifier.spec, now, home.zone))
    return found


def _ask(home: Home, rows: Mapping[str, list[list[float]]]) -> _Said:
    """Return what each model says to all its rows at once, and how novel they are."""
    if not rows:
        return {}
    import numpy as np  # noqa: PLC0415  a home without a model has no use for it

    said: dict[str, tuple[list[list[float]], Sequence[int | None]]] = {}
    for name, table in rows.items():
        classifier = home.classifiers[name]
        features = np.array(table, dtype=np.float32)
        region = classifier.trust.novelty
        unlike = [None] * len(table) if region is None else region.unlike_each(features)
        said[name] = classifier.predict(features).tolist(), unlike
    return said


def _apply(
    home: Home,
    spec: Appliance,
    state: ApplianceState,
    step: _Step,
    said: _Said,
    now: Instant,
    effects: list[Effect],
) -> ApplianceState | None:
    """Second pass: return the appliance's state after the step's event, or None where nothing is to be decided."""
    learned = state.learned
    if step.rows:
        learned = heard = dict(state.learned)
        for channel, model, index in step.rows:
            trust = home.classifiers[model].trust
            answers, unlike = said[model]
            probabilities, alpha = answers[index], spec.alpha(channel)
            levels = trust.levels(state.memory.trust.get(channel), alpha)
            label, quality, reason = verdict(probabilities, unlike[index], trust, alpha, levels)
            if label is None:
                heard[channel] = Learned(None, 0.0, quality, reason, now, LEARNED_MAX_AGE_NS)
                continue
            sure = probabilities[trust.labels.index(label)]
            heard[channel] = Learned(
                label, sure, quality, reason, now, LEARNED_MAX_AGE_NS, tuple(probabilities)
            )
    state = msgspec.structs.replace(
        state,
        senses=state.senses if step.senses is None else step.senses,
        words=state.words if step.words is None else step.words,
        learned=learned,
    )
    match step.event:
        case StateReported(states=states, retained=retained):
            after = hands.reported(spec, state, states, now, retained=retained)
            return state if after is None and step.words is not None else after
        case AvailabilityChanged(available=available):
            state, ask = hands.availability(spec, state, now, available=available)
        case LinkChanged(connected=connected):
            state, ask = hands.link(spec, state, now, connected=connected)
        case PersonSpoke() as spoken:
            return hands.spoken(spec, state, spoken, now, home.zone)
        case AdviceAnswered() as answer:
            return hands.answered(spec, state, answer, now)
        case AlarmAcknowledged() as seen:
            return hands.acknowledged(spec, state, seen)
        case Labelled(channel=channel) as told:
            known = home.classifiers.get(spec.models.get(channel, ""))
            return hands.labelled(spec, state, told, None if known is None else known.trust, now)
        case _:
            return state
    if ask:
        effects.append(AskState(spec.actuator.device, spec.actuator.asks))
    return state
