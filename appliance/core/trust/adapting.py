"""Owns what labels do to trust at once: each miss makes the model more careful, each hit lets it back, never beyond its card.

Adaptive conformal inference (Gibbs and Candes 2021, arXiv 2106.00170), for each label by itself. Never in here: where a label comes from.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from appliance.core.trust.sets import Sets

T = TypeVar("T")

RATE = 0.02
"""How far one label moves an error level (assumed: at 0.10, six misses in a row silence a label, fifty hits bring it back)."""


class Adapted(msgspec.Struct, frozen=True):
    """How careful labels have made the model of `version`: each label's error level now, how often it was told, how often missed.

    Levels never rise above `alpha`, so no label, true or hostile, makes the model surer than its card: only a new bundle does.
    They never fall below -RATE. Whatever the labels are, at most alpha + (alpha + RATE) / (RATE T) of a label's first T were missed.
    """

    version: int
    alpha: float
    levels: tuple[float, ...]
    heard: tuple[int, ...]
    missed: tuple[int, ...]

    def holds(self, version: int, alpha: float, labels: int) -> bool:
        """Return whether it was learned of this version of the model, with so many labels, at this error level."""
        return (self.version, self.alpha, len(self.levels)) == (version, alpha, labels)


def adapt(
    before: Adapted | None,
    sets: Sets,
    version: int,
    alpha: float,
    probabilities: Sequence[float],
    truth: int,
) -> Adapted:
    """Return how careful to be after the label number `truth` was told for a row that got `probabilities` (L,).

    What was learned of another `version` of the model, or at another `alpha`, is begun anew.
    """
    size = len(sets.rows)
    if before is None or not before.holds(version, alpha, size):
        before = Adapted(version, alpha, (alpha,) * size, (0,) * size, (0,) * size)
    missed = probabilities[truth] < sets.least(before.levels)[truth]
    level = min(alpha, before.levels[truth] + RATE * (alpha - missed))
    return Adapted(
        version,
        alpha,
        _put(before.levels, truth, round(level, 9)),
        _put(before.heard, truth, before.heard[truth] + 1),
        _put(before.missed, truth, before.missed[truth] + missed),
    )


def _put(values: tuple[T, ...], at: int, value: T) -> tuple[T, ...]:
    return (*values[:at], value, *values[at + 1 :])
