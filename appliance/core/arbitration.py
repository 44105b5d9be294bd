"""Owns the one place where voices become a decision.

Never in here: what a voice wants (rules, guards, models, people say that), or what is done about the decision.
"""

from collections.abc import Iterable
from enum import IntEnum

import msgspec


class Authority(IntEnum):
    """How strong a voice is; the lower number is the stronger (the scale of BACnet's command priorities)."""

    LIFE_SAFETY = 2
    MINIMUM_OFF = 4
    EQUIPMENT = 5
    MANUAL = 8
    MINIMUM_ON = 9
    RULE = 10
    DWELL = 12
    EDGE = 13
    MODEL = 14
    FALLBACK = 16


NARROWING = frozenset({Authority.MINIMUM_OFF, Authority.MINIMUM_ON, Authority.DWELL})
"""These only narrow: where no other voice acts, nothing is decided."""


class Ladder(msgspec.Struct, frozen=True):
    """An appliance's ordered actions, weakest first; `rest` and `safe` are indices into them.

    `modes` are off the ladder (auto, sleep): only a person enters one.
    """

    actions: tuple[str, ...]
    rest: int
    safe: int
    modes: tuple[str, ...] = ()

    @property
    def top(self) -> int:
        """The index of the strongest action."""
        return len(self.actions) - 1


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """What one voice would accept: the closed interval of actions [`at_least`, `at_most`], as indices into the ladder."""

    at_least: int
    at_most: int
    authority: Authority
    source: str
    because: str


class Voice(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A proposal as it was heard.

    `limited_by` names the stronger source that kept it from what it wanted, `contradicts` the equal one; a voice that does
    not act only recommends: it narrowed nothing.
    """

    source: str
    authority: Authority
    at_least: str
    at_most: str
    because: str
    limited_by: str | None = None
    contradicts: str | None = None
    acts: bool = True


class Verdict(msgspec.Struct, frozen=True):
    """The outcome: `action` is an index into the ladder, or None where nobody but narrowing guards spoke.

    `decided_by` is the voice that settled it; `voices` are all of them, strongest first, then by source.
    """

    action: int | None
    decided_by: Proposal | None
    voices: tuple[Voice, ...]


def arbitrate(ladder: Ladder, proposals: Iterable[Proposal]) -> Verdict:
    """Return what follows from `proposals`, whatever their order.

    Authority by authority, strongest first: the highest `at_least` and the lowest `at_most` of its proposals; where these
    contradict, the point between them nearest to `safe`; then the interval left is drawn in to these bounds, a bound
    that lies outside moving to the nearest action left. Of what is left at the end the action nearest to `rest` is decided.
    """
    heard = sorted(proposals, key=_strongest_first)
    if len(heard) == 1 and heard[0].authority not in NARROWING:
        return _alone(ladder, heard[0])
    low, high = 0, ladder.top
    low_by: Proposal | None = None
    high_by: Proposal | None = None
    voices: list[Voice] = []
    pinned_by: Proposal | None = None
    limiter: Proposal | None = None
    acts = False
    position = 0
    while position < len(heard):
        authority = heard[position].authority
        peers = [heard[position]]
        position += 1
        while position < len(heard) and heard[position].authority == authority:
            peers.append(heard[position])
            position += 1
        acts = acts or authority not in NARROWING
        floor = ceiling = peers[0]
        for peer in peers[1:]:
            if peer.at_least > floor.at_least:
                floor = peer
            if peer.at_most < ceiling.at_most:
                ceiling = peer
        wanted_low, wanted_high = floor.at_least, ceiling.at_most
        contradiction = wanted_low > wanted_high
        low_side, high_side = floor, ceiling
        if contradiction:
            wanted_low = wanted_high = min(max(ladder.safe, wanted_high), wanted_low)
            # The reason is that of the side on which the point lies.
            low_side = high_side = ceiling if wanted_high == ceiling.at_most else floor
        new_low = min(max(wanted_low, low), high)
        new_high = min(max(wanted_high, low), high)
        for peer in peers:
            # Who stood in its way: a stronger bound outside of which it reached, or its own peer.
            by = None
            if peer.at_least > high:
                by = high_by
            elif peer.at_most < low:
                by = low_by
            against = None
            if contradiction:
                if peer.at_least == floor.at_least and peer is not ceiling:
                    against = ceiling.source
                elif peer.at_most == ceiling.at_most and peer is not floor:
                    against = floor.source
            if by is not None and limiter is None:
                limiter = by
            voices.append(
                Voice(
                    peer.source,
                    peer.authority,
                    ladder.actions[peer.at_least],
                    ladder.actions[peer.at_most],
                    peer.because,
                    None if by is None else by.source,
                    against,
                )
            )
        if new_low > low:
            low, low_by = new_low, low_side
        if new_high < high:
            high, high_by = new_high, high_side
        if pinned_by is None and low == high:
            exact = [peer for peer in peers if peer.at_least == peer.at_most == low]
            pinned_by = next(iter(exact), low_side if contradiction and wanted_low == low else None)
    if not acts:
        return Verdict(None, None, tuple(voices))
    action = min(max(ladder.rest, low), high)
    if action > ladder.rest:
        decided_by = low_by
    elif action < ladder.rest:
        decided_by = high_by
    else:
        decided_by = pinned_by or limiter
    if decided_by is not None and decided_by.authority in NARROWING:
        # A guard that only narrows is the reason only where it makes a difference.
        acting = [wish for wish in heard if wish.authority not in NARROWING]
        without = arbitrate(ladder, acting)
        if without.action == action:
            decided_by = without.decided_by
    return Verdict(action, decided_by or heard[-1], tuple(voices))


def _alone(ladder: Ladder, wish: Proposal) -> Verdict:
    """Return what follows where only one voice spoke, the ordinary case: it has its way."""
    low, high = ladder.actions[wish.at_least], ladder.actions[wish.at_most]
    voice = Voice(wish.source, wish.authority, low, high, wish.because)
    return Verdict(min(max(ladder.rest, wish.at_least), wish.at_most), wish, (voice,))


def _strongest_first(proposal: Proposal) -> tuple[int, str, int, int, str]:
    return (proposal.authority, proposal.source, proposal.at_least, proposal.at_most, proposal.because)
