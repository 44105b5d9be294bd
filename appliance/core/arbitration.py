"""Owns the one place where voices become a decision.

Never in here: what a voice wants (rules, guards, models, people say that), or what is done about the decision.
"""

from collections.abc import Iterable
from enum import IntEnum
from operator import attrgetter

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
_STRONGEST_FIRST = attrgetter("authority", "source", "at_least", "at_most", "because")


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
    heard = sorted(proposals, key=_STRONGEST_FIRST)
    if len(heard) == 1 and heard[0].authority not in NARROWING:
        return _alone(ladder, heard[0])
    low, high = 0, ladder.top
    low_by: Proposal | None = None
    high_by: Proposal | None = None
    voices: list[Voice] = []
    pinned_by: Proposal | None = None
    limiter: Proposal | None = None
    acts = False
    position, count, actions = 0, len(heard), ladder.actions
    while position < count:
        floor = ceiling = heard[position]
        authority = floor.authority
        begin = position
        position += 1
        while position < count and heard[position].authority == authority:
            peer = heard[position]
            position += 1
            if peer.at_least > floor.at_least:
                floor = peer
            if peer.at_most < ceiling.at_most:
                ceiling = peer
        acts = acts or authority not in NARROWING
        peers = heard[begin:position]
        wanted_low, wanted_high = floor.at_least, ceiling.at_most
        contradiction = wanted_low > wanted_high
        low_side, high_side = floor, ceiling
        if contradiction:
            wanted_low = wanted_high = min(max(ladder.safe, wanted_high), wanted_low)
            # The reason is that of the side on which the point lies.
            low_side = high_side = ceiling if wanted_high == ceiling.at_most else floor
        for peer in peers:
            # Who stood in its way: a stronger bound outside of which it reached, or its own peer.
            at_least, at_most = peer.at_least, peer.at_most
            by = high_by if at_least > high else low_by if at_most < low else None
            against = None
            if contradiction:
                if at_least == floor.at_least and peer is not ceiling:
                    against = ceiling.source
                elif at_most == ceiling.at_most and peer is not floor:
                    against = floor.source
            if by is not None and limiter is None:
                limiter = by
            voices.append(
                Voice(
                    peer.source,
                    authority,
                    actions[at_least],
                    actions[at_most],
                    peer.because,
                    None if by is None else by.source,
                    against,
                )
            )
        # Drawn in by what they want; beyond what stronger ones left, they get the end that is nearest.
        before_low, before_high = low, high
        if wanted_low > before_low and before_high > before_low:
            low, low_by = min(wanted_low, before_high), low_side
        if wanted_high < before_high and before_low < before_high:
            high, high_by = max(wanted_high, before_low), high_side
        if pinned_by is None and low == high:
            exact = (peer for peer in peers if peer.at_least == peer.at_most == low)
            pinned_by = next(exact, low_side if contradiction and wanted_low == low else None)
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
