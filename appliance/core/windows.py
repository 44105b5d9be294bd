"""Owns the bins of one channel: what was good over the last day, in bounded memory, and the statistics over it.

Bins are anchored at boot and count whole steps of the quantity's resolution, so they do not depend on a sensor's rate, and
give the same bits for the same instants in training, on the device and in replay. Never in here: units, or trust.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from math import fsum, inf, sqrt
from operator import mul
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
        least, greatest = self.least, self.greatest
        return Bin(
            self.index,
            self.count + 1,
            self.total + steps,
            min(least, steps),
            max(greatest, steps),
            steps,
        )


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
        return Closed(
            since,
            first,
            index if unknown else max(self.whole_from, first),
            self.means[gone:] + (bin_.total / bin_.count * resolution, *after)[cut:],
            self.least[gone:] + (bin_.least, *unheard)[cut:],
            self.greatest[gone:] + (bin_.greatest, *unheard)[cut:],
        )

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
        known, _ = self._known(now_ns, span_ns, whole=whole)
        return fsum(known) / len(known) if known else None

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
        known, places = self._known(now_ns, span_ns, whole=whole)
        if len(known) < 2:
            return None
        offsets, below = _offsets(len(known)) if places is None else _centred(places)
        level = fsum(known) / len(known)
        above = fsum([offset * (value - level) for offset, value in zip(offsets, known, strict=True)])
        width_ns = BIN_NS if span_ns <= FINE_NS else COARSE_NS
        return above / below * (60 * SECOND / width_ns)

    def spread(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the standard deviation of the bins' means over the span; None as in `slope`."""
        known, _ = self._known(now_ns, span_ns, whole=whole)
        if len(known) < 2:
            return None
        level = fsum(known) / len(known)
        off = [value - level for value in known]
        # Multiplied, not raised to a power: that is left to each machine's library, and may differ in the last bit.
        return sqrt(fsum(map(mul, off, off)) / len(known))

    def _known(
        self, now_ns: int, span_ns: int, *, whole: bool
    ) -> tuple[Sequence[float], Sequence[int] | None]:
        """Return the known means of a span and their places in it (None: all of them); no means where `whole` or the newest
        bin being unknown forbids it.
        """
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is not None and closed.whole_from <= first <= open_bin.index:
            empty = newest - open_bin.index
            if not empty or newest <= self._held_until(width):
                # The ordinary case: no bin of the span is unknown.
                means = closed.means[first - closed.first :]
                held = (open_bin.last * self.resolution,) * empty
                return (*means, open_bin.total / open_bin.count * self.resolution, *held), None  # type: ignore[arg-type]
        values = self.series(now_ns, span_ns)
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            return known, None
        if whole or values[-1] is None:
            return (), None
        return known, [at for at, value in enumerate(values) if value is not None]

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


@lru_cache(maxsize=FINE_BINS)
def _offsets(count: int) -> tuple[tuple[float, ...], float]:
    # The ordinary case of a slope: all bins are known, so their places are the same each time.
    return _centred(range(count))


def _centred(places: Sequence[int]) -> tuple[tuple[float, ...], float]:
    """Return how far each place lies from their mean, and the sum of the squares."""
    middle = sum(places) / len(places)
    offsets = tuple(place - middle for place in places)
    return offsets, fsum(offset * offset for offset in offsets)
