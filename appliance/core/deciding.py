"""Owns the second half of a decision: voices are heard, one action follows, and a command where it may.

This is the one place where commands leave the core. Never in here: what a voice wants, or how it is weighed.
"""

from collections.abc import Mapping
from datetime import tzinfo

from msgspec.structs import replace

from appliance.core import overrides
from appliance.core.arbitration import Authority, Proposal, Verdict, Voice
from appliance.core.clock import SECOND, Instant
from appliance.core.commands import FAULT_RETRY_NS, LONGEST_ASK_NS, SETTLE_NS, TRIES, Flight
from appliance.core.conditions import Node
from appliance.core.conditions.nodes import DayIs
from appliance.core.events import (
    Advice,
    AskState,
    Decision,
    Effect,
    Memory,
    Notify,
    Recommend,
    Record,
    Remember,
    Repeat,
    SendCommand,
)
from appliance.core.explain import inputs
from appliance.core.guards.switches import HOUR_NS
from appliance.core.hands import timed
from appliance.core.profile import Appliance
from appliance.core.rules import Conclusion, conclude
from appliance.core.senses import Sense
from appliance.core.snapshot import Other, Snapshot
from appliance.core.state import ApplianceState
from appliance.core.weighing import FREE, Weighed, reach, weigh
from appliance.core.windows import BIN_NS
from appliance.errors import ProfileError

WITHOUT_ANSWER = frozenset({Authority.LIFE_SAFETY, Authority.EQUIPMENT, Authority.MANUAL})
"""Only these command a device that reports, but has not said yet what it is doing."""
ADVICE_NS = 3600 * SECOND
"""A recommendation without an answer is taken back after an hour (assumed: the air of an hour ago is no reason any more)."""
NEVER: Node = DayIs(())
"""A condition that is never true."""


def settle(
    spec: Appliance,
    state: ApplianceState,
    now: Instant,
    zone: tzinfo,
    effects: list[Effect],
    *,
    next_id: int,
    remembered: Memory,
    others: Mapping[str, Other] = {},
    observe: bool = False,
) -> tuple[ApplianceState, int]:
    """Decide for one appliance; append what follows to `effects`; return its state and the next decision's id.

    `remembered` is the memory that is journalled already: from before what a person or the device just said. `others` are
    the appliances that it watches.
    """
    state = _asked(spec, state, now, effects)
    state, around = _overridden(spec, state, snapshot(spec, state, now, zone, others))
    conclusion = conclude((*spec.rules, *spec.instead) if spec.instead else spec.rules, around)
    weighed = weigh(spec, around, conclusion)
    verdict, action = weighed.verdict, weighed.action
    authority = Authority.FALLBACK if verdict.decided_by is None else verdict.decided_by.authority

    memory = _remembered(spec, state.memory, conclusion, weighed, around)
    if memory is not state.memory or weighed.wants != state.wants:
        if opened(memory) != opened(state.memory):
            effects.append(Recommend(spec.id, opened(memory)))
        state = replace(state, memory=memory, wants=weighed.wants)
    state = _troubled(spec, state, around, verdict, effects)

    sent = False
    if (
        action is not None
        and not observe
        and (state.answered or not spec.actuator.waits or authority in WITHOUT_ANSWER)
        and entitled(spec, action, authority, around.current)
    ):
        state, sent = _command(spec, state, action, now, effects)
    else:
        state = _abandoned(state, action, now)

    voices = verdict.voices
    if weighed.wishes:
        voices += tuple(_advice(spec, wish) for wish in weighed.wishes)
    next_bin_ns = (now.boottime_ns // BIN_NS + 1) * BIN_NS
    rests_on, soonest_ns = _surveyed(around, next_bin_ns)
    source = "nobody" if verdict.decided_by is None else verdict.decided_by.source
    last = state.last
    if last is not None and (last.action, last.source) == (action, source) and rests_on == state.rests_on:
        effects.append(Repeat(spec.id, last.id))
    else:
        because = "nobody may act on it" if verdict.decided_by is None else verdict.decided_by.because
        last = Decision(
            next_id, now, spec.id, action, because, authority, source, voices, inputs(around), sent
        )
        next_id += 1
        effects.append(Record(last))
    if state.memory is not remembered:
        effects.append(Remember(spec.id, state.memory))
    wake_ns = _wake_ns(spec, state, around, soonest_ns)
    return replace(state, last=last, rests_on=rests_on, voices=voices, wake_ns=wake_ns), next_id


def entitled(spec: Appliance, action: str, authority: Authority, current: int | None) -> bool:
    """Return whether a voice of `authority` may make the appliance, now at `current`, do `action`.

    The last look before a command leaves, whatever arbitration said: a mode is entered by a person alone; an action that
    needs a person by a person, or life safety, unless the appliance is there already, or goes back from beyond it.
    """
    if action not in spec.ladder.actions:
        return authority is Authority.MANUAL
    index = spec.ladder.actions.index(action)
    low, high = reach(spec.needs_person, spec.ladder.top, current)
    return low <= index <= high or authority in FREE


def opened(memory: Memory) -> tuple[Advice, ...]:
    """Return what a person may still accept or dismiss."""
    return tuple(one for one in memory.advice if not one.answered) if memory.advice else ()


def current_action(spec: Appliance, state: ApplianceState, now: Instant) -> str | None:
    """Return what the appliance is doing: the commanded action while a command is in flight, else the reported one."""
    memory = state.memory
    flying = state.flight is not None and state.flight.flying(now.boottime_ns)
    if flying or not spec.actuator.reports or memory.reported is None:
        return memory.commanded
    return memory.reported


def reports(spec: Appliance, state: ApplianceState) -> str | None:
    """Return what the appliance says that it does, or None where nobody knows; one that never reports does what it was told."""
    if not spec.actuator.reports:
        return state.memory.commanded
    return state.memory.reported if state.answered and state.available is not False else None


def other(spec: Appliance, state: ApplianceState) -> Other:
    """Return what others may know of this appliance."""
    doing = reports(spec, state)
    return Other(
        doing,
        doing == spec.ladder.actions[0],
        state.last is not None and state.wants in (0, None) and state.last.action not in spec.ladder.modes,
    )


def snapshot(
    spec: Appliance, state: ApplianceState, now: Instant, zone: tzinfo, others: Mapping[str, Other] = {}
) -> Snapshot:
    """Return everything that a decision about this appliance may look at `now`."""
    action = current_action(spec, state, now)
    current = spec.ladder.actions.index(action) if action in spec.ladder.actions else None
    return Snapshot(
        now,
        zone,
        spec.ladder,
        state.senses,
        state.learned,
        state.memory,
        current,
        state.words,
        others,
        reports(spec, state),
        in_a_mode=action in spec.ladder.modes,
    )


def _overridden(spec: Appliance, state: ApplianceState, around: Snapshot) -> tuple[ApplianceState, Snapshot]:
    """Return state and snapshot with the person's word as far as it still stands: its time runs, and its condition is not met."""
    override = state.memory.override
    if override is None:
        return state, around
    ended = not overrides.in_force(override, around.now)
    if not ended and override.ends is not None:
        if state.ends is None or state.ends[0] != override.ends:
            try:
                state = replace(state, ends=(override.ends, spec.ends.condition(override.ends)))
            except ProfileError:
                # The config changed under it: the channel is gone. It then ends by time.
                state = replace(state, ends=(override.ends, NEVER))
        ended = state.ends is not None and state.ends[1].truth(around) is True
    # An action that a new config no longer has can't be held to.
    ended = ended or override.action not in (*spec.ladder.actions, *spec.ladder.modes)
    if not ended:
        return state, around
    memory = replace(state.memory, override=None)
    return replace(state, memory=memory, ends=None), replace(around, memory=memory)


def _remembered(
    spec: Appliance, memory: Memory, conclusion: Conclusion, weighed: Weighed, around: Snapshot
) -> Memory:
    """Return the memory after the rules spoke; the very same where nothing changed."""
    advice = _advised(spec, memory.advice, weighed, around) if memory.advice or weighed.wishes else ()
    acknowledged = memory.acknowledged
    if acknowledged:
        acknowledged = tuple(rule for rule in acknowledged if rule in conclusion.holds)
    if (
        conclusion.holds == memory.holds
        and conclusion.true_since is memory.true_since
        and advice == memory.advice
        and acknowledged == memory.acknowledged
    ):
        return memory
    return replace(
        memory,
        holds=conclusion.holds,
        true_since=conclusion.true_since,
        advice=advice,
        acknowledged=acknowledged,
    )


def _advised(
    spec: Appliance, before: tuple[Advice, ...], weighed: Weighed, around: Snapshot
) -> tuple[Advice, ...]:
    """Return what is recommended now: a wish opens a piece of advice, its silence closes it, an hour without answer too."""
    actions = spec.ladder.actions
    known = {one.source: one for one in before}
    kept: dict[str, Advice] = {}
    standing = weighed.verdict.action
    if standing is None:
        standing = spec.ladder.rest if around.current is None else around.current
    for wish in weighed.wishes:
        action = actions[min(max(standing, wish.at_least), wish.at_most)]
        one = known.get(wish.source)
        left = None if one is None else one.until.since(around.now)
        if action == actions[standing] and (one is None or not one.answered):
            continue
        if one is None or left is None:
            until = around.now.plus(ADVICE_NS)
            kept[wish.source] = Advice(wish.source, action, wish.because, around.now, until)
        elif one.answered or left > 0:
            kept[wish.source] = one if one.answered or one.action == action else replace(one, action=action)
        else:
            kept[wish.source] = replace(one, answered=True)
    return tuple(kept.values())


def _troubled(
    spec: Appliance, state: ApplianceState, around: Snapshot, verdict: Verdict, effects: list[Effect]
) -> ApplianceState:
    """Tell people once of each alarm and each fault; return the state that knows which they were told."""
    found = {
        f"alarm: {voice.source}": voice.because
        for voice in verdict.voices
        if voice.authority is Authority.LIFE_SAFETY
    }
    for guard in spec.fault_finders:
        fault = guard.fault(around)
        if fault is not None:
            found[f"fault: guard {guard.name}"] = fault
    if found.keys() == state.troubles:
        return state
    effects += [
        Notify(spec.id, "error", f"{name}: {text}")
        for name, text in found.items()
        if name not in state.troubles
    ]
    return replace(state, troubles=frozenset(found))


def _advice(spec: Appliance, wish: Proposal) -> Voice:
    actions = spec.ladder.actions
    return Voice(
        wish.source, wish.authority, actions[wish.at_least], actions[wish.at_most], wish.because, acts=False
    )


def _surveyed(snapshot: Snapshot, next_bin_ns: int) -> tuple[tuple[int, ...], int]:
    """Return how each input stands (0 where its value may be acted on, else why not), and when the first measured one grows too old,
    where that is before `next_bin_ns`; else that.
    """
    now_ns, soonest_ns = snapshot.now.boottime_ns, next_bin_ns
    stands = []
    for sense in snapshot.senses.values():
        max_age_ns, alone = sense.channel.max_age_ns, sense.alone
        known = 0
        for heard in sense.sources.values() if alone is None else (alone,):
            if heard.good_ns is not None:
                stale_ns = heard.good_ns + max_age_ns + 1
                known += stale_ns > now_ns
                if now_ns < stale_ns < soonest_ns:
                    soonest_ns = stale_ns
        stands.append(0 if known else _why_not(sense))
    value = snapshot.value
    stands += [0 if value(channel) is not None else 1 for channel in (*snapshot.words, *snapshot.learned)]
    # A person's word that a stronger voice stands against changes no action, and is still to be seen.
    override = snapshot.memory.override
    if override is None:
        stands.append(0)
    else:
        stands.append(1 + (*snapshot.ladder.actions, *snapshot.ladder.modes).index(override.action))
    return tuple(stands), soonest_ns


def _why_not(sense: Sense) -> int:
    newest = sense.newest()
    return 1 if newest is None else 2 + newest.quality


def _command(
    spec: Appliance, state: ApplianceState, action: str, now: Instant, effects: list[Effect]
) -> tuple[ApplianceState, bool]:
    """Send `action` where the device does not do it yet: once, and again a bounded number of times where it won't obey."""
    memory, flight = state.memory, state.flight
    now_ns = now.boottime_ns
    tries, faulted = 1, False
    before = current_action(spec, state, now)
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
    elif before == action and not state.resend:
        if flight is not None:
            state = replace(state, flight=None)
        if spec.actuator.leases(action) and _lease_ends_ns(spec, state) <= now_ns:
            # Told again only so that its own timer starts anew; a hand is still a hand.
            effects.append(SendCommand(spec.id, spec.actuator.device, action, spec.actuator.command(action)))
            return replace(state, leased_ns=now_ns), False
        return state, False
    if tries == 1:
        memory = replace(memory, commanded=action, commanded_at=now, switches=_switched(spec, memory, now))
    # Also a command that is tried again may be the one that is obeyed.
    memory = timed(spec, memory, before, action, now)
    effects.append(SendCommand(spec.id, spec.actuator.device, action, spec.actuator.command(action)))
    leased_ns = now_ns if spec.actuator.leases(action) else None
    flight = Flight(now_ns, tries, faulted)
    return replace(state, memory=memory, flight=flight, leased_ns=leased_ns, resend=False), True


def _asked(spec: Appliance, state: ApplianceState, now: Instant, effects: list[Effect]) -> ApplianceState:
    """Ask a device again that has not said what it is doing: its bridge may have come back later than we did."""
    ask_ns = _asks_ns(spec, state)
    if ask_ns is None or ask_ns > now.boottime_ns:
        return state
    effects.append(AskState(spec.actuator.device, spec.actuator.asks))
    return replace(state, asks=state.asks + 1, asked_ns=now.boottime_ns)


def _asks_ns(spec: Appliance, state: ApplianceState) -> int | None:
    """Return when a device is asked again; None: it answered, can't be asked, or is known to be away."""
    if not state.asks or state.answered or state.available is False or not spec.actuator.waits:
        return None
    return state.asked_ns + min(SECOND << min(max(state.asks - 3, 0), 8), LONGEST_ASK_NS)


def _abandoned(state: ApplianceState, action: str | None, now: Instant) -> ApplianceState:
    """Return the state without the tries of a command that nobody wants any more: what is wanted next is tried anew."""
    flight = state.flight
    if flight is None or flight.flying(now.boottime_ns) or state.memory.commanded == action:
        return state
    return replace(state, flight=None)


def _lease_ends_ns(spec: Appliance, state: ApplianceState) -> int:
    """Return when a lease is renewed: half of it before the device would switch itself off. None was given: at once."""
    return 0 if state.leased_ns is None else state.leased_ns + (spec.actuator.lease_ns or 0) // 2


def _switched(spec: Appliance, memory: Memory, now: Instant) -> tuple[Instant, ...]:
    """Return the switches of the last hour, as many as a guard counts, and the one of `now`."""
    switches = memory.switches[-spec.counted :] if spec.counted else ()
    # In order: those that are too old come first.
    for index, switch in enumerate(switches):
        age = now.since(switch)
        if age is not None and age < HOUR_NS:
            return (*switches[index:], now)[-spec.counted :]
    return (now,) if spec.counted else ()


def _wake_ns(spec: Appliance, state: ApplianceState, snapshot: Snapshot, soonest_ns: int) -> int:
    """Return the next `boottime_ns` at which anything may change by itself: `soonest_ns`, or a timer before it."""
    now_ns = snapshot.now.boottime_ns
    wakes = [soonest_ns]
    if spec.guards:
        after = snapshot if state.memory is snapshot.memory else replace(snapshot, memory=state.memory)
        for guard in spec.guards:
            wake_ns = guard.wakes_ns(after)
            if wake_ns is not None:
                wakes.append(wake_ns)
    since = state.memory.true_since
    if since:
        timers = (timer for rule in (*spec.rules, *spec.instead) for timer in rule.timers)
        wakes += [since[timer.key].boottime_ns + timer.span_ns for timer in timers if timer.key in since]
    override = state.memory.override
    if override is not None and (ends_ns := overrides.ends_ns(override, snapshot.now)) is not None:
        wakes.append(ends_ns)
    if state.memory.advice:
        wakes += [now_ns + left for one in state.memory.advice if (left := one.until.since(snapshot.now))]
    if state.leased_ns is not None:
        wakes.append(_lease_ends_ns(spec, state))
    if (ask_ns := _asks_ns(spec, state)) is not None:
        wakes.append(ask_ns)
    if state.flight is not None:
        wakes += (state.flight.sent_ns + SETTLE_NS, state.flight.sent_ns + FAULT_RETRY_NS)
    for told in state.words.values():
        wakes += [said.heard_ns + told.channel.max_age_ns + 1 for said in told.sources.values()]
    return min([wake for wake in wakes if wake > now_ns])
