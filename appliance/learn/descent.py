"""Owns fitting by gradient descent: Adam on the cross-entropy with soft labels, in numpy, seeded.

Never in here: layers; whoever fits brings the gradient. (Kingma & Ba 2015; decoupled weight decay: Loshchilov & Hutter 2019.)
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.learn.architectures import Lesson

Weights = list[NDArray[np.float64]]
Gradient = Callable[[Weights, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], Weights]
"""Of the weighted mean cross-entropy: from weights, rows (B, F), soft labels (B, L) and row weights (B,)."""

BATCH = 256
FIRST, SECOND_MOMENT = 0.9, 0.999


def descend(
    weights: Weights,
    gradient: Gradient,
    lesson: Lesson,
    *,
    steps: int,
    rate: float,
    decay: Sequence[float],
    seed: int,
) -> Weights:
    """Return fitted weights after `steps` batches, the rate falling along half a cosine; `decay` per step and unit rate, one a weight.

    The mean of the weights over the last quarter is returned: it lies nearer to the middle of what fits (Polyak averaging).
    """
    rng = np.random.default_rng(seed)
    chance = lesson.weights / lesson.weights.sum()
    first = [np.zeros_like(one) for one in weights]
    second = [np.zeros_like(one) for one in weights]
    now = [one.copy() for one in weights]
    total = [np.zeros_like(one) for one in weights]
    counted = 0
    picks = rng.choice(len(chance), size=(steps, BATCH), p=chance)
    even = np.ones(BATCH)
    for step in range(steps):
        picked = picks[step]
        slopes = gradient(now, lesson.rows[picked], lesson.soft[picked], even)
        pace = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        for at, slope in enumerate(slopes):
            first[at] = FIRST * first[at] + (1 - FIRST) * slope
            second[at] = SECOND_MOMENT * second[at] + (1 - SECOND_MOMENT) * slope * slope
            fair = first[at] / (1 - FIRST ** (step + 1))
            size = np.sqrt(second[at] / (1 - SECOND_MOMENT ** (step + 1))) + 1e-8
            now[at] = now[at] - pace * (fair / size + decay[at] * now[at])
        if step >= steps * 3 // 4:
            counted += 1
            for at, one in enumerate(now):
                total[at] += one
    return [one / max(counted, 1) for one in total] if counted else now
