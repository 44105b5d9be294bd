"""Owns the bins of one channel: what was good over the last day, in exact integers and bounded memory.

Bins are anchored at boot and hold whole steps of the quantity's resolution, so they do not depend on a sensor's rate, and
give the same bits for the same instants in training, on the device and in replay. Never in here: units, or trust.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from math import fsum, sqrt
from operator import attrgetter
from typing import Self

import msgspec

from appliance.core.clock import SECOND

BIN_NS = 30 * SECOND
"""A fine bin: half a minute."""
FINE_BINS = 240
"""Fine bins that are kept: two hours."""
COARSE_NS = 600 * SECOND
"""A coarse bin: ten minutes."""
COARSE_BINS = 144
"""Coarse bins that are kept: a day."""


_INDEX = attrgetter("index")


class Bin(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What fell into one bin, number `index` since boot: `count` values, their exact sum, least, greatest and last, in steps."""

    index: int
    count: int
    total: int
    least: int
    greatest: int
    last: int

    def add(self, steps: int) -> "Bin":
        """Return this bin with one value more."""
        return Bin(
            self.index,
            self.count + 1,
            self.total + steps,
            min(self.least, steps),
            max(self.greatest, steps),
            steps,
        )


class Window(msgspec.Struct, frozen=True, array_like=True):
    """The bins of one channel; immutable: `push` gives a new one, which shares all closed bins with the old.

    Only bins that heard something are stored. An empty one holds the value before it, until that is `max_age_ns` old;
    then it is unknown. Spans are whole bins, the open one included; up to two hours in fine bins, beyond in coarse ones.
    """

    max_age_ns: int
    resolution: float
    last_ns: int | None = None
    fine: tuple[Bin, ...] = ()
    open_fine: Bin | None = None
    coarse: tuple[Bin, ...] = ()
    open_coarse: Bin | None = None

    @classmethod
    def empty(cls, max_age_ns: int, resolution: float) -> Self:
        """Return a window that heard nothing yet; `resolution` is one step in the channel's unit."""
        return cls(max_age_ns, resolution)

    def push(self, steps: int, boottime_ns: int) -> "Window":
        """Return the window after a good value of `steps` at `boottime_ns`. A value of the past falls into the open bin."""
        index = boottime_ns // BIN_NS
        fine, open_fine = self.fine, self.open_fine
        if open_fine is not None and index <= open_fine.index:
            # The ordinary case: only the open bins change.
            coarse, open_coarse = _push(
                self.coarse, self.open_coarse, steps, boottime_ns // COARSE_NS, COARSE_BINS
            )
            last_ns = boottime_ns if self.last_ns is None or boottime_ns > self.last_ns else self.last_ns
            return Window(
                self.max_age_ns, self.resolution, last_ns, fine, open_fine.add(steps), coarse, open_coarse
            )
        fine, open_fine = _push(fine, open_fine, steps, index, FINE_BINS)
        coarse, open_coarse = _push(
            self.coarse, self.open_coarse, steps, boottime_ns // COARSE_NS, COARSE_BINS
        )
        return Window(self.max_age_ns, self.resolution, boottime_ns, fine, open_fine, coarse, open_coarse)

    def heard_since_ns(self) -> int | None:
        """Return the start of the oldest fine bin that is kept, or None where nothing was heard."""
        oldest = self.fine[0] if self.fine else self.open_fine
        return None if oldest is None else oldest.index * BIN_NS

    def series(self, now_ns: int, span_ns: int) -> list[float | None]:
        """Return the bins' means over the span, oldest first, in the channel's unit; None where a bin is unknown."""
        heard, before, index, newest, width = self._within(now_ns, span_ns)
        values: list[float | None] = []
        for bin_ in heard:
            if bin_.index > index:
                self._fill(values, before, index, bin_.index, width)
            values.append(bin_.total / bin_.count * self.resolution)
            index, before = bin_.index + 1, bin_
        self._fill(values, before, index, newest + 1, width)
        return values

    def mean(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the mean of the bins' means over the span; None where any bin is unknown (`whole`), or the newest is."""
        values = self.series(now_ns, span_ns)
        known = [value for value in values if value is not None]
        if not known or values[-1] is None or (whole and len(known) < len(values)):
            return None
        return fsum(known) / len(known)

    def minimum(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the least value heard in the span; None as in `mean`."""
        return self._extreme(now_ns, span_ns, whole=whole, least=True)

    def maximum(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the greatest value heard in the span; None as in `mean`."""
        return self._extreme(now_ns, span_ns, whole=whole, least=False)

    def slope(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the least-squares slope of the bins' means over the span, in the channel's unit per minute.

        None as in `mean`, and where fewer than two bins are known.
        """
        values = self.series(now_ns, span_ns)
        known = [value for value in values if value is not None]
        if len(known) < 2 or values[-1] is None or (whole and len(known) < len(values)):
            return None
        if len(known) == len(values):
            offsets, below = _offsets(len(known))
        else:
            offsets, below = _centred([at for at, value in enumerate(values) if value is not None])
        level = fsum(known) / len(known)
        above = fsum([offset * (value - level) for offset, value in zip(offsets, known, strict=True)])
        width_ns = BIN_NS if span_ns <= FINE_BINS * BIN_NS else COARSE_NS
        return above / below * (60 * SECOND / width_ns)

    def spread(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the standard deviation of the bins' means over the span; None as in `slope`."""
        values = self.series(now_ns, span_ns)
        known = [value for value in values if value is not None]
        if len(known) < 2 or values[-1] is None or (whole and len(known) < len(values)):
            return None
        level = fsum(known) / len(known)
        return sqrt(fsum([(value - level) ** 2 for value in known]) / len(known))

    def _extreme(self, now_ns: int, span_ns: int, *, whole: bool, least: bool) -> float | None:
        # Not by way of `series`: what a bin holds on to was heard in it or before the span, so one look at each stored bin
        # is enough. Spans of a day are asked for at each reading.
        heard, before, first, newest, width = self._within(now_ns, span_ns)
        last = heard[-1] if heard else before
        if last is None or (last.index != newest and newest > self._held_until(last, width)):
            return None
        if whole and None in self.series(now_ns, span_ns):
            return None
        steps = [bin_.least for bin_ in heard] if least else [bin_.greatest for bin_ in heard]
        if (
            before is not None
            and (not heard or heard[0].index != first)
            and first <= self._held_until(before, width)
        ):
            steps.append(before.last)
        return float(min(steps) if least else max(steps)) * self.resolution

    def _within(self, now_ns: int, span_ns: int) -> tuple[list[Bin], Bin | None, int, int, int]:
        """Return the stored bins of a span, the one before them, the span's first and last index, and the bins' width."""
        if span_ns <= FINE_BINS * BIN_NS:
            closed, open_bin, width = self.fine, self.open_fine, BIN_NS
        else:
            closed, open_bin, width = self.coarse, self.open_coarse, COARSE_NS
        newest = now_ns // width
        first = newest - max(1, -(-span_ns // width)) + 1
        start = bisect_left(closed, first, key=_INDEX)
        heard = list(closed[start:])
        before = closed[start - 1] if start else None
        if open_bin is not None:
            if open_bin.index < first:
                before = open_bin
            else:
                heard.append(open_bin)
        while heard and heard[-1].index > newest:
            heard.pop()
        return heard, before, first, newest, width

    def _fill(self, values: list[float | None], before: Bin | None, start: int, end: int, width: int) -> None:
        """Add the values of the empty bins from `start` to before `end`: the last one before them, while it stands."""
        if before is not None:
            stands = min(end, self._held_until(before, width) + 1)
            values.extend([before.last * self.resolution] * (stands - start))
            start = max(start, stands)
        values.extend([None] * (end - start))

    def _held_until(self, before: Bin, width: int) -> int:
        """Return the last bin at whose start the last value of `before` still stands. Its exact time is known of the newest
        value only; of an older bin it is taken to be the bin's end, the latest it can have been.
        """
        heard_ns = (before.index + 1) * width
        if self.last_ns is not None and self.last_ns // width == before.index:
            heard_ns = self.last_ns
        return (heard_ns + self.max_age_ns) // width


@lru_cache(maxsize=FINE_BINS)
def _offsets(count: int) -> tuple[tuple[float, ...], float]:
    # The ordinary case of a slope: all bins are known, so their places are the same each time.
    return _centred(range(count))


def _centred(places: Sequence[int]) -> tuple[tuple[float, ...], float]:
    """Return how far each place lies from their mean, and the sum of the squares."""
    middle = sum(places) / len(places)
    offsets = tuple(place - middle for place in places)
    return offsets, fsum(offset * offset for offset in offsets)


def _push(
    closed: tuple[Bin, ...], open_bin: Bin | None, steps: int, index: int, most: int
) -> tuple[tuple[Bin, ...], Bin]:
    if open_bin is None:
        return closed, Bin(index, 1, steps, steps, steps, steps)
    if index <= open_bin.index:
        return closed, open_bin.add(steps)
    # Bins older than the window are let go as the next one closes; one older is kept, whose value the first may hold.
    oldest = index - most - 1
    kept = (
        closed
        if not closed or closed[0].index >= oldest
        else tuple(bin_ for bin_ in closed if bin_.index >= oldest)
    )
    return (*kept, open_bin), Bin(index, 1, steps, steps, steps, steps)
