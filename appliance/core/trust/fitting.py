"""Owns how a card comes to its thresholds and its region: pure functions of calibration rows, for training and for the refit at the edge.

Never in here: anything that a decision needs; or which rows those are, which must not be what the model was trained on.
"""

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from appliance.core.trust.novelty import Region
from appliance.core.trust.sets import ALPHAS, Sets, needed
from appliance.errors import LearnError

_DIGITS = 1_000_000

KEPT = 0.995
"""The share of training rows inside the region (the 99.5 % of common practice; assumed)."""
MARGIN = 0.10
"""By so many widths of a feature's middle 99.8 %, both on its bent scale, the box reaches beyond it: another day is not another world (chosen
on held-out days, by what is found there and what is found wrongly)."""
SHRINK = 0.02
"""The share of the identity in the correlation, so that a direction that hardly varies does not rule (chosen on held-out days)."""
BEND = 0.5
LOW_BEND = 0.02
"""Quantiles of a feature's size at which its scale turns logarithmic: a signed one's median; of one that is never negative, as a spread,
the lowest values, since near zero is where it tells that a sensor stands still."""
ROWS_PER_FEATURE = 10
"""So many rows a feature are the least from which a covariance is worth something (a rule of thumb)."""


def conformal_thresholds(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], alphas: Sequence[float] = ALPHAS
) -> Sets:
    """Return the thresholds that `probabilities` (N, L) of the truths `labels` (N,) allow.

    The rows must not have been trained on. A label's threshold is the k-th greatest of the probabilities that its own rows gave it,
    with k = ceil((n + 1) (1 - alpha)): the finite-sample quantile, so the promise holds for any n, not only in the limit.

    Raises:
        LearnError: a row is not finite, or a label has fewer rows than the smallest of `alphas` needs; says how many.
    """
    if len(probabilities) != len(labels) or not np.isfinite(probabilities).all():
        raise LearnError(
            "the calibration rows hold something that is not finite, or have no label each",
            hint="leave out rows whose features are not known",
        )
    levels = sorted(set(alphas), reverse=True)
    counts = [int((labels == label).sum()) for label in range(probabilities.shape[1])]
    if min(counts) < needed(levels[-1]):
        raise LearnError(
            f"label {counts.index(min(counts))} has {min(counts)} calibration rows: an error level of {levels[-1]:g} needs {needed(levels[-1])}",
            hint="label more, or promise less: "
            + (
                f"{1 / (min(counts) + 1):.3f} is the least level for so many"
                if min(counts)
                else "there is none for no row"
            ),
        )
    own = [
        np.sort(probabilities[labels == label, label].astype(np.float64))[::-1]
        for label in range(len(counts))
    ]
    # Rounded down: a set may grow by that, never shrink.
    thresholds = tuple(
        tuple(
            floor(float(scores[ceil(round((len(scores) + 1) * (1 - alpha), 9)) - 1]) * _DIGITS) / _DIGITS
            for scores in own
        )
        for alpha in levels
    )
    return Sets(tuple(levels), thresholds, tuple(counts))


def novelty_region(
    rows: NDArray[np.floating], groups: Sequence[int] | NDArray[np.integer] | None = None, kept: float = KEPT
) -> Region:
    """Return the region of `rows` (N, F), of which the share `kept` lies inside.

    With `groups` (N,), a number for each day or room, the limit is such that this share of each group's rows, all counted alike, lies
    inside the region of the *other* groups: what a new day is like, not what the days at hand are. Rows that are not finite are left out.

    Raises:
        LearnError: too few rows for so many features (with the number needed), or a feature that never changes.
    """
    known = np.isfinite(rows).all(axis=1)
    table = rows[known].astype(np.float64)
    wanted = ROWS_PER_FEATURE * rows.shape[1]
    if len(table) < wanted:
        raise LearnError(
            f"{len(table)} rows with known features: a novelty region of {rows.shape[1]} features needs {wanted}",
            hint="give more rows, or leave the region as it is",
        )
    if (still := np.flatnonzero(np.ptp(table, axis=0) == 0)).size:
        raise LearnError(
            f"feature {still[0]} never changes in these rows", hint="leave it out, or give other days"
        )
    names = np.array([], dtype=np.int64) if groups is None else np.asarray(groups)[known]
    scores = []
    for name in np.unique(names):
        others, own = table[names != name], table[names == name]
        if len(others) >= wanted and not (np.ptp(others, axis=0) == 0).any():
            scores.append(_lengths(_fit(others), own))
    whole = _fit(table)
    lengths = np.concatenate(scores) if scores else _lengths(whole, table)
    bend, centre, whitening = whole
    bent = np.arcsinh(table / bend)
    low, high = np.quantile(bent, (0.001, 0.999), axis=0)
    # A feature that hardly ever moves has no middle: its whole range then.
    width = np.where(high > low, high - low, np.ptp(bent, axis=0))
    return Region(
        _numbers(bend * np.sinh(low - MARGIN * width)),
        _numbers(bend * np.sinh(high + MARGIN * width)),
        _numbers(bend),
        _numbers(centre),
        _numbers(whitening[np.triu_indices(len(bend))]),
        _numbers(np.quantile(lengths, kept, keepdims=True))[0],
    )


_Scale = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _fit(table: NDArray[np.float64]) -> _Scale:
    sizes = np.abs(table)
    signed = (table < 0).any(axis=0)
    bend = np.where(signed, np.quantile(sizes, BEND, axis=0), np.quantile(sizes, LOW_BEND, axis=0))
    bend = np.maximum(bend, 1e-3 * sizes.max(axis=0))
    values = np.arcsinh(table / bend)
    centre, deviation = values.mean(axis=0), values.std(axis=0)
    standard = (values - centre) / deviation
    correlation = (1 - SHRINK) * (standard.T @ standard) / len(table) + SHRINK * np.eye(len(bend))
    # C = L L' gives W = L'^-1, which is upper triangular: v = u W then has the covariance W' C W = 1.
    whitening = np.linalg.inv(np.linalg.cholesky(correlation)).T / deviation[:, None]
    return bend, centre, whitening


def _lengths(scale: _Scale, table: NDArray[np.float64]) -> NDArray[np.float64]:
    bend, centre, whitening = scale
    v = (np.arcsinh(table / bend) - centre) @ whitening
    lengths: NDArray[np.float64] = (v * v).sum(axis=1)
    return lengths


def _numbers(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Five digits: a few hundred bytes for a whole region, and nobody can tell the difference."""
    return tuple(float(f"{value:.5g}") for value in values)
