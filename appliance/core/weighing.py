"""Owns gathering the voices: rules, guards, a person, the fallback, each within its reach; and what they amount to.

Never in here: how they are weighed against each other (arbitration), or what is done about it (deciding).
"""

import msgspec

from appliance.core import overrides
from appliance.core.arbitration import Authority, Proposal, Verdict, Voice, arbitrate
from appliance.core.profile import Appliance
from appliance.core.rules import Conclusion
from appliance.core.snapshot import Snapshot

EXCLUSION = "guard exclusion"
FREE = frozenset({Authority.LIFE_SAFETY, Authority.MANUAL})
"""What only a person may enter, these may."""


class Weighed(msgspec.Struct, frozen=True):
    """What the voices amount to: `action` by name (a mode where a person chose one), None where nobody acts.

    `wishes` were only recommended: by voices that may not act, or not as far as they would. `wants` is the action, as an index,
    that would be decided if no other appliance excluded it.
    """

    verdict: Verdict
    action: str | None
    wishes: tuple[Proposal, ...]
    wants: int | None


def weigh(spec: Appliance, snapshot: Snapshot, conclusion: Conclusion) -> Weighed:
    """Return what all voices amount to; a mode that a person chose stands where nobody stronger acts."""
    proposals: list[Proposal] = list(conclusion.proposals)
    excluded = False
    for guard in spec.guards:
        demand = guard.propose(snapshot)
        if demand is not None:
            proposals.append(demand)
            excluded = excluded or demand.source == EXCLUSION
    override = snapshot.memory.override
    person = None
    if override is not None:
        person = overrides.propose(override, spec.ladder, snapshot.zone)
        if person is not None:
            proposals.append(person)
    if spec.instead:
        proposals = [one for one in proposals if one.authority is not Authority.FALLBACK]
    wishes = conclusion.recommendations
    fallback = _fallback(spec, conclusion)
    if spec.may_act:
        proposals.append(fallback)
    else:
        # Where no rule may act, nobody switches off what a person switched on: that too is for them to say.
        wishes += (fallback,)
    if spec.needs_person:
        proposals, kept_back = _within_reach(spec, snapshot.current, proposals)
        wishes += kept_back
    if len(wishes) > 1:
        # Strongest first, and of equals the one that asks for most: where a person accepts all at once, that one is done.
        wishes = tuple(sorted(wishes, key=lambda wish: (wish.authority, -wish.at_least)))
    verdict = arbitrate(spec.ladder, proposals)
    wants = verdict.action
    if excluded:
        alone = [proposal for proposal in proposals if proposal.source != EXCLUSION]
        wants = arbitrate(spec.ladder, alone).action
    if (
        override is not None
        and person is None
        and not any(wish.authority < Authority.MANUAL for wish in proposals)
    ):
        rest = spec.ladder.rest
        because = overrides.because(override, snapshot.zone)
        decided = Proposal(rest, rest, Authority.MANUAL, f"person by {override.by}", because)
        voice = Voice(decided.source, decided.authority, override.action, override.action, because)
        return Weighed(Verdict(None, decided, (voice, *verdict.voices)), override.action, wishes, wants)
    action = None if verdict.action is None else spec.ladder.actions[verdict.action]
    return Weighed(verdict, action, wishes, wants)


def reach(needs_person: frozenset[int], top: int, current: int | None) -> tuple[int, int]:
    """Return the lowest and the highest action that a voice may ask for which is neither a person nor life safety.

    What needs a person lies at one end of the ladder; where the appliance is there already, it may stay, and go back.
    """
    low, high = 0, top
    if 0 in needs_person:
        low = max(needs_person) + 1
        if current in needs_person:
            low = min(low, current if current is not None else low)
    elif needs_person:
        high = min(needs_person) - 1
        if current in needs_person:
            high = max(high, current if current is not None else high)
    return low, high


def _within_reach(
    spec: Appliance, current: int | None, proposals: list[Proposal]
) -> tuple[list[Proposal], tuple[Proposal, ...]]:
    """Return the proposals drawn in to what their voices may ask for, and those that wanted more, as they were."""
    low, high = reach(spec.needs_person, spec.ladder.top, current)
    drawn: list[Proposal] = []
    kept_back: list[Proposal] = []
    for proposal in proposals:
        if proposal.authority in FREE:
            drawn.append(proposal)
            continue
        at_least = min(max(proposal.at_least, low), high)
        at_most = min(max(proposal.at_most, low), high)
        if proposal.at_least > high or proposal.at_most < low:
            kept_back.append(proposal)
        drawn.append(Proposal(at_least, at_most, proposal.authority, proposal.source, proposal.because))
    return drawn, tuple(kept_back)


def _fallback(spec: Appliance, conclusion: Conclusion) -> Proposal:
    """Return what is done when nobody asks: the first stated exception whose condition holds, else exactly `rest`."""
    if not spec.instead:
        return spec.fallback
    return next((one for one in conclusion.proposals if one.authority is Authority.FALLBACK), spec.fallback)
