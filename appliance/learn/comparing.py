"""Owns what a teacher is worth beside its student: both on the same held-out rows, paired by day, where the student is not sure and everywhere.

Rooms are imitations of the same few days, so a day is one case and is drawn whole. Never in here: fitting, choosing, or test files.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Against, Bundle, Gain
from appliance.core.readings import Quality
from appliance.core.trust import ALPHA, Trust, judge
from appliance.errors import LearnError
from appliance.learn.judging import interval
from appliance.learn.lessons import JUDGE, Lessons

FEWEST = 2
"""Of one day there is no interval."""


class Voice(msgspec.Struct):
    """What a model says of all rows: calibrated held-out probabilities `said` (N, L), NaN where none; its features' places in the lessons'
    spec; and its card's trust.
    """

    said: NDArray[np.float64]
    columns: list[int]
    trust: Trust


def against(lessons: Lessons, student: Voice, teacher: Voice, local: Bundle, seed: int) -> Against:
    """Return what `teacher` is worth beside `student`, which is the bundle `local`, on the rows that are judged and that both know.

    Each row is judged by the core's own verdict, by either card: what counts is the label that it names, sure or not.

    Raises:
        LearnError: fewer than two days, or groups, were held out.
    """
    rows = np.flatnonzero(
        ((lessons.uses & JUDGE) > 0)
        & np.isfinite(student.said).all(axis=1)
        & np.isfinite(teacher.said).all(axis=1)
    )
    word, sure = _verdicts(lessons, student, rows)
    other, _ = _verdicts(lessons, teacher, rows)
    labels = lessons.labels[rows]
    gained = (other == labels).astype(np.float64) - (word == labels)
    day, room = lessons.block[rows], lessons.room[rows]
    everywhere = gain(gained, day, room, seed)
    if everywhere is None:
        raise LearnError("a teacher can't be compared on fewer than two held-out days", hint="record longer")
    return Against(
        local.card.name,
        local.card.version,
        local.digest,
        ALPHA,
        gain(gained[~sure], day[~sure], room[~sure], seed),
        everywhere,
    )


def gain(
    gained: NDArray[np.float64], day: NDArray[np.int64], room: NDArray[np.int64], seed: int
) -> Gain | None:
    """Return the gain of rows (N,) that `gained` +1 (the teacher alone was right), -1 (the other alone) or 0, each of a `day` in a `room`.

    A day counts once, however many rooms imitate it and however many rows it has; None where there are fewer than two.
    """
    days, rooms = np.unique(day).tolist(), np.unique(room).tolist()
    if len(days) < FEWEST:
        return None
    cells = np.full((len(days), len(rooms)), np.nan)
    for at, one in enumerate(days):
        for place, where in enumerate(rooms):
            own = (day == one) & (room == where)
            if own.any():
                cells[at, place] = gained[own].mean()
    each = np.nanmean(cells, axis=1)
    low, high = interval(each, np.arange(len(days)), seed)
    worst = np.nanmean(cells, axis=0).min()
    return Gain(len(days), len(gained), *(round(float(one), 4) for one in (each.mean(), low, high, worst)))


def _verdicts(
    lessons: Lessons, voice: Voice, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    words, sure = np.empty(len(rows), np.int64), np.empty(len(rows), np.bool_)
    table = lessons.rows[rows][:, voice.columns]
    for at, (said, features) in enumerate(zip(voice.said[rows].tolist(), table, strict=True)):
        label, quality, _ = judge(said, features, voice.trust, ALPHA)
        words[at] = -1 if label is None else voice.trust.labels.index(label)
        sure[at] = quality is Quality.GOOD
    return words, sure
