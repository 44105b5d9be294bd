"""Owns the recording: what some rooms' sensors said, in order of time, and the truth beside it.

Never in here: files, features, or which rows are for what.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import SECOND
from appliance.core.quantities import QUANTITIES
from appliance.errors import LearnError

DAY_NS = 86_400 * SECOND
STRETCH = 30
"""Rows that are compared in one piece when looking for copies."""
MAX_ROWS = 5_000_000
"""More than this is refused: ten years of minutes."""


class Recording(msgspec.Struct, frozen=True):
    """One room (or home, or session) over time.

    `at_ns` (N,) int64: Unix nanoseconds of local time, rising; `values`: channel -> (N,) float64 in the quantity's unit, NaN
    where nothing was heard; `labels` (N,) int64: the index of the true label.
    """

    group: str
    at_ns: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    labels: NDArray[np.int64]

    @property
    def interval_s(self) -> float:
        """The usual time between two rows, in seconds: the median. 0 where there is one row only."""
        return float(np.median(np.diff(self.at_ns))) / SECOND if len(self.at_ns) > 1 else 0.0

    @property
    def days(self) -> NDArray[np.int64]:
        """The number of each row's day (N,)."""
        return self.at_ns // DAY_NS

    def part(self, rows: NDArray[np.bool_]) -> "Recording":
        """Return the rows where `rows` (N,) is true."""
        return Recording(
            self.group,
            self.at_ns[rows],
            {name: column[rows] for name, column in self.values.items()},
            self.labels[rows],
        )


def checked(recordings: Sequence[Recording], labels: Sequence[str], where: str) -> Sequence[Recording]:
    """Return `recordings` as they are, after looking for what no model can be learnt from.

    Raises:
        LearnError: there is nothing; a group has no order in time, or the same moment twice; a channel never moves; a truth is
            no label; a label never occurs; or one recording is another one's copy.
    """
    if not recordings or not sum(len(one.at_ns) for one in recordings):
        raise LearnError(f"{where}: no rows", hint="give it a recording with its truth")
    if sum(len(one.at_ns) for one in recordings) > MAX_ROWS:
        raise LearnError(f"{where}: more than {MAX_ROWS} rows", hint="take a part of it, or longer intervals")
    for one in recordings:
        steps = np.diff(one.at_ns)
        if (steps <= 0).any():
            at = int(np.argmax(steps <= 0)) + 1
            raise LearnError(
                f"{where}: {one.group}: row {at + 1} is not later than the row before it",
                hint="sort by time, and let each moment occur once in a group (`group` names the column that tells rooms apart)",
            )
    names = sorted({name for one in recordings for name in one.values})
    for name in names:
        heard = np.concatenate([one.values[name] for one in recordings if name in one.values])
        heard = heard[np.isfinite(heard)]
        if not len(heard) or heard.min() == heard.max():
            raise LearnError(
                f"{where}: {name} never changes", hint=f"leave it out of channels: {name} tells nothing"
            )
    seen = np.bincount(np.concatenate([one.labels for one in recordings]), minlength=len(labels))
    if (seen == 0).any():
        raise LearnError(
            f"{where}: no row is {labels[int(np.argmin(seen))]!r}",
            hint="a model needs examples of each of its labels: record longer, or name the labels anew",
        )
    _no_copies(recordings, where)
    return recordings


def _no_copies(recordings: Sequence[Recording], where: str) -> None:
    seen: dict[int, tuple[str, int]] = {}
    for one in recordings:
        for start, key in _stretches(one):
            before = seen.get(key)
            # A stretch overlaps with itself a row on; only those that lie apart are copies.
            if before is not None and (before[0] != one.group or start - before[1] >= STRETCH):
                raise LearnError(
                    f"{where}: rows {start + 1} to {start + STRETCH} of {one.group} are those from row {before[1] + 1} of {before[0]}"
                    " once more",
                    hint="remove copies: a model that is judged by rows that it was fitted on is worth nothing",
                )
            seen.setdefault(key, (one.group, start))


def _stretches(recording: Recording) -> list[tuple[int, int]]:
    """Return (first row, hash) of each stretch of `STRETCH` rows that moves so much that it does not occur twice by chance."""
    if len(recording.at_ns) < STRETCH:
        return []
    table = np.stack([recording.values[name] for name in sorted(recording.values)], axis=1)
    hashes = np.array([hash(row.tobytes()) for row in table], dtype=np.int64).astype(np.uint64)
    count = len(table) - STRETCH + 1
    keys = np.zeros(count, dtype=np.uint64)
    moves = np.zeros(count, dtype=np.int64)
    moved = np.concatenate([[False], hashes[1:] != hashes[:-1]])
    with np.errstate(over="ignore"):
        for place in range(STRETCH):
            keys = keys * np.uint64(0x9E3779B97F4A7C15) + hashes[place : place + count]
            moves += moved[place : place + count]
    # Still air repeats itself, and so does a channel that knows few steps.
    busy = np.flatnonzero(moves >= STRETCH * 2 // 3)
    return list(zip(busy.tolist(), keys[busy].tolist(), strict=True))


def no_shared_rows(sides: Mapping[str, Sequence[Recording]]) -> None:
    """Refuse rows that lie on two sides of a split.

    Raises:
        LearnError: a day of one group, or a stretch of rows (all channels, to the digit), is on two sides.
    """
    days: dict[tuple[str, int], str] = {}
    rows: dict[int, str] = {}
    # A file with one room in it names the room after itself: such are taken for one room.
    alone = all(len({one.group for one in some}) <= 1 for some in sides.values())
    for side, recordings in sides.items():
        for one in recordings:
            for day in np.unique(one.days).tolist():
                before = days.setdefault(("" if alone else one.group, day), side)
                if before != side:
                    raise LearnError(
                        f"the day {np.datetime64(day, 'D')} of {one.group} lies in {before!r} and in {side!r}",
                        hint="split between days, or between groups: neighbouring minutes are the same minute",
                    )
            for start, key in _stretches(one):
                before = rows.setdefault(key, side)
                if before != side:
                    raise LearnError(
                        f"rows {start + 1} to {start + STRETCH} of {one.group} in {side!r} lie in {before!r} too",
                        hint="remove the copies",
                    )


def channels_of(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Return the channels that every recording has, in the vocabulary's order."""
    common = set.intersection(*(set(one.values) for one in recordings))
    return tuple(name for name in QUANTITIES if name in common)
