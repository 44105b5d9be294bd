"""Owns the bins that nothing falls into any more: packed, and what was worked out of them.

Never in here: the open bin, but as it closes.
"""

from collections.abc import Hashable
from functools import cached_property
from math import inf, nan
from struct import pack, unpack_from
from typing import Any

import msgspec

from appliance.core.windows.statistics import Running, running
from appliance.core.windows.widths import MAX_ASKED

_NONE: Running = (0, 0, 0)
_UNKNOWN = pack("d", nan)
_UNHEARD_LEAST = pack("d", inf)
_UNHEARD_GREATEST = pack("d", -inf)
_WIDE = 8
"""Bytes of an entry of a column."""


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
            total, moment, squares = running(_column(means), bin_.index)
            mine, carried = _column(self.means), {}
            for count, before in asked.items():
                if more < count <= index - first:
                    lost = running(mine[old - count : old - count + 1 + more], self.first + old - count)
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
            found = self.carried.get(count) or running(_column(self.means)[-count:], first)
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
