"""Owns the bins of one channel: what was good over the last day, in bounded memory, and the statistics over it.

Bins are anchored at boot and count whole steps of the quantity's resolution, so they do not depend on a sensor's rate, and
give the same bits for the same instants in training, on the device and in replay. Never in here: units, or trust.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import accumulate
from math import inf, sqrt
from typing import Self, TypeVar

import msgspec

from appliance.core.clock import SECOND

BIN_NS = 30 * SECOND
"""A fine bin: half a minute."""
FINE_BINS = 240
"""Fine bins that are kept: two hours."""
FINE_NS = FINE_BINS * BIN_NS
"""Longer spans are of coarse bins."""
COARSE_NS = 600 * SECOND
"""A coarse bin: ten minutes."""
COARSE_BINS = 144
"""Coarse bins that are kept: a day."""
EXACT = 2.0**96
"""Sums of means are whole numbers of this fraction of a unit: no bit of a mean above 1e-12 is lost, so a sum is the same in
whatever order, and in whatever portions, it is built."""
KEPT_NS = COARSE_BINS * COARSE_NS
"""Longer spans there are none."""


Said = TypeVar("Said")


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


class Sums(msgspec.Struct, frozen=True, gc=False):
    """Of `bins` bins' means v at the places x: the sums of v, x v and v² (in 1/`EXACT` and its square), of x and of x²."""

    bins: int
    total: int
    moment: int
    squares: int
    places: int
    places_squared: int


Running = tuple[int, int, int]
"""The sums of v, x v and v² so far."""


def _running(before: Running, means: Iterable[float | None], place: int = 0) -> list[Running]:
    """Return the sums after each of `means`, the first of which is at `place`; what is unknown adds nothing."""
    total, moment, squares = before
    sums = []
    for mean in means:
        if mean is not None:
            exact = int(mean * EXACT)
            total += exact
            moment += place * exact
            squares += exact * exact
        place += 1
        sums.append((total, moment, squares))
    return sums


class Closed(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """The bins of one width that nothing falls into any more: one entry a bin, from bin `first` to before the open one.

    `means` are in the channel's unit: a bin's mean; where it heard nothing the value before it, until that is too old; then
    None. `least` and `greatest` are in steps, None where it heard nothing. From bin `whole_from` on no mean is None;
    `since` is the oldest bin that is kept and heard something.
    """

    since: int
    first: int
    whole_from: int
    means: tuple[float | None, ...] = ()
    least: tuple[int | None, ...] = ()
    greatest: tuple[int | None, ...] = ()

    def close(self, bin_: Bin, resolution: float, index: int, holds: int, most: int) -> "Closed":
        """Return these bins and `bin_`, up to `index`, which opens. Its last value stands for `holds` bins more."""
        # Bins older than the window are let go; one older is kept, whose value the first may hold.
        oldest = index - most - 1
        since = self.since
        if since < oldest:
            heard = (at for at, steps in enumerate(self.least, self.first) if steps is not None)
            since = next((at for at in heard if at >= oldest), bin_.index)
        first = max(since, oldest)
        empty = index - bin_.index - 1
        held = min(empty, holds)
        # After a long silence no more is written down than is kept.
        unknown = min(empty - held, index - first)
        after = (bin_.last * resolution,) * held + (None,) * unknown
        unheard = (None,) * len(after)
        old = len(self.means)
        # So many entries at the front are older than `first`: of those that were closed before, and of the new ones.
        gone = old + 1 + len(after) - (index - first)
        cut = max(gone - old, 0)
        means = (bin_.total / bin_.count * resolution, *after)
        closed = Closed(
            since,
            first,
            index if unknown else max(self.whole_from, first),
            self.means[gone:] + means[cut:],
            self.least[gone:] + (bin_.least, *unheard)[cut:],
            self.greatest[gone:] + (bin_.greatest, *unheard)[cut:],
        )
        if "sums" in self.__dict__ and not cut:
            # What was summed once is carried on, not summed anew.
            more = _running(self.sums[-1], means, bin_.index)
            closed.__dict__["sums"] = self.sums[gone:] + tuple(more)
        return closed

    @cached_property
    def sums(self) -> tuple[Running, ...]:
        """The running sums before each bin, and before the open one; x counts bins since boot."""
        return ((0, 0, 0), *_running((0, 0, 0), self.means, self.first))

    @cached_property
    def least_from(self) -> tuple[float, ...]:
        """The least of each bin and all after it; infinite where nothing was heard."""
        steps = (inf if least is None else least for least in reversed(self.least))
        return tuple(accumulate(steps, min))[::-1]

    @cached_property
    def greatest_from(self) -> tuple[float, ...]:
        """The greatest of each bin and all after it; minus infinite where nothing was heard."""
        steps = (-inf if greatest is None else greatest for greatest in reversed(self.greatest))
        return tuple(accumulate(steps, max))[::-1]


_NOTHING = Closed(0, 0, 0)


class Window(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """The bins of one channel; immutable: `push` gives a new one, which shares the closed bins with the old.

    An empty bin holds the value before it, until that is `max_age_ns` old; then it is unknown. Spans are whole bins, the
    open one included; up to two hours in fine bins, beyond in coarse ones.
    """

    max_age_ns: int
    resolution: float
    last_ns: int | None = None
    fine: Closed = _NOTHING
    open_fine: Bin | None = None
    coarse: Closed = _NOTHING
    open_coarse: Bin | None = None

    @classmethod
    def empty(cls, max_age_ns: int, resolution: float) -> Self:
        """Return a window that heard nothing yet; `resolution` is one step in the channel's unit."""
        return cls(max_age_ns, resolution)

    def push(self, steps: int, boottime_ns: int) -> "Window":
        """Return the window after a good value of `steps` at `boottime_ns`. A value of the past falls into the open bin."""
        last_ns = self.last_ns
        if last_ns is None or boottime_ns > last_ns:
            last_ns = boottime_ns
        fine, open_fine = self._push(self.fine, self.open_fine, steps, boottime_ns, BIN_NS, FINE_BINS)
        coarse, open_coarse = self._push(
            self.coarse, self.open_coarse, steps, boottime_ns, COARSE_NS, COARSE_BINS
        )
        return Window(self.max_age_ns, self.resolution, last_ns, fine, open_fine, coarse, open_coarse)

    def _push(
        self, closed: Closed, open_bin: Bin | None, steps: int, boottime_ns: int, width: int, most: int
    ) -> tuple[Closed, Bin]:
        index = boottime_ns // width
        if open_bin is None:
            return Closed(index, index, index), Bin(index, 1, steps, steps, steps, steps)
        if index <= open_bin.index:
            return closed, open_bin.add(steps)
        # Of a closed bin the exact time of its last value is gone: it is taken to be the bin's end, the latest it can have been.
        closed = closed.close(open_bin, self.resolution, index, 1 + self.max_age_ns // width, most)
        return closed, Bin(index, 1, steps, steps, steps, steps)

    def once(self, look: "Callable[[Window, int], Said]", now_ns: int) -> Said:
        """Return `look(self, now_ns)`, which may depend on `now_ns` by its fine bin alone: while that and the window are the
        same, so is the result, and the newest one is kept. It is no part of what the window is, nor of its encoding.
        """
        bin_, kept = now_ns // BIN_NS, self.__dict__.get("_kept")
        if kept is None or kept[0] is not look or kept[1] != bin_:
            kept = self.__dict__["_kept"] = look, bin_, look(self, now_ns)
        said: Said = kept[2]
        return said

    def heard_since_ns(self) -> int | None:
        """Return the start of the oldest fine bin that is kept and heard something, or None where nothing was heard."""
        return None if self.open_fine is None else self.fine.since * BIN_NS

    def series(self, now_ns: int, span_ns: int) -> list[float | None]:
        """Return the bins' means over the span, oldest first, in the channel's unit; None where a bin is unknown."""
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is None:
            return [None] * (newest + 1 - first)
        values: list[float | None] = [None] * (min(closed.first, newest + 1) - first)
        values += closed.means[max(first - closed.first, 0) :]
        if first <= open_bin.index:
            values.append(open_bin.total / open_bin.count * self.resolution)
        empty = newest - max(open_bin.index, first - 1)
        stands = min(max(self._held_until(width) - newest + empty, 0), empty)
        values += [open_bin.last * self.resolution] * stands
        values += [None] * (empty - stands)
        return values

    def mean(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the mean of the bins' means over the span; None where any bin is unknown (`whole`), or the newest is."""
        sums = self._sums(now_ns, span_ns, whole=whole)
        return None if sums is None else sums.total / EXACT / sums.bins

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
        sums = self._sums(now_ns, span_ns, whole=whole)
        if sums is None or sums.bins < 2:
            return None
        above = sums.bins * sums.moment - sums.places * sums.total
        below = sums.bins * sums.places_squared - sums.places * sums.places
        width_ns = BIN_NS if span_ns <= FINE_NS else COARSE_NS
        return above / below / EXACT * (60 * SECOND / width_ns)

    def spread(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the standard deviation of the bins' means over the span; None as in `slope`."""
        sums = self._sums(now_ns, span_ns, whole=whole)
        if sums is None or sums.bins < 2:
            return None
        # Whole numbers to the last division, so nothing cancels out.
        squared = (sums.bins * sums.squares - sums.total * sums.total) / (sums.bins * sums.bins)
        return sqrt(squared) / EXACT

    def _sums(self, now_ns: int, span_ns: int, *, whole: bool) -> Sums | None:
        """Return the sums over the known bins of a span, x from its first on; None where `whole` or the newest bin being unknown
        forbids it.
        """
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is not None and closed.whole_from <= first <= open_bin.index:
            held = newest - open_bin.index
            if not held or newest <= self._held_until(width):
                # The ordinary case: every bin of the span is known, and what is closed was summed before.
                before, after = closed.sums[first - closed.first], closed.sums[-1]
                exact = int(open_bin.total / open_bin.count * self.resolution * EXACT)
                total = after[0] - before[0] + exact
                moment = after[1] - before[1] + open_bin.index * exact
                squares = after[2] - before[2] + exact * exact
                if held:
                    exact = int(open_bin.last * self.resolution * EXACT)
                    total += held * exact
                    moment += sum(range(open_bin.index + 1, newest + 1)) * exact
                    squares += held * exact * exact
                bins = newest + 1 - first
                places = bins * (bins - 1) // 2
                squared = places * (2 * bins - 1) // 3
                return Sums(bins, total, moment - first * total, squares, places, squared)
        values = self.series(now_ns, span_ns)
        known = [at for at, value in enumerate(values) if value is not None]
        if values[-1] is None or (whole and len(known) < len(values)):
            return None
        squared = sum(place * place for place in known)
        return Sums(len(known), *_running((0, 0, 0), values)[-1], sum(known), squared)

    def _extreme(self, now_ns: int, span_ns: int, *, whole: bool, least: bool) -> float | None:
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is None or newest > self._held_until(width) or (whole and first < closed.whole_from):
            return None
        if first > open_bin.index:
            return open_bin.last * self.resolution
        pick, steps = (min, open_bin.least) if least else (max, open_bin.greatest)
        if not closed.means or first == open_bin.index:
            return steps * self.resolution
        at = max(first - closed.first, 0)
        value = pick(steps, (closed.least_from if least else closed.greatest_from)[at]) * self.resolution
        held = closed.means[at] if closed.least[at] is None else None
        return value if held is None else pick(value, held)

    def _within(self, now_ns: int, span_ns: int) -> tuple[Closed, Bin | None, int, int, int]:
        """Return the closed bins and the open one, the span's first bin and its newest, and the bins' width. A moment before
        the newest value counts as that value's.
        """
        if span_ns <= FINE_NS:
            closed, open_bin, width = self.fine, self.open_fine, BIN_NS
        else:
            closed, open_bin, width = self.coarse, self.open_coarse, COARSE_NS
        newest = now_ns // width
        if open_bin is not None and newest < open_bin.index:
            newest = open_bin.index
        return closed, open_bin, newest + 1 - (-(-span_ns // width) or 1), newest, width

    def _held_until(self, width: int) -> int:
        """Return the last bin at whose start the newest value still stands."""
        return ((self.last_ns or 0) + self.max_age_ns) // width


def steepest(span_ns: int) -> float:
    """Return the greatest slope that there can be over a span, per minute, of values within a range of 1: by least squares
    that of a leap through the whole range in the middle, which is half as steep again as a straight line.
    """
    width_ns = BIN_NS if span_ns <= FINE_NS else COARSE_NS
    count = -(-span_ns // width_ns)
    offsets = [place - (count - 1) / 2 for place in range(count)]
    below = sum(offset * offset for offset in offsets)
    return sum(offset for offset in offsets if offset > 0) / below * (60 * SECOND / width_ns)
