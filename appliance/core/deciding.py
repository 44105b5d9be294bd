"""Owns the second half of a decision: voices are heard, one action follows, and a command where it may.

This is the one place where commands leave the core. Never in here: what a voice wants, or how it is weighed.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo

from msgspec.structs import replace

from appliance.core import overrides
from appliance.core.arbitration import Authority, Proposal, Verdict, Voice, arbitrate
from appliance.core.clock import Instant
from appliance.core.commands import FAULT_RETRY_NS, SETTLE_NS, TRIES, Flight
from appliance.core.events import Decision, Effect, Memory, Notify, Record, Remember, Repeat, SendCommand
from appliance.core.explain import inputs
from appliance.core.guards.switches import HOUR_NS, MOST
from appliance.core.hands import timed
from appliance.core.profile import Appliance
from appliance.core.rules import Conclusion, conclude
from appliance.core.snapshot import Snapshot
from appliance.core.state import ApplianceState, DeviceState
from appliance.core.windows import BIN_NS

WITHOUT_ANSWER = frozenset({Authority.LIFE_SAFETY, Authority.EQUIPMENT, Authority.MANUAL})
"""Only these command a device that reports, but has not said yet what it is doing."""


def settle(
    spec: Appliance,
    state: ApplianceState,
    now: Instant,
    zone: tzinfo,
    effects: list[Effect],
    *,
    next_id: int,
    remembered: Memory,
    observe: bool = False,
) -> tuple[ApplianceState, int]:
    """Decide for one appliance; append what follows to `effects`; return its state and the next decision's id.

    `remembered` is the memory that is journalled already: from before what a person or the device just said.
    """
    override = state.memory.override
    if override is not None and not overrides.in_force(override, now):
        state = replace(state, memory=replace(state.memory, override=None))
    around = snapshot(spec, state, now, zone)
    conclusion = conclude(spec.rules, around)
    memory = state.memory
    if conclusion.holds != memory.holds or conclusion.true_since is not memory.true_since:
        memory = replace(memory, holds=conclusion.holds, true_since=conclusion.true_since)
        state = replace(state, memory=memory)
    verdict, action = _weigh(spec, around, conclusion)
    authority = Authority.FALLBACK if verdict.decided_by is None else verdict.decided_by.authority

    sends = (
        action is not None
        and not observe
        and (state.answered or not spec.actuator.waits or authority in WITHOUT_ANSWER)
    )
    state, sent = (
        _command(spec, state, action, now, effects) if action is not None and sends else (state, False)
    )

    rests_on = _rests_on(around)
    source = "nobody" if verdict.decided_by is None else verdict.decided_by.source
    last = state.last
    if last is not None and (last.action, last.source) == (action, source) and rests_on == state.rests_on:
        effects.append(Repeat(spec.id, last.id))
    else:
        because = "nobody may act on it" if verdict.decided_by is None else verdict.decided_by.because
        voices = verdict.voices + tuple(_advice(spec, wish) for wish in conclusion.recommendations)
        last = Decision(
            next_id, now, spec.id, action, because, authority, source, voices, inputs(around), sent
        )
        next_id += 1
        effects.append(Record(last))
    if state.memory is not remembered:
        effects.append(Remember(spec.id, state.memory))
    return replace(state, last=last, rests_on=rests_on, wake_ns=_wake_ns(spec, state, around)), next_id


def told(
    devices: Mapping[str, DeviceState], effects: Sequence[Effect], now: Instant
) -> Mapping[str, DeviceState]:
    """Return `devices`, remembering which of them `effects` command: what these say next may be an echo of their cache."""
    for effect in effects:
        if isinstance(effect, SendCommand) and effect.device in devices:
            devices = {**devices, effect.device: replace(devices[effect.device], told_ns=now.boottime_ns)}
    return devices


def current_action(spec: Appliance, state: ApplianceState, now: Instant) -> str | None:
    """Return what the appliance is doing: the commanded action while a command is in flight, else the reported one."""
    memory = state.memory
    flying = state.flight is not None and state.flight.flying(now.boottime_ns)
    if flying or not spec.actuator.reports or memory.reported is None:
        return memory.commanded
    return memory.reported


def snapshot(spec: Appliance, state: ApplianceState, now: Instant, zone: tzinfo) -> Snapshot:
    """Return everything that a decision about this appliance may look at `now`."""
    action = current_action(spec, state, now)
    current = spec.ladder.actions.index(action) if action in spec.ladder.actions else None
    return Snapshot(now, zone, spec.ladder, state.senses, state.learned, state.memory, current)


def _weigh(spec: Appliance, snapshot: Snapshot, conclusion: Conclusion) -> tuple[Verdict, str | None]:
    """Return what the voices amount to, and the action by name; a mode that a person chose stands where nobody stronger acts."""
    proposals: list[Proposal] = list(conclusion.proposals)
    for guard in spec.guards:
        demand = guard.propose(snapshot)
        if demand is not None:
            proposals.append(demand)
    override = snapshot.memory.override
    mode = None
    if override is not None:
        person = overrides.propose(override, spec.ladder, snapshot.zone)
        if person is not None:
            proposals.append(person)
        else:
            mode = override.action
    if spec.may_act:
        proposals.append(spec.fallback)
    verdict = arbitrate(spec.ladder, proposals)
    if (
        override is not None
        and mode is not None
        and not any(wish.authority < Authority.MANUAL for wish in proposals)
    ):
        person = Proposal(
            spec.ladder.rest,
            spec.ladder.rest,
            Authority.MANUAL,
            f"person by {override.by}",
            overrides.because(override, snapshot.zone),
        )
        voice = Voice(person.source, person.authority, mode, mode, person.because)
        return Verdict(None, person, (voice, *verdict.voices)), mode
    return verdict, None if verdict.action is None else spec.ladder.actions[verdict.action]


def _advice(spec: Appliance, wish: Proposal) -> Voice:
    actions = spec.ladder.actions
    return Voice(
        wish.source, wish.authority, actions[wish.at_least], actions[wish.at_most], wish.because, acts=False
    )


def _rests_on(snapshot: Snapshot) -> tuple[int, ...]:
    """Return how each channel stands: 0 where its value may be acted on, else why not."""
    now = snapshot.now
    stands = []
    for sense in snapshot.senses.values():
        if sense.value(now) is not None:
            stands.append(0)
        else:
            newest = sense.newest()
            stands.append(1 if newest is None else 2 + newest.quality)
    return (*stands, *(0 if said.value(now) is not None else 1 for said in snapshot.learned.values()))


def _command(
    spec: Appliance, state: ApplianceState, action: str, now: Instant, effects: list[Effect]
) -> tuple[ApplianceState, bool]:
    """Send `action` where the device does not do it yet: once, and again a bounded number of times where it won't obey."""
    memory, flight = state.memory, state.flight
    now_ns = now.boottime_ns
    tries, faulted = 1, False
    if flight is not None and memory.commanded == action:
        if flight.flying(now_ns):
            return state, False
        if memory.reported == action or not spec.actuator.reports:
            return replace(state, flight=None), False
        if flight.faulted:
            if now_ns - flight.sent_ns < FAULT_RETRY_NS:
                return state, False
            # It may have been unplugged for a while: now and then it is tried once more.
            tries, faulted = flight.tries, True
        elif flight.tries >= TRIES:
            text = f"{spec.actuator.device} was told {action} {TRIES} times and reports {memory.reported or 'nothing'}"
            effects.append(Notify(spec.id, "error", text))
            return replace(state, flight=replace(flight, faulted=True)), False
        else:
            tries = flight.tries + 1
    elif current_action(spec, state, now) == action and not state.resend:
        return (state if flight is None else replace(state, flight=None)), False
    if tries == 1:
        before = current_action(spec, state, now)
        memory = replace(memory, commanded=action, commanded_at=now, switches=_switched(memory, now))
        memory = timed(spec, memory, before, action, now)
    effects.append(SendCommand(spec.id, spec.actuator.device, action, spec.actuator.command(action)))
    return replace(state, memory=memory, flight=Flight(now_ns, tries, faulted), resend=False), True


def _switched(memory: Memory, now: Instant) -> tuple[Instant, ...]:
    recent = [
        switch for switch in memory.switches if (age := now.since(switch)) is not None and age < HOUR_NS
    ]
    return (*recent[-(MOST - 1) :], now)


def _wake_ns(spec: Appliance, state: ApplianceState, snapshot: Snapshot) -> int:
    """Return the next `boottime_ns` at which anything may change by itself."""
    now_ns = snapshot.now.boottime_ns
    wakes = [(now_ns // BIN_NS + 1) * BIN_NS]
    after = replace(snapshot, memory=state.memory)
    wakes += [wake for guard in spec.guards if (wake := guard.wakes_ns(after)) is not None]
    since = state.memory.true_since
    if since:
        timers = (timer for rule in spec.rules for timer in rule.timers)
        wakes += [since[timer.key].boottime_ns + timer.span_ns for timer in timers if timer.key in since]
    if state.memory.override is not None:
        wakes.append(overrides.ends_ns(state.memory.override, snapshot.now))
    if state.flight is not None:
        wakes.append(state.flight.sent_ns + SETTLE_NS)
        wakes.append(state.flight.sent_ns + FAULT_RETRY_NS)
    for sense in state.senses.values():
        wakes += [
            heard.good_ns + sense.channel.max_age_ns + 1
            for heard in sense.sources.values()
            if heard.good_ns is not None
        ]
    return min(wake for wake in wakes if wake > now_ns)
