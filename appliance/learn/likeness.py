"""Owns how alike two cases must be for one answer to stand for both: the steps of a teacher's features, measured on what it says.

Never in here: a cache, or how well the teacher does. Cases that are sure bear any step; asked about are those that are not, so these are looked at.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Answer = Callable[[NDArray[np.float32]], NDArray[np.float64]]
LEAST_SURE = 0.2
"""The share of rows, those with the least top probability, that stand for what a home would ask about (assumed)."""
LADDER = (4.0, 2.0, 1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128)
"""Steps that are tried of a feature, as parts of its width."""
ALONE = 0.05
"""Features are measured against each other by how far each may move, up or down, until the likeliest label of this share of rows turns."""
WRONG = 0.02
"""All together may give this share of wrong answers from the cache: well below the 5 % at which a home's cache narrows."""
MOST_ROWS = 4000
SCALES = tuple(2.0 ** (-number / 2) for number in range(17))
"""What these are all shortened by, the longest first."""


def steps(
    answer: Answer, rows: NDArray[np.float32], room: NDArray[np.int64], width: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return by how much each feature may differ in a like case (F,), for the teacher `answer`.

    `rows` (N, F) are in order of time in each `room` (N,), which has a cache of its own; `width` (F,) is how far a feature reaches. What
    a feature may move by itself gives the steps' proportions; all are shortened alike until few answers for like rows are wrong.
    """
    said = answer(rows)
    top = said.max(axis=1)
    asked = top <= np.quantile(top, LEAST_SURE)
    hard, words, homes = rows[asked], said[asked].argmax(axis=1), room[asked]
    some = np.linspace(0, len(hard) - 1, min(len(hard), MOST_ROWS)).astype(int)
    longest = np.array(
        [_alone(answer, hard[some], words[some], at, float(width[at])) for at in range(rows.shape[1])]
    )
    scale = next((one for one in SCALES if _few_wrong(hard, words, homes, longest * one)), SCALES[-1])
    return tuple(float(f"{step:.3g}") for step in (longest * scale).tolist())


def _few_wrong(
    rows: NDArray[np.float32], words: NDArray[np.int64], room: NDArray[np.int64], step: NDArray[np.float64]
) -> bool:
    hits, wrong = wrong_hits(rows, words, room, step)
    # One more than were seen: a few hits without a mistake show nothing.
    return wrong * hits * len(rows) + 1 <= WRONG * hits * len(rows)


def wrong_hits(
    rows: NDArray[np.float32], words: NDArray[np.int64], room: NDArray[np.int64], step: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the share of `rows` (N, F) whose bucket was seen before in their room, and the share of these whose word (N,) is another
    than that of the bucket's first.
    """
    places = np.rint(rows / step).astype(np.int64)
    _, first, inverse = np.unique(
        np.column_stack([room, places]), axis=0, return_index=True, return_inverse=True
    )
    before = first[inverse]
    hit = before != np.arange(len(rows))
    wrong = words[before] != words
    return float(hit.mean()), float(wrong[hit].mean()) if hit.any() else 0.0


def _alone(
    answer: Answer, rows: NDArray[np.float32], words: NDArray[np.int64], at: int, width: float
) -> float:
    for part in LADDER:
        turned = 0.0
        for way in (-1.0, 1.0):
            moved = rows.copy()
            moved[:, at] += np.float32(way * part * width)
            turned = max(turned, float((answer(moved).argmax(axis=1) != words).mean()))
        if turned <= ALONE:
            break
    return part * width
