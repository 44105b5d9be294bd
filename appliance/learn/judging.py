"""Owns how good probabilities are: over all rooms that a model is held against, their mean and their worst.

Never in here: fitting, or opening test files.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Score

RESAMPLES = 500


class Judged(msgspec.Struct, frozen=True):
    """How a model did on held-out rows. `rooms`: name -> (accuracy, macro F1); mean and worst over rooms, of both together.

    `days`: the accuracy of each held-out day (or group), the mean over rooms; none where rooms are what is judged by.
    """

    rooms: dict[str, tuple[float, float]]
    log_loss: float
    days: dict[str, float] = {}

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
        """What is chosen by: the mean over held-out days; where rooms are judged, half the mean over rooms, half the worst room, each
        the mean of accuracy and macro F1.
        """
        if self.days:
            return float(np.mean(list(self.days.values())))
        each = [(accuracy + f1) / 2 for accuracy, f1 in self.rooms.values()]
        return float(np.mean(each) + min(each)) / 2

    @property
    def worst(self) -> float:
        """What decides between candidates that are alike: the worst held-out day; 0 where rooms are judged, whose worst is in the value."""
        return min(self.days.values(), default=0.0)

    def mean(self, others: Sequence["Judged"]) -> "Judged":
        """Return the mean of this and `others`, which were judged on the same rooms and days."""
        each = [self, *others]
        return Judged(
            {
                name: (
                    float(np.mean([one.rooms[name][0] for one in each])),
                    float(np.mean([one.rooms[name][1] for one in each])),
                )
                for name in self.rooms
            },
            float(np.mean([one.log_loss for one in each])),
            {day: float(np.mean([one.days[day] for one in each])) for day in self.days},
        )


def judge_rooms(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    rooms: Mapping[str, NDArray[np.bool_]],
    block: NDArray[np.int64] | None = None,
) -> Judged:
    """Judge `probabilities` (N, L) in each of `rooms`: name -> which rows (N,); with `block` (N,) each held-out day counts alike."""
    said = probabilities.argmax(axis=1)
    found = {}
    for name, rows in rooms.items():
        if rows.any():
            found[name] = (float((said[rows] == labels[rows]).mean()), macro_f1(labels[rows], said[rows]))
    days: dict[str, list[float]] = {}
    for rows in rooms.values() if block is not None else ():
        held = block if block is not None else labels
        for day in np.unique(held[rows]).tolist():
            own = rows & (held == day)
            days.setdefault(str(day), []).append(float((said[own] == labels[own]).mean()))
    any_room = np.any(list(rooms.values()), axis=0)
    return Judged(
        found,
        log_loss(probabilities[any_room], labels[any_room]),
        {day: float(np.mean(each)) for day, each in days.items()},
    )


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
