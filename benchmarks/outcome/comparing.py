"""Owns the statistics: bootstrap intervals over homes, and what a curve gives at an equal energy or exposure.

Homes are resampled whole, the same ones for both sides of a difference. Never in here: how a figure came about.
"""

import numpy as np

RESAMPLES = 2000
EXPOSURE, KWH = 0, 1


def draws(homes: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (RESAMPLES + 1, homes); the first row is the homes themselves."""
    return np.vstack([np.arange(homes), rng.integers(0, homes, (RESAMPLES, homes))])


def spread(values: np.ndarray) -> tuple[float, float, float]:
    """The value of the homes themselves (row 0) and the 95 % percentile interval; NaN throughout where it is not covered."""
    if not np.isfinite(values[0]) or np.isfinite(values).mean() < 0.95:
        return (float("nan"),) * 3
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return float(values[0]), float(low), float(high)


def means(table: np.ndarray, picked: np.ndarray) -> np.ndarray:
    """Means over homes of `table` (homes,) for each resample (resamples,)."""
    return table[picked].mean(axis=1)


def at_equal(
    curve: np.ndarray, ours: np.ndarray, picked: np.ndarray, along: int
) -> tuple[float, float, float]:
    """How much more ours has than the curve where both have the same figure `along`, as a share, with its interval.

    `curve` (points, homes, figures), `ours` (homes, figures). Along energy it compares exposure, along exposure energy. Linear
    between the points that no other point beats; NaN where ours lies beyond their ends.
    """
    across = EXPOSURE if along == KWH else KWH
    along_curve = np.stack([means(point[:, along], picked) for point in curve])
    across_curve = np.stack([means(point[:, across], picked) for point in curve])
    x, y = means(ours[:, along], picked), means(ours[:, across], picked)
    found = np.full(len(picked), np.nan)
    for number in range(len(picked)):
        xs, ys = _front(along_curve[:, number], across_curve[:, number])
        if xs[0] <= x[number] <= xs[-1]:
            found[number] = y[number] / np.interp(x[number], xs, ys) - 1.0
    return spread(found)


def _front(xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points that no other beats in both, in order of x."""
    order = np.lexsort((ys, xs))
    xs, ys = xs[order], ys[order]
    keep = ys < np.concatenate([[np.inf], np.minimum.accumulate(ys)[:-1]])
    return xs[keep], ys[keep]
