"""Owns how fast something grows, and how sure that is: Theil and Sen's slope with Sen's interval. Never in here: what is measured."""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, median
from typing import NamedTuple

Z95 = 1.96
"""Of the normal distribution, two-sided 95 %."""


class Slope(NamedTuple):
    """Units of the values a second; the true one lies between `low` and `high` in 95 of 100 cases, where blocks are independent."""

    value: float
    low: float
    high: float


def blocks(samples: Sequence[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """Return the mean time and mean value of each block of so many seconds: neighbouring samples say much the same."""
    found: dict[int, list[tuple[float, float]]] = {}
    for at, value in samples:
        found.setdefault(int((at - samples[0][0]) // seconds), []).append((at, value))
    return [(fmean(at for at, _ in block), fmean(value for _, value in block)) for block in found.values()]


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the median of the slopes between all pairs of points (Theil 1950), and the interval by ranks of Sen (1968), JASA 63, 1379.

    A few outliers (a burst, a reload) move neither much. Raises ValueError with fewer than five points.
    """
    if len(points) < 5:
        raise ValueError(f"{len(points)} points tell no slope")
    slopes = sorted((later[1] - one[1]) / (later[0] - one[0]) for one, later in combinations(points, 2))
    n = len(points)
    width = Z95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, math.floor((len(slopes) - width) / 2) - 1)
    high = min(len(slopes) - 1, math.ceil((len(slopes) + width) / 2))
    return Slope(median(slopes), slopes[low], slopes[high])
