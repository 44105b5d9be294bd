"""Owns binning one stream's history: mean, least and greatest number, best quality and last word of each bin.

Never in here: where the rows come from.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import cast

import msgspec

from appliance.adapters.store.packs import Series


class Point(msgspec.Struct, frozen=True, gc=False):
    """One bin of a stream's history from `wall_ns` on: the mean, least and greatest GOOD number, or the last word.

    `quality` is the best in the bin.
    """

    wall_ns: int
    value: float | str | None
    low: float | None
    high: float | None
    quality: int


class _Bin:
    __slots__ = ("best", "count", "high", "low", "total", "word")

    def __init__(self, quality: int) -> None:
        self.best, self.count, self.total, self.low, self.high = quality, 0, 0.0, math.inf, -math.inf
        self.word: str | None = None


class Bins:
    """Bins of `width` ns from wall time `since_ns` on; what is dated before that, or at `until_ns` or later, is left out.

    Rows are added in the order in which they were heard.
    """

    def __init__(self, since_ns: int, width: int, until_ns: int) -> None:
        self._since, self._width, self._until = since_ns, width, until_ns
        self._bins: dict[int, _Bin] = {}

    def add(self, series: Series) -> None:
        """Add what a pack has of a stream or more."""
        wall, quality, value = series
        if not wall:
            return
        plain = max(quality) == 0 and str not in {*map(type, value)}
        if not plain or min(wall) < self._since or max(wall) >= self._until:
            self.add_rows(zip(wall, quality, value, strict=True))
            return
        # GOOD numbers alone: a bin at a time.
        since, width, start = self._since, self._width, 0
        for index, same in groupby([(at - since) // width for at in wall]):
            end = start + len(list(same))
            part = cast("Sequence[float]", value[start:end])  # no word is among them
            found = self._bins.setdefault(index, _Bin(0))
            found.best, found.word = 0, None
            found.count += len(part)
            found.total += sum(part)
            found.low, found.high = min(found.low, *part), max(found.high, *part)
            start = end

    def add_rows(self, rows: Iterable[tuple[int, int, float | str]]) -> None:
        """Add rows: wall time, quality, value."""
        since, until, width, bins = self._since, self._until, self._width, self._bins
        for wall, quality, value in rows:
            if not since <= wall < until:
                continue
            index = (wall - since) // width
            found = bins.get(index)
            if found is None:
                found = bins[index] = _Bin(quality)
            if quality < found.best:  # noqa: PLR1730  twice as fast
                found.best = quality
            if isinstance(value, str):
                found.word = value
                continue
            found.word = None
            if quality == 0:  # GOOD; a look at the enumeration costs as much as the rest
                found.count += 1
                found.total += value
                if value < found.low:  # noqa: PLR1730  twice as fast
                    found.low = value
                if value > found.high:  # noqa: PLR1730  twice as fast
                    found.high = value

    def points(self) -> list[Point]:
        """Return the bins in which there is anything, the oldest first."""
        found = []
        for index, one in sorted(self._bins.items()):
            at = self._since + index * self._width
            if one.word is not None:
                found.append(Point(at, one.word, None, None, one.best))
            elif one.count:
                found.append(Point(at, one.total / one.count, one.low, one.high, one.best))
            else:
                found.append(Point(at, None, None, None, one.best))
        return found
