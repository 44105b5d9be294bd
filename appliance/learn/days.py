"""Owns thresholds of prediction sets for a new day: the ways to take them from held-out rows, and what each covers on a day it did not see.

Minutes of one day are one case; a quantile over all minutes promises the next minute, not the next day. Never in here: fitting.
"""

from collections.abc import Callable, Sequence
from math import ceil, floor

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.trust import Sets, needed
from appliance.core.trust.fitting import conformal_thresholds
from appliance.errors import LearnError
from appliance.learn.lessons import COLD, RECORDED, Lessons

MEASURED = (0.05, 0.10)
"""The error levels at which ways are compared; that they are sure is asked of the last."""
LEAST_SURE = 0.70
DIGITS = 1_000_000


class Case(msgspec.Struct):
    """Held-out rows: probabilities (N, L), labels (N,), the day (or group) that each was held out with (N,), its room (N,), and whether that
    room was recorded, perhaps after a cold start (N,).
    """

    said: NDArray[np.float64]
    labels: NDArray[np.int64]
    block: NDArray[np.int64]
    room: NDArray[np.int64]
    recorded: NDArray[np.bool_]

    def only(self, rows: NDArray[np.bool_]) -> "Case":
        """Return those of `rows` (N,)."""
        return Case(*(getattr(self, name)[rows] for name in self.__struct_fields__))


class Way(msgspec.Struct, frozen=True):
    """What a way of taking thresholds covers on days that it did not see.

    `covered`: error level -> for each label the mean over days that have it, in recorded rooms; `anywhere`: the mean over days and all rooms;
    `worst`: the worst day of a label, in recorded rooms; `sure`: the mean share over days and all rooms whose set holds one label;
    `sure_recorded`: in recorded rooms.
    """

    name: str
    covered: dict[str, tuple[float, ...]]
    anywhere: dict[str, tuple[float, ...]]
    worst: dict[str, float]
    sure: dict[str, float]
    sure_recorded: dict[str, float]

    @property
    def short(self) -> float:
        """By how much it covers too little at most; below zero: how much it has to spare."""
        return max(
            1 - level - least
            for level in MEASURED
            for least in (*self.covered[f"{level:g}"], *self.anywhere[f"{level:g}"])
        )


def case_of(lessons: Lessons, probabilities: NDArray[np.float64]) -> Case:
    """Return the held-out rows of all rooms that are judged, with `probabilities` (N, L)."""
    rooms = [at for at, name in enumerate(lessons.rooms) if name in (RECORDED, COLD)]
    rows = np.isfinite(probabilities).all(axis=1)
    return Case(
        probabilities[rows],
        lessons.labels[rows],
        lessons.block[rows],
        lessons.room[rows],
        np.isin(lessons.room[rows], rooms),
    )


def _rows(case: Case, alphas: Sequence[float]) -> Sets:
    own = case.only(case.recorded)
    return conformal_thresholds(own.said, own.labels, alphas)


def _rooms(case: Case, alphas: Sequence[float]) -> Sets:
    return _of_parts(lambda own: np.zeros(len(own.labels), np.int64), min, recorded=False)(case, alphas)


def _days_alike(case: Case, alphas: Sequence[float]) -> Sets:
    """Every day has the same weight, however long it was watched: hierarchical conformal prediction (Lee, Barber and Willett 2023), without
    the weight for the day to come, which alone would be more than the error levels for so few days.
    """
    own = case.only(case.recorded)

    def threshold(label: int, alpha: float) -> float:
        rows = own.labels == label
        _, place, counts = np.unique(own.block[rows], return_inverse=True, return_counts=True)
        return _weighted(own.said[rows, label], (1.0 / counts)[place], 1 - alpha, len(counts))

    return _sets(case, alphas, threshold)


def _of_parts(
    part: Callable[[Case], NDArray[np.int64]], over: Callable[[Sequence[float]], float], *, recorded: bool
) -> Callable[[Case, Sequence[float]], Sets]:
    def way(case: Case, alphas: Sequence[float]) -> Sets:
        own = case.only(case.recorded) if recorded else case
        parts = part(own)

        def threshold(label: int, alpha: float) -> float:
            return over(
                [
                    _quantile(own.said[(parts == one) & (own.labels == label), label], alpha)
                    for one in np.unique(parts[own.labels == label])
                ]
            )

        return _sets(case, alphas, threshold)

    return way


def _quantile(scores: NDArray[np.float64], alpha: float) -> float:
    """The finite-sample quantile of a part; the least where it is too short for one."""
    k = ceil(round((len(scores) + 1) * (1 - alpha), 9))
    return float(np.sort(scores)[::-1][min(k, len(scores)) - 1])


def _sets(case: Case, alphas: Sequence[float], threshold: Callable[[int, float], float]) -> Sets:
    levels = sorted(set(alphas), reverse=True)
    count = case.said.shape[1]
    # Rounded down: a set may grow by that, never shrink.
    found = tuple(
        tuple(floor(threshold(label, alpha) * DIGITS) / DIGITS for label in range(count)) for alpha in levels
    )
    # Imitated rooms are the recorded minutes again: they add no rows.
    rows = [int((case.recorded & (case.labels == label)).sum()) for label in range(count)]
    return Sets(tuple(levels), found, tuple(rows))


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))


WAYS: dict[str, Callable[[Case, Sequence[float]], Sets]] = {
    "rows": _rows,
    "rooms": _rooms,
    "days_alike": _days_alike,
    "median_day": _of_parts(lambda case: case.block, _middle, recorded=True),
    "worst_day": _of_parts(lambda case: case.block, min, recorded=True),
    "worst_room": _of_parts(lambda case: case.room, min, recorded=False),
}
"""Every way by its name: the quantile over rows of recorded rooms, or of all rooms; the same with days of equal weight; the median or the least of
the days' own quantiles (the quantile over days of the quantile of a day: Dunn, Wasserman and Ramdas 2023); the least of the rooms' own."""


def for_a_new_day(
    said: NDArray[np.float64], labels: NDArray[np.int64], days: NDArray[np.int64], alphas: Sequence[float]
) -> Sets:
    """Return thresholds that hold for a row of a *new* day: each day weighs alike, and the day to come as much as one, at worst (hierarchical
    conformal prediction: Lee, Barber and Willett 2023).

    `said` (N, L) are probabilities of rows by models that were fitted without their day, `labels` (N,) their truths, `days` (N,). For each label by
    itself the set of a row of a day that is exchangeable with these holds its truth with probability 1 - alpha, as far as the model that was fitted
    on all days is like those that were fitted without one. Of `alphas` those stand for which each label has days enough.

    Raises:
        LearnError: the greatest of `alphas` needs more days of a label; says how many.
    """
    on = [len(np.unique(days[labels == label])) for label in range(said.shape[1])]
    levels = [alpha for alpha in alphas if needed(alpha) <= min(on)]
    if not levels:
        raise LearnError(
            f"label {on.index(min(on))} was told on {min(on)} days: an error level of {max(alphas):g} for a new day needs {needed(max(alphas))}",
            hint="label more days",
        )

    def threshold(label: int, alpha: float) -> float:
        rows = labels == label
        _, place, counts = np.unique(days[rows], return_inverse=True, return_counts=True)
        return _weighted(said[rows, label], (1.0 / counts)[place], 1 - alpha, len(counts) + 1)

    found = tuple(
        tuple(floor(threshold(label, alpha) * DIGITS) / DIGITS for label in range(len(on)))
        for alpha in sorted(set(levels), reverse=True)
    )
    rows = tuple(int((labels == label).sum()) for label in range(len(on)))
    return Sets(tuple(sorted(set(levels), reverse=True)), found, rows)


def _weighted(scores: NDArray[np.float64], weights: NDArray[np.float64], share: float, whole: float) -> float:
    """The greatest score from which on upwards the `weights`, of `whole` in all, hold the `share`; the least one where none does."""
    order = np.argsort(-scores, kind="stable")
    passed = np.cumsum(weights[order]) / whole
    # Sums of many fractions are a little off: what is enough but for that is enough.
    return float(scores[order][min(int(np.searchsorted(passed, share - 1e-9)), len(order) - 1)])


def measured(name: str, case: Case) -> Way:
    """Return what the way `name` covers: its thresholds are taken from all days but one and asked of that one, in turn.

    The model that judged the other days had seen this one, as in cross-conformal prediction (Vovk 2015); no threshold has.
    """
    days = np.unique(case.block).tolist()
    labels = range(case.said.shape[1])
    sets = {day: WAYS[name](case.only(case.block != day), MEASURED) for day in days}
    found = Way(name, {}, {}, {}, {}, {})
    for level in MEASURED:
        key = f"{level:g}"
        here: dict[int, list[float]] = {label: [] for label in labels}
        there: dict[int, list[float]] = {label: [] for label in labels}
        sure, sure_here = [], []
        for day in days:
            whole = ~(case.said < np.array(sets[day].at(level)))
            one = whole.sum(axis=1) == 1
            hit = whole[np.arange(len(case.labels)), case.labels]
            today = case.block == day
            for label in labels:
                own = today & (case.labels == label)
                if (own & case.recorded).any():
                    here[label].append(float(hit[own & case.recorded].mean()))
                if own.any():
                    there[label].append(_over(case.room, own, hit))
            sure.append(_over(case.room, today, one))
            sure_here.append(float(one[today & case.recorded].mean()))
        found.covered[key] = tuple(round(float(np.mean(here[label])), 4) for label in labels)
        found.anywhere[key] = tuple(round(float(np.mean(there[label])), 4) for label in labels)
        found.worst[key] = round(min(min(each) for each in here.values()), 4)
        found.sure[key] = round(float(np.mean(sure)), 4)
        found.sure_recorded[key] = round(float(np.mean(sure_here)), 4)
    return found


def _over(room: NDArray[np.int64], rows: NDArray[np.bool_], hit: NDArray[np.bool_]) -> float:
    return float(np.mean([hit[rows & (room == one)].mean() for one in np.unique(room[rows])]))


def choose_way(names: Sequence[str], case: Case) -> tuple[tuple[Way, ...], str]:
    """Return what each way covers, and the chosen one: of those that cover enough and are sure often enough the one that is sure most often;
    where none is, of those that are sure often enough the one that falls short of coverage least; else the surest.

    Raises:
        LearnError: a name is no way.
    """
    if unknown := set(names) - set(WAYS):
        raise LearnError(
            f"there is no way {min(unknown)!r} to thresholds", hint=f"they are {', '.join(WAYS)}"
        )
    if len(names) == 1:
        return (), names[0]
    ways = tuple(measured(name, case) for name in names)
    key = f"{MEASURED[-1]:g}"
    sure = [one for one in ways if one.sure[key] >= LEAST_SURE]
    enough = [one for one in sure if one.short <= 0]
    if enough:
        return ways, max(enough, key=lambda one: one.sure[key]).name
    if sure:
        return ways, min(sure, key=lambda one: one.short).name
    return ways, max(ways, key=lambda one: one.sure[key]).name
