"""Owns the window of one channel: its open bin, how a value falls into it, and what is asked over a span of time.

Never in here: units, or trust.
"""

from collections.abc import Callable, Hashable
from math import inf
from typing import Self, TypeVar

import msgspec

from appliance.core.windows.closed import Bin, Closed
from appliance.core.windows.statistics import Ahead, over
from appliance.core.windows.widths import (
    A_COARSE,
    BIN_NS,
    COARSE_BINS,
    COARSE_NS,
    EXACT,
    FINE_BINS,
    FINE_NS,
    MAX_ASKED,
    a_minute,
)

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

    def edge(self, now_ns: int, span_ns: int, *, least: bool) -> float:
        """Return the least (or greatest) value in the span but for the open fine bin, which must be the newest; infinite (or minus
        infinite) where that is all of it. It stays what it is while that bin is open.
        """
        nothing = inf if least else -inf
        closed, open_bin, first, _, _ = self._within(now_ns, span_ns)
        if open_bin is None or first > open_bin.index:
            return nothing
        pick = min if least else max
        values = [nothing]
        if span_ns > FINE_NS and self.before is not None:
            values.append((self.before.least if least else self.before.greatest) * self.resolution)
        if closed.means and first < open_bin.index:
            values.append(closed.edge(first, least=least) * self.resolution)
            held = closed.held(first)
            if held is not None:
                values.append(held)
        return pick(values)

    def opened(self) -> tuple[float, float, float]:
        """Return the mean, the least and the greatest value of the open fine bin, in the channel's unit. Something must have been heard."""
        open_bin, resolution = self._open(BIN_NS), self.resolution
        mean = open_bin.total / open_bin.count * resolution
        return mean, open_bin.least * resolution, open_bin.greatest * resolution

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
        return over(values, span_ns), int((values[-1] or 0.0) * EXACT)

    def _ahead(self, span_ns: int, now_ns: int) -> Ahead:
        closed, open_bin, first, newest, _ = self._within(now_ns, span_ns)
        if open_bin is None or first < closed.whole_from:
            return over(self.series(now_ns, span_ns), span_ns)
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
            a_minute(span_ns),
        )

    def _extreme(self, now_ns: int, span_ns: int, *, whole: bool, least: bool) -> float | None:
        closed, open_bin, first, newest, width = self._within(now_ns, span_ns)
        if open_bin is None or newest > self._held_until(width) or (whole and first < closed.whole_from):
            return None
        if first > open_bin.index:
            return open_bin.last * self.resolution
        edge = self.edge(now_ns, span_ns, least=least)
        _, low, high = self.opened()
        return min(low, edge) if least else max(high, edge)

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
