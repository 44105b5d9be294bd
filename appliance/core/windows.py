"""Owns the bins of one channel: what was good over the last day, in bounded memory, and the statistics over it.

Bins are anchored at boot and count whole steps of the quantity's resolution, so they do not depend on a sensor's rate, and
give the same bits for the same instants in training, on the device and in replay. Never in here: units, or trust.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property
from math import inf, nan, sqrt
from struct import pack, unpack_from
from typing import Any, Self, TypeVar

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
A_COARSE = COARSE_NS // BIN_NS
"""Fine bins of a coarse one."""
COARSE_BINS = 144
"""Coarse bins that are kept: a day."""
MAX_ASKED = 64
"""So much is kept worked out of one channel."""
EXACT = 2.0**96
"""Sums of means are whole numbers of this fraction of a unit: no bit of a mean above 1e-12 is lost, so a sum is the same in
whatever order, and in whatever portions, it is built."""
KEPT_NS = COARSE_BINS * COARSE_NS
"""Longer spans there are none."""


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
            steps if steps < least else least,  # noqa: FURB136  a call less, at each reading
            steps if steps > greatest else greatest,  # noqa: FURB136
            steps,
        )

    def then(self, later: "Bin", index: int) -> "Bin":
        """Return the bin number `index` of a greater width, of which this one holds the first values and `later` the rest."""
        return Bin(
            index,
            self.count + later.count,
            self.total + later.total,
            min(self.least, later.least),
            max(self.greatest, later.greatest),
            later.last,
        )


class Ahead(msgspec.Struct, frozen=True, gc=False):
    """What a span's statistics rest on but for its newest bin, so that they follow from that one's mean alone: `exact`, in
    1/`EXACT` of a unit. While no bin closes, nothing of this changes.

    Over its `bins` known bins, the newest counted: the sums of their places x (from the span's first on) and of x²; over all but
    the newest: the sums of their means v, of x v and of v². `place` is the newest's; `whole`: no bin is unknown.
    """

    whole: bool
    bins: int
    total: int
    moment: int
    squares: int
    place: int
    places: int
    places_squared: int
    a_minute: float

    def mean(self, exact: int) -> float:
        """Return the mean of the bins' means."""
        return (self.total + exact) / EXACT / self.bins

    def mean_by(self, around: int) -> tuple[float, float]:
        """Return the mean as a line in d, by how much the newest bin's mean lies above `around`: (its value at 0, its rise)."""
        return self.mean(around), 1 / self.bins

    def slope_by(self, around: int) -> tuple[float, float] | None:
        """Return the slope as a line in d, as `mean_by` does; None as in `slope`."""
        at_zero = self.slope(around)
        if at_zero is None:
            return None
        above = self.bins * self.place - self.places
        return at_zero, above / (self.bins * self.places_squared - self.places**2) * self.a_minute

    def variance_by(self, around: int) -> tuple[float, float, float] | None:
        """Return the square of the spread as a + d (b + c d), d as in `mean_by`; None as in `slope`."""
        bins, total = self.bins, self.total + around
        if bins < 2:
            return None
        below = bins * bins
        return (
            (bins * (self.squares + around * around) - total * total) / below / EXACT / EXACT,
            2 * (bins * around - total) / below / EXACT,
            (bins - 1) / below,
        )

    def slope(self, exact: int) -> float | None:
        """Return their least-squares slope per minute; None where fewer than two bins are known."""
        bins, places = self.bins, self.places
        if bins < 2:
            return None
        above = bins * (self.moment + self.place * exact) - places * (self.total + exact)
        return above / (bins * self.places_squared - places * places) / EXACT * self.a_minute

    def spread(self, exact: int) -> float | None:
        """Return their standard deviation; None as in `slope`."""
        bins = self.bins
        if bins < 2:
            return None
        # Whole numbers to the last division, so nothing cancels out.
        total = self.total + exact
        return sqrt((bins * (self.squares + exact * exact) - total * total) / (bins * bins)) / EXACT


Running = tuple[int, int, int]
"""The sums of v, x v and v² of some bins, x counted since boot."""
_NONE: Running = (0, 0, 0)
_UNKNOWN = pack("d", nan)
_UNHEARD_LEAST = pack("d", inf)
_UNHEARD_GREATEST = pack("d", -inf)
_WIDE = 8
"""Bytes of an entry of a column."""


def _running(means: Iterable[float], place: int) -> Running:
    """Return the sums of `means`, the first of which is at `place`; what is unknown (not a number) adds nothing."""
    total = moment = squares = 0
    for mean in means:
        if mean == mean:  # noqa: PLR0124  a number
            exact = int(mean * EXACT)
            total += exact
            moment += place * exact
            squares += exact * exact
        place += 1
    return total, moment, squares


class Closed(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """The bins of one width that nothing falls into any more: one entry a bin, from bin `first` to before the open one.

    Columns are packed float64, since a home keeps many of them: a third of what objects take. `means` are in the channel's unit:
    a bin's mean; where it heard nothing the value before it, until that is too old; then not a number. `least` and
    `greatest` are in steps (whole; exact up to 2**53), infinite and minus infinite where it heard nothing. From bin
    `whole_from` on every mean is known; `since` is the oldest bin that is kept and heard something.
    """

    since: int
    first: int
    whole_from: int
    means: bytes = b""
    least: bytes = b""
    greatest: bytes = b""

    def close(self, bin_: Bin, resolution: float, index: int, holds: int, most: int) -> "Closed":
        """Return these bins and `bin_`, up to `index`, which opens. Its last value stands for `holds` bins more."""
        # Bins older than the window are let go; one older is kept, whose value the first may hold.
        oldest = index - most - 1
        since = self.since
        if since < oldest:
            heard = (at for at, steps in enumerate(_column(self.least), self.first) if steps != inf)
            since = next((at for at in heard if at >= oldest), bin_.index)
        first = max(since, oldest)
        empty = index - bin_.index - 1
        held = min(empty, holds)
        # After a long silence no more is written down than is kept.
        unknown = min(empty - held, index - first)
        more = held + unknown
        old = len(self)
        # So many entries at the front are older than `first`: of those that were closed before, and of the new ones.
        gone = old + 1 + more - (index - first)
        cut, away = _WIDE * max(gone - old, 0), _WIDE * gone
        means = pack("d", bin_.total / bin_.count * resolution)
        if more:
            means += pack("d", bin_.last * resolution) * held + _UNKNOWN * unknown
        closed = Closed(
            since,
            first,
            index if unknown else max(self.whole_from, first),
            self.means[away:] + means[cut:],
            self.least[away:] + (pack("d", bin_.least) + _UNHEARD_LEAST * more)[cut:],
            self.greatest[away:] + (pack("d", bin_.greatest) + _UNHEARD_GREATEST * more)[cut:],
        )
        if not cut and (asked := self.__dict__.get("tails")):
            # What was asked for since the last bin closed is carried on, not summed anew.
            total, moment, squares = _running(_column(means), bin_.index)
            mine, carried = _column(self.means), {}
            for count, before in asked.items():
                if more < count <= index - first:
                    lost = _running(mine[old - count : old - count + 1 + more], self.first + old - count)
                    carried[count] = (
                        before[0] + total - lost[0], before[1] + moment - lost[1], before[2] + squares - lost[2]
                    )  # fmt: skip
            closed.__dict__["carried"] = carried
        return closed

    def __len__(self) -> int:
        return len(self.means) // _WIDE

    @cached_property
    def kept(self) -> dict[Hashable, Any]:
        """What was worked out of these bins, and of the coarse ones that were beside them, by what was asked."""
        return {}

    @cached_property
    def tails(self) -> dict[int, Running]:
        """The sums of the newest so many bins, where they were asked for."""
        return {}

    @cached_property
    def carried(self) -> dict[int, Running]:
        """The same, where they were asked of the bins before these."""
        return {}

    def tail(self, first: int) -> Running:
        """Return the sums of all bins from `first` on; `first` is none before this one's."""
        count = self.first + len(self) - first
        if count <= 0:
            return _NONE
        found = self.tails.get(count)
        if found is None:
            found = self.carried.get(count) or _running(_column(self.means)[-count:], first)
            if len(self.tails) < MAX_ASKED:
                self.tails[count] = found
        return found

    @property
    def newest(self) -> float | None:
        """The newest bin's mean; None where it is unknown, or there is none."""
        mean: float = unpack_from("d", self.means, len(self.means) - _WIDE)[0] if self.means else nan
        return mean if mean == mean else None  # noqa: PLR0124  a number

    def series(self, first: int) -> list[float | None]:
        """Return the means of the bins from `first` on, or of all; None where one is unknown."""
        means = _column(self.means)[max(first - self.first, 0) :]
        return [mean if mean == mean else None for mean in means]  # noqa: PLR0124  a number

    def edge(self, first: int, *, least: bool) -> float:
        """Return the least (or greatest) of the bins from `first` on, or of all, in steps, which may be infinite: nothing was heard."""
        found: float | None = self.kept.get((first, least))
        if found is None:
            column = _column(self.least if least else self.greatest)[max(first - self.first, 0) :]
            found = min(column) if least else max(column)
            if len(self.kept) < MAX_ASKED:
                self.kept[(first, least)] = found
        return found

    def held(self, first: int) -> float | None:
        """Return the value that bin `first`, or the oldest, holds from the one before; None where it heard one, or nothing stands."""
        at = _WIDE * max(first - self.first, 0)
        if unpack_from("d", self.least, at)[0] != inf:
            return None
        mean: float = unpack_from("d", self.means, at)[0]
        return mean if mean == mean else None  # noqa: PLR0124  a number


def _column(packed: bytes) -> "memoryview[float]":
    return memoryview(packed).cast("d")


_NOTHING = Closed(0, 0, 0)

Asked = TypeVar("Asked", bound=Hashable)
Said = TypeVar("Said")


class Window(msgspec.Struct, frozen=True, array_like=True):
    """The bins of one channel; immutable: `push` gives a new one, which shares the closed bins with the old.

    An empty bin holds the value before it, until that is `max_age_ns` old; then it is unknown. Spans are whole bins, the
    open one included; up to two hours in fine bins, beyond in coarse ones. `before` is what the open coarse bin holds besides the
    open fine one.
    """

    max_age_ns: int
    resolution: float
    last_ns: int | None = None
    fine: Closed = _NOTHING
    open_fine: Bin | None = None
    coarse: Closed = _NOTHING
    before: Bin | None = None

    @classmethod
    def empty(cls, max_age_ns: int, resolution: float) -> Self:
        """Return a window that heard nothing yet; `resolution` is one step in the channel's unit."""
        return cls(max_age_ns, resolution)

    def push(self, steps: int, boottime_ns: int) -> "Window":
        """Return the window after a good value of `steps` at `boottime_ns`. A value of the past falls into the open bin."""
        open_fine, last_ns = self.open_fine, self.last_ns
        if last_ns is None or boottime_ns > last_ns:
            last_ns = boottime_ns
        index = boottime_ns // BIN_NS
        fine, coarse, before = self.fine, self.coarse, self.before
        if open_fine is None:
            at = boottime_ns // COARSE_NS
            fine, coarse = Closed(index, index, index), Closed(at, at, at)
        elif index <= open_fine.index:
            # Nearly every reading comes this way.
            opened = open_fine.add(steps)
            return Window(self.max_age_ns, self.resolution, last_ns, fine, opened, coarse, before)
        else:
            # Of a closed bin the exact time of its last value is gone: it is taken to be the bin's end, the latest it can have been.
            holds = 1 + self.max_age_ns // BIN_NS
            fine = fine.close(open_fine, self.resolution, index, holds, FINE_BINS)
            at, before = boottime_ns // COARSE_NS, self._coarse_bin(open_fine)
            if at > before.index:
                holds = 1 + self.max_age_ns // COARSE_NS
                coarse, before = coarse.close(before, self.resolution, at, holds, COARSE_BINS), None
        opened = Bin(index, 1, steps, steps, steps, steps)
        return Window(self.max_age_ns, self.resolution, last_ns, fine, opened, coarse, before)

    def _coarse_bin(self, open_fine: Bin) -> Bin:
        """Return the open coarse bin, which ends with `open_fine`."""
        index = open_fine.index // A_COARSE
        if self.before is not None:
            return self.before.then(open_fine, index)
        return Bin(
            index, open_fine.count, open_fine.total, open_fine.least, open_fine.greatest, open_fine.last
        )

    def heard_since_ns(self) -> int | None:
        """Return the start of the oldest fine bin that is kept and heard something, or None where nothing was heard."""
        return None if self.open_fine is None else self.fine.since * BIN_NS

    def series(self, now_ns: int, span_ns: int) -> list[float | None]:
        """Return the bins' means over the span, oldest first, in the channel's unit; None where a bin is unknown."""
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is None:
            return [None] * (newest + 1 - first)
        values: list[float | None] = [None] * (min(closed.first, newest + 1) - first)
        values += closed.series(first)
        if first <= open_bin.index:
            values.append(open_bin.total / open_bin.count * self.resolution)
        empty = newest - max(open_bin.index, first - 1)
        stands = min(max(self._held_until(width) - newest + empty, 0), empty)
        values += [open_bin.last * self.resolution] * stands
        values += [None] * (empty - stands)
        return values

    def mean(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the mean of the bins' means over the span; None where any bin is unknown (`whole`), or the newest is."""
        found = self._found(now_ns, span_ns)
        return None if found is None or (whole and not found[0].whole) else found[0].mean(found[1])

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
        found = self._found(now_ns, span_ns)
        return None if found is None or (whole and not found[0].whole) else found[0].slope(found[1])

    def spread(self, now_ns: int, span_ns: int, *, whole: bool = True) -> float | None:
        """Return the standard deviation of the bins' means over the span; None as in `slope`."""
        found = self._found(now_ns, span_ns)
        return None if found is None or (whole and not found[0].whole) else found[0].spread(found[1])

    def exact(self, span_ns: int) -> int:
        """Return the open bin's mean, as `ahead` of that span wants it. Something must have been heard."""
        return int(self.open_mean(span_ns) * EXACT)

    def open_mean(self, span_ns: int) -> float:
        """Return the open bin's mean, of the width that the span is made of. Something must have been heard."""
        open_bin = self._open(span_ns)
        return open_bin.total / open_bin.count * self.resolution

    def ahead(self, now_ns: int, span_ns: int) -> Ahead | None:
        """Return what statistics over the span rest on besides `exact`; None where the newest bin has heard nothing (yet).

        It stays what it is while the open bin is open.
        """
        return self.once(span_ns, Window._ahead, now_ns)

    def once(self, ask: Asked, work_out: "Callable[[Window, Asked, int], Said]", now_ns: int) -> Said | None:
        """Return `work_out(self, ask, now_ns)`, which must not look at the open bin's values: it is worked out once for as long as
        that bin is open. None where the newest bin has heard nothing (yet).
        """
        open_fine = self.open_fine
        if open_fine is None or now_ns // BIN_NS > open_fine.index:
            return None
        kept = self.fine.kept
        found: Said | None = kept.get(ask)
        if found is None:
            found = work_out(self, ask, now_ns)
            if len(kept) < MAX_ASKED:
                kept[ask] = found
        return found

    def edge(self, now_ns: int, span_ns: int, *, least: bool) -> float | None:
        """Return the least (or greatest) value in the span but for its newest bin, which must be the open one; None where that
        bin is all of it. It stays what it is while the open bin is open.
        """
        closed, open_bin, first, _, _ = self._within(now_ns, span_ns)
        if open_bin is None or not closed.means or first >= open_bin.index:
            return None
        value = closed.edge(first, least=least) * self.resolution
        held = closed.held(first)
        return value if held is None else min(value, held) if least else max(value, held)

    def extreme(self, span_ns: int, edge: float | None, *, least: bool) -> float:
        """Return the least (or greatest) of the open bin and `edge`. Something must have been heard."""
        open_bin = self._open(span_ns)
        value = (open_bin.least if least else open_bin.greatest) * self.resolution
        return value if edge is None else min(value, edge) if least else max(value, edge)

    def _open(self, span_ns: int) -> Bin:
        if self.open_fine is None:
            raise ValueError("nothing was heard")
        return self.open_fine if span_ns <= FINE_NS else self._coarse_bin(self.open_fine)

    def _found(self, now_ns: int, span_ns: int) -> tuple[Ahead, int] | None:
        """Return what statistics over the span follow from; None where its newest bin is unknown."""
        ahead = self.ahead(now_ns, span_ns)
        if ahead is not None:
            return ahead, self.exact(span_ns)
        # Nothing was heard in the newest fine bin: what was heard before stands, or it is unknown.
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is None or newest > self._held_until(width):
            return None
        if closed.whole_from <= first <= open_bin.index < newest:
            opened, stands = self.exact(span_ns), int(open_bin.last * self.resolution * EXACT)
            return self._summed(closed, open_bin.index, opened, stands, first, newest, span_ns), stands
        values = self.series(now_ns, span_ns)
        return _over(values, span_ns), int((values[-1] or 0.0) * EXACT)

    def _ahead(self, span_ns: int, now_ns: int) -> Ahead:
        closed, open_bin, first, newest, _ = self._within(now_ns, span_ns)
        if open_bin is None or first < closed.whole_from:
            return _over(self.series(now_ns, span_ns), span_ns)
        return self._summed(closed, newest, 0, 0, first, newest, span_ns)

    def _summed(
        self, closed: Closed, index: int, opened: int, stands: int, first: int, newest: int, span_ns: int
    ) -> Ahead:
        """Return what a span of known bins rests on: what is closed was summed before; in bin `index` lies `opened`, from there to
        before the newest `stands`.
        """
        summed = closed.tail(first)
        held = max(newest - index - 1, 0)
        total = summed[0] + opened + held * stands
        moment = summed[1] + index * opened + sum(range(index + 1, newest)) * stands
        bins = newest + 1 - first
        places = bins * (bins - 1) // 2
        return Ahead(
            True,
            bins,
            total,
            moment - first * total,
            summed[2] + opened * opened + held * stands * stands,
            bins - 1,
            places,
            places * (2 * bins - 1) // 3,
            _a_minute(span_ns),
        )

    def _extreme(self, now_ns: int, span_ns: int, *, whole: bool, least: bool) -> float | None:
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is None or newest > self._held_until(width) or (whole and first < closed.whole_from):
            return None
        if first > open_bin.index:
            return open_bin.last * self.resolution
        return self.extreme(span_ns, self.edge(now_ns, span_ns, least=least), least=least)

    def _within(self, now_ns: int, span_ns: int) -> tuple[Closed, Bin | None, int, int, int]:
        """Return the closed bins and the open one, the span's first bin and its newest, and the bins' width. A moment before
        the newest value counts as that value's.
        """
        open_bin = self.open_fine
        if span_ns <= FINE_NS:
            closed, width = self.fine, BIN_NS
        else:
            closed, width = self.coarse, COARSE_NS
            open_bin = None if open_bin is None else self._coarse_bin(open_bin)
        newest = now_ns // width
        if open_bin is not None and newest < open_bin.index:
            newest = open_bin.index
        return closed, open_bin, newest + 1 - (-(-span_ns // width) or 1), newest, width

    def _held_until(self, width: int) -> int:
        """Return the last bin at whose start the newest value still stands."""
        return ((self.last_ns or 0) + self.max_age_ns) // width


def _over(values: Sequence[float | None], span_ns: int) -> Ahead:
    """Return what statistics over `values`, one a bin, rest on besides the newest of them, which counts as known."""
    known = [at for at, value in enumerate(values[:-1]) if value is not None]
    total, moment, squares = _running((nan if value is None else value for value in values[:-1]), 0)
    place = len(values) - 1
    return Ahead(
        len(known) == place,
        len(known) + 1,
        total,
        moment,
        squares,
        place,
        sum(known) + place,
        sum(at * at for at in known) + place * place,
        _a_minute(span_ns),
    )


def _a_minute(span_ns: int) -> float:
    """Return how many bins of a span are a minute."""
    return 60 * SECOND / (BIN_NS if span_ns <= FINE_NS else COARSE_NS)


def steepest(span_ns: int) -> float:
    """Return the greatest slope that there can be over a span, per minute, of values within a range of 1: by least squares
    that of a leap through the whole range in the middle, which is half as steep again as a straight line.
    """
    width_ns = BIN_NS if span_ns <= FINE_NS else COARSE_NS
    count = -(-span_ns // width_ns)
    offsets = [place - (count - 1) / 2 for place in range(count)]
    below = sum(offset * offset for offset in offsets)
    return sum(offset for offset in offsets if offset > 0) / below * (60 * SECOND / width_ns)
