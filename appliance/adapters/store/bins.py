"""Owns binning one stream's history: mean, least and greatest number, best quality and last word of each bin.

Never in here: where the rows come from.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.adapters.store.packs import Pack
from appliance.core.readings import Quality


class Point(msgspec.Struct, frozen=True, gc=False):
    """One bin of a stream's history from `wall_ns` on: the mean, least and greatest GOOD number, or the last word.

    `quality` is the best in the bin.
    """

    wall_ns: int
    value: float | str | None
    low: float | None
    high: float | None
    quality: int


class Bins:
    """Bins of `width` ns from wall time `since_ns` on; what is dated before that, or at `until_ns` or later, is left out.

    Rows are added in the order in which they were heard.
    """

    def __init__(self, since_ns: int, width: int, until_ns: int) -> None:
        self._since, self._width, self._until = since_ns, width, until_ns
        count = -(-(until_ns - since_ns) // width)
        self._sum = np.zeros(count)
        self._count = np.zeros(count, np.int64)
        self._low = np.full(count, np.inf)
        self._high = np.full(count, -np.inf)
        self._best = np.full(count, max(Quality) + 1, np.int64)
        self._words: dict[int, str | None] = {}
        """The last value of a bin where it is a word, else None; of bins in which there ever was a word."""

    def add(self, pack: Pack, rows: NDArray[np.int64]) -> None:
        """Add the rows of `pack` with these indices."""
        if not len(rows):
            return
        wall = pack.wall[rows]
        rows = rows[(wall >= self._since) & (wall < self._until)]
        if len(rows):
            numbers = pack.numbers()[rows]
            words = {}
            if np.isnan(numbers).any():
                values = pack.values()
                words = {
                    place: value
                    for place, row in enumerate(rows.tolist())
                    if isinstance(value := values[row], str)
                }
            self._add(pack.wall[rows], pack.quality[rows], numbers, words)

    def add_rows(self, rows: Sequence[tuple[int, int, int, float | str]]) -> None:
        """Add rows of a table, one at least: number, wall time within the bins, quality, value."""
        _, walls, qualities, values = zip(*rows, strict=True)
        numbers = np.array([np.nan if isinstance(value, str) else value for value in values], np.float64)
        words = {place: value for place, value in enumerate(values) if isinstance(value, str)}
        self._add(np.array(walls, np.int64), np.array(qualities, np.int64), numbers, words)

    def points(self) -> list[Point]:
        """Return the bins in which there is anything, the oldest first."""
        found = []
        for index in np.flatnonzero(self._best <= max(Quality)).tolist():
            at, best = self._since + index * self._width, int(self._best[index])
            word = self._words.get(index)
            if word is not None:
                found.append(Point(at, word, None, None, best))
            elif count := int(self._count[index]):
                mean = float(self._sum[index]) / count
                found.append(Point(at, mean, float(self._low[index]), float(self._high[index]), best))
            else:
                found.append(Point(at, None, None, None, best))
        return found

    def _add(
        self, wall: NDArray[np.int64], quality: NDArray[np.int64], numbers: NDArray[np.float64], words: dict[int, str]
    ) -> None:  # fmt: skip
        index = (wall - self._since) // self._width
        np.minimum.at(self._best, index, quality)
        good = (quality == Quality.GOOD) & ~np.isnan(numbers)
        among, known = index[good], numbers[good]
        np.add.at(self._sum, among, known)
        np.add.at(self._count, among, 1)
        np.minimum.at(self._low, among, known)
        np.maximum.at(self._high, among, known)
        if words or self._words:
            self._words |= {bin_: words.get(place) for place, bin_ in enumerate(index.tolist())}
