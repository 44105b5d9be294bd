"""Owns the nearest flip: the smallest change of one channel's newest value that changes a decision.

It asks a callable what would be decided and believes nothing else. Never in here: how a supposed decision is made (what_if).

A decision that looks at a channel by comparisons alone is constant between their thresholds, so the nearest value of each
piece is asked about and the answer is exact. Where a window or a model looks on, pieces are not known: values at doubling
distances are asked about too, and the first flip is narrowed down by halving. That answer is a flip, and the least of its
bracket where more of the quantity does not undo what less of it did; it is marked as not exact.
"""

from collections.abc import Callable, Iterable
from math import ceil, floor

import msgspec

from appliance.core.quantities import Quantity, decimals

MOST_EVALUATIONS = 512
"""So many supposed decisions a channel at most. Doubling and halving over the widest range need 80; a threshold needs two."""

Decide = Callable[[float], str | None]


class Spent(Exception):
    """The evaluations, or the time for them, are used up."""


class Found(msgspec.Struct, frozen=True):
    """What one channel's search gave: the flip, if any; `exact` as above; `whole` where the search came to its end."""

    value: float | None
    steps: int | None
    action: str | None
    exact: bool
    whole: bool
    evaluations: int


def search(
    quantity: Quantity,
    value: float | None,
    thresholds: Iterable[float],
    decide: Decide,
    decided: str | None,
    *,
    piecewise: bool,
    expired: Callable[[], bool] = lambda: False,
) -> Found:
    """Return the nearest value of one channel at which `decide` gives another action than `decided`.

    Args:
        quantity: its range and resolution: only whole steps within the range that are no sentinels are supposed.
        value: what it reads; None: it is unknown, and the lowest value found that flips is returned, with `steps` None.
        thresholds: what conditions compare it with.
        decide: the action that would follow from a value.
        decided: the action that follows now.
        piecewise: whether only comparisons with `thresholds` look at it.
        expired: asked before each evaluation; True ends the search.
    """
    asked = _Asked(quantity, decide, decided, expired)
    low, high = ceil(quantity.low / quantity.resolution), floor(quantity.high / quantity.resolution)
    steps = _pieces(quantity, thresholds)
    if value is None:
        steps |= {low, high}
    else:
        at = value / quantity.resolution
        steps |= {floor(at), ceil(at), round(at)}
        if not piecewise:
            width = 1
            while width <= high - low:
                steps |= {round(at) - width, round(at) + width}
                width *= 2
            steps |= {low, high}
    candidates = sorted(step for step in steps if low <= step <= high and asked.possible(step))
    found: int | None = None
    whole = True
    try:
        found = _first(candidates, value, asked) if value is None or piecewise else None
        if value is not None and not piecewise:
            found = _narrowed(candidates, value, asked)
    except Spent:
        # The nearest that flipped, of what was asked until then, is still a flip; whether it is the nearest is open.
        whole = False
        flips = [step for step, action in asked.known.items() if action != decided]
        found = min(flips, key=lambda step: asked.distance(step, value), default=None)
    if found is None:
        return Found(None, None, None, piecewise, whole, asked.evaluations)
    changed = None if value is None else ceil(round(asked.distance(found, value) / quantity.resolution, 6))
    return Found(
        asked.value(found), changed, asked.known[found], piecewise and whole, whole, asked.evaluations
    )


class _Asked:
    """What was asked so far, by whole steps."""

    def __init__(
        self, quantity: Quantity, decide: Decide, decided: str | None, expired: Callable[[], bool]
    ) -> None:
        self.quantity, self.decide, self.decided, self.expired = quantity, decide, decided, expired
        self.known: dict[int, str | None] = {}
        self.evaluations = 0

    def value(self, step: int) -> float:
        return grid(self.quantity, step)

    def possible(self, step: int) -> bool:
        value = self.value(step)
        return self.quantity.low <= value <= self.quantity.high and value not in self.quantity.sentinels

    def distance(self, step: int, value: float | None) -> float:
        return float(step) if value is None else abs(self.value(step) - value)

    def flips(self, step: int) -> bool:
        if step not in self.known:
            if self.evaluations >= MOST_EVALUATIONS or self.expired():
                raise Spent
            self.evaluations += 1
            self.known[step] = self.decide(self.value(step))
        return self.known[step] != self.decided


def grid(quantity: Quantity, step: int) -> float:
    """Return the value of a whole step as a sensor would say it: 0.3, not 0.30000000000000004."""
    return round(step * quantity.resolution, decimals(quantity.resolution))


def _pieces(quantity: Quantity, thresholds: Iterable[float]) -> set[int]:
    """Return the steps on both sides of, and at, each threshold; one more each, for a sentinel may lie there."""
    return {
        round(threshold / quantity.resolution) + offset
        for threshold in thresholds
        for offset in (-2, -1, 0, 1, 2)
    }


def _first(candidates: list[int], value: float | None, asked: _Asked) -> int | None:
    for step in sorted(candidates, key=lambda step: asked.distance(step, value)):
        if asked.flips(step):
            return step
    return None


def _narrowed(candidates: list[int], value: float, asked: _Asked) -> int | None:
    """Return the nearest flip of both directions, each narrowed down between the first that flips and the one before it."""
    best: int | None = None
    above = [step for step in candidates if asked.value(step) >= value]
    below = [step for step in reversed(candidates) if asked.value(step) < value]
    for direction in (above, below):
        before: int | None = None
        for step in direction:
            if best is not None and asked.distance(step, value) >= asked.distance(best, value):
                # Not yet flipped this near: what is left in this bracket may still be nearer than the best.
                nearest = _halved(before, step, asked) if asked.flips(step) else None
                best = _nearer(best, nearest, value, asked)
                break
            if asked.flips(step):
                best = _nearer(best, _halved(before, step, asked), value, asked)
                break
            before = step
    return best


def _halved(before: int | None, step: int, asked: _Asked) -> int:
    """Return the step nearest to `before`, which does not flip, that flips, knowing that `step` does."""
    while before is not None and abs(step - before) > 1:
        middle = (before + step) // 2
        if asked.possible(middle) and asked.flips(middle):
            step = middle
        else:
            before = middle
    return step


def _nearer(one: int | None, other: int | None, value: float, asked: _Asked) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return other if asked.distance(other, value) < asked.distance(one, value) else one
