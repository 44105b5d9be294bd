"""Owns what is held out as one: blocks of rows by day or by group, and folds of blocks.

Never in here: a random split of rows. Neighbouring minutes are the same minute; a model that saw one of them knows the other.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from appliance.errors import LearnError
from appliance.learn.recordings import Recording

LEAST_BLOCKS = 3


def blocks(recordings: Sequence[Recording], by: Literal["day", "group"]) -> list[NDArray[np.int64]]:
    """Return for each recording the number of each row's block (N,): one number a day of a group, or one a group.

    Raises:
        LearnError: there are fewer than three blocks, so that nothing can be held out.
    """
    numbers: dict[tuple[str, int], int] = {}
    found = []
    for one in recordings:
        days = one.days if by == "day" else np.zeros(len(one.at_ns), np.int64)
        own = np.empty(len(days), np.int64)
        for day in np.unique(days).tolist():
            own[days == day] = numbers.setdefault((one.group, day), len(numbers))
        found.append(own)
    if len(numbers) < LEAST_BLOCKS:
        word = "days" if by == "day" else "groups"
        raise LearnError(
            f"{len(numbers)} {word}: each is held out in its turn, which needs {LEAST_BLOCKS} at least",
            hint="record longer" if by == "day" else 'record more rooms, or split by = "day"',
        )
    return found


def folds(block: NDArray[np.int64], labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the fold (N,) of each row: whole blocks, at most `count` folds, their rows as even as can be.

    Raises:
        LearnError: a label occurs in one block only, so no model that has not seen the block can know it.
    """
    names, sizes = np.unique(block, return_counts=True)
    for label in np.unique(labels).tolist():
        if len(np.unique(block[labels == label])) < 2:
            raise LearnError(
                f"label {label} occurs on one day or in one group only",
                hint="record longer: what is held out must have been seen elsewhere",
            )
    filled = np.zeros(min(count, len(names)), np.int64)
    of_block = np.zeros(int(names.max()) + 1, np.int64)
    for at in np.argsort(-sizes, kind="stable").tolist():
        fold = int(np.argmin(filled))
        of_block[names[at]] = fold
        filled[fold] += sizes[at]
    found: NDArray[np.int64] = of_block[block]
    return found
