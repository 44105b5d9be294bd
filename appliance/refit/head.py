"""Owns finding a head: the affine map of logits that makes a home's labels likeliest, drawn towards changing nothing.

Never in here: whether it may be used (the gate).
"""

import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Head

LOOKS_A_DAY = 24.0
"""Rows of one day follow from each other: together they weigh as much as so many independent ones (assumed: one an hour)."""


def fit_head(probabilities: NDArray[np.float64], labels: NDArray[np.int64], days: NDArray[np.int64]) -> Head:
    """Return the head that makes `labels` (N,) likeliest given `probabilities` (N, L), drawn towards changing nothing.

    Newton's method on the log loss; each day weighs as `LOOKS_A_DAY` rows at most, and each label as much as any other: people label when it
    suits them, so how often they say a word is not how often it is true. The scale has a normal prior around 1 (deviation 0.5), each
    shift one around 0 (deviation 1): a head of few labels moves little.
    """
    logits = np.log(np.clip(probabilities, 1e-6, None))
    size, count = logits.shape[1], len(labels)
    weights = row_weights(labels, days)
    truths = np.eye(size)[labels]
    centre, precision = np.zeros(size), np.ones(size)
    centre[0], precision[0] = 1.0, 4.0
    found = centre.copy()
    # What the parameters (scale, shift of each label but the first) do to each label's logit.
    moves = np.zeros((count, size, size))
    moves[:, :, 0] = logits
    moves[:, range(1, size), range(1, size)] = 1.0
    for _ in range(50):
        said = _softmax(moves @ found)
        mean = np.einsum("nl,nlp->np", said, moves)
        slope = np.einsum("n,nl,nlp->p", weights, said - truths, moves) + precision * (found - centre)
        curve = np.einsum("n,nl,nlp,nlq->pq", weights, said, moves, moves, optimize=True)
        curve -= np.einsum("n,np,nq->pq", weights, mean, mean, optimize=True)
        step = np.linalg.solve(curve + np.diag(precision), slope)
        # Half a step at a time where a whole one is far: the loss is convex, so this ends.
        found -= step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-8:
            break
    return Head(round(float(found[0]), 6), (0.0, *(round(float(one), 6) for one in found[1:])))


def row_weights(labels: NDArray[np.int64], days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what each row (N,) weighs: each day as `LOOKS_A_DAY` rows at most, all labels that occur alike."""
    _, place, many = np.unique(days, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = np.minimum(1.0, LOOKS_A_DAY / many)[place]
    whole = weights.sum()
    found = np.unique(labels)
    for label in found:
        own = labels == label
        weights[own] *= whole / len(found) / weights[own].sum()
    return weights


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    said: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return said
