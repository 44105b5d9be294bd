"""Owns prediction sets: from which probability on a label may be the truth, at an error level that is promised beforehand.

Split conformal prediction, for each label by itself (Mondrian: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005, section 4.5). What is promised holds while new rows are exchangeable with those of calibration; never in here: whether they are.
"""

from collections.abc import Sequence
from math import ceil

import msgspec

ALPHA = 0.10
"""The error level at which a model's word is acted on, where the profile says nothing else."""
ALPHAS = (0.20, 0.15, 0.10, 0.07, 0.05, 0.03, 0.02, 0.01)
"""Error levels of a card: those that are usually asked for, and between them steps on which labels make it more careful."""


class Sets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """For each error level of `alphas`, from the greatest down, the probability from which on each label belongs to the set.

    `thresholds` (levels, labels) in [0, 1] in the order of the card's labels; `rows` (labels) are how many rows of each label they
    rest on. The set of a row that is exchangeable with those holds its true label with probability 1 - alpha at least, whichever label that is.
    """

    alphas: tuple[float, ...]
    thresholds: tuple[tuple[float, ...], ...]
    rows: tuple[int, ...]

    def at(self, alpha: float) -> tuple[float, ...] | None:
        """Return the thresholds (labels) for `alpha`: those of the greatest level that is not above it. None: it has no such level,
        so that every label belongs to the set.
        """
        for level, thresholds in zip(self.alphas, self.thresholds, strict=True):
            if level <= alpha:
                return thresholds
        return None

    def least(self, levels: Sequence[float]) -> list[float]:
        """Return the thresholds (labels) where each label has an error level of its own; 0 where there is none so low."""
        found = [self.at(level) for level in levels]
        return [0.0 if row is None else row[label] for label, row in enumerate(found)]

    def broken(self, labels: int) -> str | None:
        """Return what is wrong with them for a model of so many `labels`, or None."""
        if not self.alphas or len(self.thresholds) != len(self.alphas) or len(self.rows) != labels:
            return "the prediction sets have other sizes than the card"
        if list(self.alphas) != sorted(set(self.alphas), reverse=True) or not min(self.alphas) > 0:
            return "the error levels of the prediction sets do not fall"
        if max(self.alphas) >= 1:
            return "an error level of the prediction sets is no probability"
        before = (1.0,) * labels
        for row in self.thresholds:
            if len(row) != labels or not all(0 <= one <= top for one, top in zip(row, before, strict=True)):
                return "the thresholds of the prediction sets are no falling probabilities"
            before = row
        return None


def needed(alpha: float) -> int:
    """Return how many rows of a label the level `alpha` needs: with fewer, only the set of all labels keeps the promise."""
    return ceil(round(1 / alpha - 1, 9))
