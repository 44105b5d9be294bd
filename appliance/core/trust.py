"""Owns what a model has earned: from calibrated probabilities to the word and the quality of its channel.

Never in here: how a model computes, or which rule listens to it.
"""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from appliance.core.readings import Quality

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def judge(
    probabilities: "NDArray[np.float32]", labels: Sequence[str], threshold: float
) -> tuple[str | None, Quality, str | None]:
    """Return the likeliest label, its quality, and the reason where it is not GOOD.

    `probabilities` (L,) are calibrated and sum to one; GOOD needs the top one to reach the card's `threshold`. A row with
    anything not finite, as follows from an unknown feature, says nothing: the label is None.
    """
    values: list[float] = probabilities.tolist()
    if not isfinite(sum(values)):
        return None, Quality.UNCERTAIN, "a feature is unknown"
    top = values.index(max(values))
    if values[top] < threshold:
        return labels[top], Quality.UNCERTAIN, "hard"
    return labels[top], Quality.GOOD, None
