"""Owns how good probabilities are: over all rooms that a model is held against, their mean and their worst.

Never in here: fitting, or opening test files.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Score

RESAMPLES = 500


class Judged(msgspec.Struct, frozen=True):
    """How a model did on held-out rows. `rooms`: name -> (accuracy, macro F1); mean and worst over rooms, of both together."""

    rooms: dict[str, tuple[float, float]]
    log_loss: float

    @property
    def accuracy(self) -> float:
        """The mean accuracy over rooms."""
        return float(np.mean([accuracy for accuracy, _ in self.rooms.values()]))

    @property
    def macro_f1(self) -> float:
        """The mean macro F1 over rooms."""
        return float(np.mean([f1 for _, f1 in self.rooms.values()]))

    @property
    def value(self) -> float:
        """What is chosen by: half the mean over rooms, half the worst room, each the mean of accuracy and macro F1."""
        each = [(accuracy + f1) / 2 for accuracy, f1 in self.rooms.values()]
        return float(np.mean(each) + min(each)) / 2


def judge_rooms(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], rooms: Mapping[str, NDArray[np.bool_]]
) -> Judged:
    """Judge `probabilities` (N, L) in each of `rooms`: name -> which rows (N,)."""
    said = probabilities.argmax(axis=1)
    found = {}
    for name, rows in rooms.items():
        if rows.any():
            found[name] = (float((said[rows] == labels[rows]).mean()), macro_f1(labels[rows], said[rows]))
    any_room = np.any(list(rooms.values()), axis=0)
    return Judged(found, log_loss(probabilities[any_room], labels[any_room]))


def macro_f1(labels: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """Return the mean F1 of the labels that occur in either."""
    scores = []
    for label in np.union1d(labels, said).tolist():
        hit = int(((labels == label) & (said == label)).sum())
        scores.append(2 * hit / (int((labels == label).sum()) + int((said == label).sum())))
    return float(np.mean(scores))


def log_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the mean negative logarithm of the truth's probability, none taken below 0.0001."""
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-4, 1.0)).mean())


def calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15) -> float:
    """Return the expected calibration error: the mean gap of top probability and accuracy over equal bins (Guo et al. 2017)."""
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    at = np.minimum((top * bins).astype(int), bins - 1)
    gaps = [
        (at == one).mean() * abs(right[at == one].mean() - top[at == one].mean()) for one in np.unique(at)
    ]
    return float(sum(gaps))


def score(probabilities: NDArray[np.float64], labels: NDArray[np.int64], sure: NDArray[np.bool_]) -> Score:
    """Return how good `probabilities` (N, L) are for `labels` (N,). A row that is NaN counts as the first label, unsure."""
    known = np.isfinite(probabilities).all(axis=1)
    said = np.where(known, np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1), 0)
    right = np.equal(said, labels)
    surely = sure & known
    return Score(
        accuracy=round(float(right.mean()), 4),
        macro_f1=round(macro_f1(labels, said), 4),
        rows=len(labels),
        known=round(float(known.mean()), 4),
        sure=round(float(surely.mean()), 4),
        sure_right=round(float(right[surely].mean()), 4) if surely.any() else 0.0,
    )


def interval(right: NDArray[np.float64], block: NDArray[np.int64], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of `right` (N,), whole blocks drawn with replacement."""
    names = np.unique(block)
    sums = np.array([right[block == name].sum() for name in names])
    sizes = np.array([(block == name).sum() for name in names])
    picks = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    means = sums[picks].sum(axis=1) / sizes[picks].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
