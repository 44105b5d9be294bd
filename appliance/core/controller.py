"""Owns the order of things: events in, decisions made, effects out.

`decide` is a function of its arguments; `Controller` merely holds the state between calls. Never in here: a clock, the
network, the disk, or any rule of its own about what an appliance should do.
"""

from collections.abc import Mapping, Sequence

import msgspec

from appliance.core import deciding, hands, inference, sensing
from appliance.core.clock import Instant
from appliance.core.events import (
    AdviceAnswered,
    AlarmAcknowledged,
    AskState,
    AvailabilityChanged,
    Decision,
    EdgeAnswered,
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
from appliance.core.home import Home
from appliance.core.profile import Appliance
from appliance.core.readings import Reading
from appliance.core.senses import Sense
from appliance.core.snapshot import Other
from appliance.core.state import ApplianceState, State
from appliance.core.windows import BIN_NS
from appliance.core.words import Told


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
    work = sensing.Fold(home.feeds, home.word_routes, state, now)
    rows: dict[str, list[list[float]]] = {}
    steps: list[_Step] = []
    _fold(home, work, event, steps, rows, now, None)
    said = inference.infer(home, rows)
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
    work = sensing.Fold(home.feeds, home.word_routes, state, now)
    rows: dict[str, list[list[float]]] = {}
    steps: list[_Step] = []
    for event in events:
        _fold(home, work, event, steps, rows, now, only)
    said = inference.infer(home, rows)

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
                    _Step(
                        appliance, event, senses, inference.rows_of(home, appliance, senses, heard, rows, now)
                    )
                )
        case Tick():
            for appliance in [only] if only is not None else work.due():
                senses = work.current(appliance)
                steps.append(
                    _Step(appliance, event, None, inference.rows_of(home, appliance, senses, None, rows, now))
                )
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
        case EdgeAnswered(appliance=appliance):
            if appliance in home.appliances:
                senses = work.current(appliance)
                found = inference.rows_of(home, appliance, senses, None, rows, now)
                steps.append(_Step(appliance, event, None, found))
        case LinkChanged():
            steps.extend(_Step(appliance, event, None, []) for appliance in home.appliances)
        case _:
            pass


def _apply(
    home: Home,
    spec: Appliance,
    state: ApplianceState,
    step: _Step,
    said: inference.Said,
    now: Instant,
    effects: list[Effect],
) -> ApplianceState | None:
    """Second pass: return the appliance's state after the step's event, or None where nothing is to be decided."""
    state = msgspec.structs.replace(
        state,
        senses=state.senses if step.senses is None else step.senses,
        words=state.words if step.words is None else step.words,
    )
    if type(step.event) is EdgeAnswered:
        state = inference.answered(home, spec, state, step.event, now)
    if step.rows:
        state = inference.conclude(home, spec, state, step.rows, said, now, effects)
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
            state = inference.labelled(home, spec, state, told, now)
            return hands.labelled(spec, state, told, None if known is None else known.trust, now)
        case _:
            return state
    if ask:
        effects.append(AskState(spec.actuator.device, spec.actuator.asks))
    return state
