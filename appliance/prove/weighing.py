"""Owns arbitration as formulas: which action follows from voices that speak or don't, and on whose authority.

It mirrors `appliance.core.arbitration.arbitrate` step by step; the tests hold the two side by side. Never in here: who
speaks when.
"""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from appliance.core.arbitration import NARROWING, Authority, Ladder
from appliance.prove.bits import Bit, Index, above, all_of, any_of, equal, index_of, no

By = dict[Authority, Bit]
"""For each authority whether it is the one; none where all are false."""


class Wish(msgspec.Struct, frozen=True):
    """A voice: when it `speaks`, and the interval that it then asks for, which may depend on variables too."""

    speaks: Bit
    at_least: Index
    at_most: Index
    authority: Authority
    source: str


class Weighed(msgspec.Struct, frozen=True):
    """What follows: the `action`, where any voice `acts` at all, and the authority `by` which it was settled."""

    action: Index
    acts: Bit
    by: By


def weigh(ladder: Ladder, wishes: Sequence[Wish]) -> Weighed:
    """Return what follows from `wishes`, whatever their order."""
    heard = sorted(wishes, key=lambda wish: (wish.authority, wish.source))
    whole = _fold(ladder, heard)
    if not any(wish.authority in NARROWING for wish in heard):
        return Weighed(whole.action, whole.acts, _or_weakest(heard, whole.by))
    # A guard that only narrows is the reason only where it makes a difference.
    others = [wish for wish in heard if wish.authority not in NARROWING]
    acting = _fold(ladder, others)
    instead = _or_weakest(others, acting.by)
    idle = all_of(
        any_of(*(whole.by[authority] for authority in NARROWING if authority in whole.by)),
        equal(whole.action, acting.action),
    )
    by = {
        authority: any_of(all_of(no(idle), bit), all_of(idle, instead.get(authority, False)))
        for authority, bit in whole.by.items()
    }
    return Weighed(whole.action, whole.acts, _or_weakest(heard, by))


def outcome(ladder: Ladder, wishes: Sequence[Wish]) -> Weighed:
    """Return what follows from `wishes`, without asking who settled it: `by` says nothing."""
    return _fold(ladder, sorted(wishes, key=lambda wish: wish.authority), reasons=False)


def _fold(ladder: Ladder, heard: Sequence[Wish], *, reasons: bool = True) -> Weighed:
    top = ladder.top
    safe, rest = index_of(ladder.safe, top), index_of(ladder.rest, top)
    steps = range(top)
    low, high = index_of(0, top), index_of(top, top)
    low_by: By = {}
    high_by: By = {}
    settled_by: By = {}
    pinned: Bit = False
    limiter_by: By = {}
    limited: Bit = False
    for authority, group in groupby(heard, key=lambda wish: wish.authority):
        peers = list(group)
        floor = tuple(any_of(*(all_of(peer.speaks, peer.at_least[k]) for peer in peers)) for k in steps)
        ceiling = tuple(
            no(any_of(*(all_of(peer.speaks, no(peer.at_most[k])) for peer in peers))) for k in steps
        )
        contradiction = above(floor, ceiling)
        between = tuple(all_of(floor[k], any_of(safe[k], ceiling[k])) for k in steps)
        wanted_low = tuple(all_of(floor[k], any_of(no(contradiction), safe[k], ceiling[k])) for k in steps)
        wanted_high = tuple(
            any_of(all_of(contradiction, between[k]), all_of(no(contradiction), ceiling[k])) for k in steps
        )
        new_low = tuple(all_of(any_of(wanted_low[k], low[k]), high[k]) for k in steps)
        new_high = tuple(all_of(any_of(wanted_high[k], low[k]), high[k]) for k in steps)
        if reasons:
            first_over: Bit = False
            first_under: Bit = False
            seen = limited
            for peer in peers:
                over = all_of(peer.speaks, above(peer.at_least, high))
                under = all_of(peer.speaks, no(over), above(low, peer.at_most))
                first_over = any_of(first_over, all_of(no(seen), over))
                first_under = any_of(first_under, all_of(no(seen), under))
                seen = any_of(seen, over, under)
            limited = seen
            for name in low_by:
                by = any_of(all_of(first_over, high_by[name]), all_of(first_under, low_by[name]))
                limiter_by[name] = any_of(limiter_by.get(name, False), by)
        raised, lowered = above(new_low, low), above(high, new_high)
        low_by = {name: all_of(bit, no(raised)) for name, bit in low_by.items()} | {authority: raised}
        high_by = {name: all_of(bit, no(lowered)) for name, bit in high_by.items()} | {authority: lowered}
        low, high = new_low, new_high
        if not reasons:
            continue
        exactly = any_of(
            *(all_of(peer.speaks, equal(peer.at_least, low), equal(peer.at_most, low)) for peer in peers)
        )
        between_them = all_of(contradiction, equal(wanted_low, low))
        now = all_of(no(pinned), equal(low, high), any_of(exactly, between_them))
        settled_by[authority] = now
        pinned = any_of(pinned, now)
    action = tuple(all_of(any_of(rest[k], low[k]), high[k]) for k in steps)
    over, under = above(action, rest), above(rest, action)
    still = all_of(no(over), no(under))
    acts = any_of(*(wish.speaks for wish in heard if wish.authority not in NARROWING))
    if not reasons:
        return Weighed(action, acts, {})
    by = {
        name: any_of(
            all_of(over, low_by[name]),
            all_of(under, high_by[name]),
            all_of(still, settled_by[name]),
            all_of(still, no(pinned), limiter_by.get(name, False)),
        )
        for name in low_by
    }
    return Weighed(action, acts, by)


def _or_weakest(heard: Sequence[Wish], by: By) -> By:
    """Where nobody in particular settled it, it was the weakest voice of all."""
    nobody = no(any_of(*by.values()))
    weaker: Bit = False
    result: By = {}
    for authority, group in groupby(reversed(heard), key=lambda wish: wish.authority):
        speaks = any_of(*(wish.speaks for wish in group))
        result[authority] = any_of(by[authority], all_of(nobody, speaks, no(weaker)))
        weaker = any_of(weaker, speaks)
    return result
