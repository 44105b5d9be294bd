"""Owns the verdict: from probabilities and features to the word and the quality of a model's channel.

Never in here: how a model computes, or which rule listens to it.
"""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from appliance.core.readings import Quality
from appliance.core.trust.adapting import Adapted, adapt
from appliance.core.trust.novelty import Region
from appliance.core.trust.sets import ALPHA, Sets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNKNOWN = "a feature is unknown"
HARD = "hard"
NONE_FITS = "hard, as no label fits"
UNLIKE = "unlike anything seen"


class Trust(msgspec.Struct, frozen=True):
    """What a card says of when to believe its model: `labels` in the order of its probabilities, and either prediction `sets` or, from
    before there were any, the top probability `threshold` from which on it is sure. `novelty`: where it was trained, or None; its
    features are `features`, which names what is unlike.
    """

    labels: tuple[str, ...]
    threshold: float
    sets: Sets | None = None
    novelty: Region | None = None
    features: tuple[str, ...] = ()
    version: int = 0

    def levels(self, adapted: Adapted | None, alpha: float) -> tuple[float, ...] | None:
        """Return the error level of each label where labels have made this very model more careful, else None."""
        if adapted is None or not adapted.holds(self.version, alpha, len(self.labels)):
            return None
        return adapted.levels

    def adapt(
        self, before: Adapted | None, alpha: float, probabilities: Sequence[float], label: str
    ) -> Adapted | None:
        """Return how careful to be after `label` was told for a row that got `probabilities`; None: a card without sets never changes."""
        if self.sets is None:
            return None
        return adapt(before, self.sets, self.version, alpha, probabilities, self.labels.index(label))


def judge(
    probabilities: Sequence[float],
    row: "NDArray[np.float32]",
    trust: Trust,
    alpha: float = ALPHA,
    levels: Sequence[float] | None = None,
) -> tuple[str | None, Quality, str | None]:
    """Return the likeliest label, its quality, and the reason where it is not GOOD, for the features `row` (F,); else as `verdict`."""
    unlike = None if trust.novelty is None or not isfinite(sum(probabilities)) else trust.novelty.unlike(row)
    return verdict(probabilities, unlike, trust, alpha, levels)


def verdict(
    probabilities: Sequence[float],
    unlike: int | None,
    trust: Trust,
    alpha: float = ALPHA,
    levels: Sequence[float] | None = None,
) -> tuple[str | None, Quality, str | None]:
    """Return the likeliest label, its quality, and the reason where it is not GOOD.

    `probabilities` (L,) are calibrated and sum to one; `unlike` is what the novelty region says of the features that gave them. GOOD
    (sure at `alpha`) needs a set of one label, and features like those of training. `levels`: error levels by label, where labels
    have made it more careful. A row with anything not finite, as follows from an unknown feature, says nothing: the label is None.
    """
    if not isfinite(sum(probabilities)):
        return None, Quality.UNCERTAIN, UNKNOWN
    top = max(probabilities)
    label = trust.labels[probabilities.index(top)]
    if unlike is not None:
        # As a whole, or one feature by itself.
        named = f": {trust.features[unlike]}" if 0 <= unlike < len(trust.features) else ""
        return label, Quality.UNCERTAIN, f"{UNLIKE}{named}"
    if trust.sets is None:
        return (label, Quality.GOOD, None) if top >= trust.threshold else (label, Quality.UNCERTAIN, HARD)
    thresholds = trust.sets.at(alpha) if levels is None else trust.sets.least(levels)
    if thresholds is None:
        return label, Quality.UNCERTAIN, HARD
    fitting = 0
    for probability, least in zip(probabilities, thresholds, strict=True):
        fitting += probability >= least
    if fitting == 1:
        # Where labels differ much in their thresholds, the one that fits need not be the likeliest.
        for number, least in enumerate(thresholds):
            if probabilities[number] >= least:
                return trust.labels[number], Quality.GOOD, None
    return label, Quality.UNCERTAIN, HARD if fitting else NONE_FITS
