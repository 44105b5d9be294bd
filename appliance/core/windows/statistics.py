"""Owns the statistics over a span of bins, in whole numbers to the last division: the same bits however they are come by.

Never in here: where the bins are kept.
"""

from collections.abc import Iterable, Sequence
from math import nan, sqrt

import msgspec

from appliance.core.clock import SECOND
from appliance.core.windows.widths import BIN_NS, COARSE_NS, EXACT, FINE_NS, a_minute

Running = tuple[int, int, int]
"""The sums of v, x v and v² of some bins, x counted since boot."""


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


def running(means: Iterable[float], place: int) -> Running:
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


def over(values: Sequence[float | None], span_ns: int) -> Ahead:
    """Return what statistics over `values`, one a bin, rest on besides the newest of them, which counts as known."""
    known = [at for at, value in enumerate(values[:-1]) if value is not None]
    total, moment, squares = running((nan if value is None else value for value in values[:-1]), 0)
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
        a_minute(span_ns),
    )


def steepest(span_ns: int) -> float:
    """Return the greatest slope that there can be over a span, per minute, of values within a range of 1: by least squares
    that of a leap through the whole range in the middle, which is half as steep again as a straight line.
    """
    width_ns = BIN_NS if span_ns <= FINE_NS else COARSE_NS
    count = -(-span_ns // width_ns)
    offsets = [place - (count - 1) / 2 for place in range(count)]
    below = sum(offset * offset for offset in offsets)
    return sum(offset for offset in offsets if offset > 0) / below * (60 * SECOND / width_ns)
