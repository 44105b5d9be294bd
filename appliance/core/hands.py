"""Owns what people and devices do by themselves: reports, returns, and the hand at the switch.

A hand is a settled appliance changing with no command of ours in flight; not an echo, a retained state, the late report of
a superseded command, a lease that ran out, or a device, bridge or link coming back. Never in here: what is decided then.
"""

from collections.abc import Sequence
from datetime import tzinfo

from msgspec.structs import replace

from appliance.core import overrides
from appliance.core.clock import SECOND, Instant
from appliance.core.commands import RETURN_NS, SETTLE_NS
from appliance.core.conditions import Acknowledged
from appliance.core.events import AdviceAnswered, AlarmAcknowledged, Labelled, Memory, Override, PersonSpoke
from appliance.core.profile import Appliance
from appliance.core.readings import Reading
from appliance.core.state import ApplianceState
from appliance.core.trust import Trust

NOW_NS = 60 * SECOND
"""A label that ended so long ago still tells of now (assumed: so long it takes to say it)."""


def reported(
    spec: Appliance, state: ApplianceState, states: Sequence[Reading], now: Instant, *, retained: bool
) -> ApplianceState | None:
    """Return the state after the device's report, or None where it says nothing of what the appliance does."""
    relevant = {reading.metric: reading.value for reading in states}
    folded = {**state.states, **relevant}
    action = spec.actuator.recognise(folded, state.memory.commanded)
    if action is None:
        # Half of a report: the other half comes in a message of its own.
        return replace(state, states=folded)
    before = state.memory.reported
    if retained:
        # Of unknown age: it neither answers a question, nor tells of a hand, nor of what the appliance does now.
        return None
    state = replace(state, states=folded, answered=True, available=True)
    if action == before:
        return state
    memory = replace(state.memory, reported=action, reported_at=now)
    if before is not None or action != spec.ladder.actions[0]:
        # The first word after a gap, that it is off, is no news: it counts as off since the start.
        memory = timed(spec, memory, before, action, now)
    flying = state.flight is not None and state.flight.flying(now.boottime_ns)
    returning = before is None or now.boottime_ns < state.quiet_until_ns
    if flying or returning or action == memory.commanded or _ran_out(spec, state, action, now):
        return replace(state, memory=memory)
    memory = replace(
        memory,
        override=overrides.begin(action, "device", now, spec.hold_ns),
        commanded=action,
        commanded_at=now,
    )
    return replace(state, memory=memory, flight=None)


def _ran_out(spec: Appliance, state: ApplianceState, action: str, now: Instant) -> bool:
    """Return whether the device went off because its lease did: nobody's hand.

    A renewal may be lost on the air. The lease before it then ends just as it is renewed once more, renewals being half a lease
    apart, so a device that goes off right after one counts as run out too.
    """
    lease_ns = spec.actuator.lease_ns
    if lease_ns is None or action != spec.ladder.actions[0]:
        return False
    if state.leased_ns is None:
        return True
    age_ns = now.boottime_ns - state.leased_ns
    return age_ns < SETTLE_NS or age_ns >= lease_ns - SETTLE_NS


def timed(spec: Appliance, memory: Memory, before: str | None, after: str, now: Instant) -> Memory:
    """Return `memory` with the times of starting and stopping, where the change from `before` to `after` is one of them."""
    lowest = spec.ladder.actions[0]
    if after == lowest and before != lowest:
        return replace(memory, stopped=now)
    if after != lowest and before in (lowest, None):
        return replace(memory, started=now)
    return memory


def availability(
    spec: Appliance, state: ApplianceState, now: Instant, *, available: bool
) -> tuple[ApplianceState, bool]:
    """Return the state after the device went or came back, and whether to ask what it is doing now."""
    came_back = available and state.available is False
    quiet = now.boottime_ns + RETURN_NS if came_back else state.quiet_until_ns
    state = replace(state, available=available, quiet_until_ns=quiet)
    if came_back:
        # What it was told before it went may be lost, and a fault of then says nothing of now.
        state = replace(state, flight=None, answered=False, asks=1, asked_ns=now.boottime_ns)
    return state, came_back and spec.actuator.reports


def link(
    spec: Appliance, state: ApplianceState, now: Instant, *, connected: bool
) -> tuple[ApplianceState, bool]:
    """Return the state after the link came or went, and whether to ask what the device is doing now.

    Nothing that was sent before may still count as on its way. A device that never reports is commanded anew.
    """
    if not connected:
        return replace(state, answered=False, asks=0, flight=None), False
    reports = spec.actuator.reports
    return (
        replace(
            state,
            answered=False,
            asks=1,
            asked_ns=now.boottime_ns,
            flight=None,
            leased_ns=None,
            resend=not reports and state.memory.commanded is not None,
            quiet_until_ns=now.boottime_ns + RETURN_NS,
        ),
        reports,
    )


def spoken(
    spec: Appliance, state: ApplianceState, event: PersonSpoke, now: Instant, zone: tzinfo
) -> ApplianceState:
    """Return the state after a person set an override, or ended it. What the device can't do changes nothing."""
    override = None
    if event.action is not None:
        if event.action not in spec.ladder.actions and event.action not in spec.ladder.modes:
            return state
        override = overrides.begin(
            event.action,
            event.by,
            now,
            spec.hold_ns,
            for_ns=event.for_ns,
            until=event.until,
            open_ended=event.open_ended,
            zone=zone,
        )
    return _overridden(state, override)


def answered(spec: Appliance, state: ApplianceState, event: AdviceAnswered, now: Instant) -> ApplianceState:
    """Return the state after a person accepted or dismissed what is recommended; what is not, changes nothing."""
    advice = state.memory.advice
    meant = [
        one for one in advice if not one.answered and (event.source is None or one.source == event.source)
    ]
    if not meant:
        return state
    kept = tuple(replace(one, answered=True) if one in meant else one for one in advice)
    state = replace(state, memory=replace(state.memory, advice=kept))
    if not event.accepted:
        return state
    # Of several, the strongest stands first.
    return _overridden(state, overrides.begin(meant[0].action, "advice", now, spec.hold_ns))


def acknowledged(spec: Appliance, state: ApplianceState, event: AlarmAcknowledged) -> ApplianceState:
    """Return the state after a person acknowledged alarms: those that sound now, and wait for it."""
    waiting = [
        rule.id
        for rule in spec.rules
        if rule.id in state.memory.holds
        and event.rule in (None, rule.id)
        and any(isinstance(node, Acknowledged) for node in rule.nodes())
    ]
    seen = tuple(dict.fromkeys((*state.memory.acknowledged, *waiting)))
    return state if not waiting else replace(state, memory=replace(state.memory, acknowledged=seen))


def tells_of(event: Labelled, now: Instant) -> bool:
    """Return whether a label tells of `now`, and not of the past alone."""
    return event.since_ns <= now.wall_ns <= event.until_ns + NOW_NS


def labelled(
    spec: Appliance, state: ApplianceState, event: Labelled, trust: Trust | None, now: Instant
) -> ApplianceState:
    """Return the state after a label was told. One that tells of now makes the model more careful, or lets it back, from its next word
    on; one of the past is for the refit, and changes nothing here.
    """
    said = state.learned.get(event.channel)
    if (
        said is None
        or not said.probabilities
        or trust is None
        or event.label not in trust.labels
        or not tells_of(event, now)
        or (age := now.since(said.at)) is None
        or age > said.max_age_ns
    ):
        return state
    adapted = trust.adapt(
        state.memory.trust.get(event.channel), spec.alpha(event.channel), said.probabilities, event.label
    )
    if adapted is None:
        return state
    memory = replace(state.memory, trust={**state.memory.trust, event.channel: adapted})
    return replace(state, memory=memory)


def _overridden(state: ApplianceState, override: Override | None) -> ApplianceState:
    # A person's word is tried anew, also on a device that would not obey.
    flight = state.flight
    if flight is not None and flight.faulted:
        # Not forgotten: a late try may be on its way just now, and be obeyed.
        flight = replace(flight, tries=0, faulted=False)
    return replace(state, memory=replace(state.memory, override=override), flight=flight)
