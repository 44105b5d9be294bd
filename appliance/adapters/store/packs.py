"""Owns how a stretch of what was heard becomes one blob and back: column by column, differences, compressed.

Such a row takes a fifth of what it takes as a row of a table, and a thousand of them one call. Without numpy, which a home without a
model does not load. Never in here: connections, or when something is written.
"""

import sqlite3
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, compress
from operator import eq, not_, sub
from typing import NamedTuple

import msgspec

ROWS = 4096
"""Rows of a pack, at most."""
LEVEL = 6
"""Of zlib: on some tens of kilobytes of columns a millisecond or two, during which other threads run."""
FORMAT = 1
"""The first byte of a blob."""
DECIMALS = 5
"""Fractions of up to so many places, less one, become whole numbers: most of what sensors say."""
EXACT = float(1 << 53)
"""Below it each whole number is a float."""
COLUMNS = 11
"""Of a pack, in the order in which `pack` writes them."""

Numbered = tuple[int, int, int, int, int, float | str, int, str | None, int]
"""seq, stream, boot, boot time and wall time in ns, value, quality, reason, flags."""

_DECIMAL, _INTEGER, _WORD, _FLOAT = range(4)
_TAGS = {float: _FLOAT, int: _INTEGER, str: _WORD}
_LENGTH = struct.Struct("<I")
_COLUMN = struct.Struct("<IB?qq")
"""Rows, bytes a row, whether they are differences, the least, and the value before the first difference."""
_INT64 = 1 << 63
_ALL_DECIMAL = (0, False, _DECIMAL, 0)
"""What `_COLUMN` says of the tags of a pack in which all is decimal, without the number of rows."""


class Columns(NamedTuple):
    """What was heard, one element a row in each: times in ns, values as `journal.storable` returns them."""

    stream: Sequence[int]
    boottime: Sequence[int]
    wall: Sequence[int]
    value: Sequence[float | str]
    quality: Sequence[int]
    reason: Sequence[str | None]
    flags: Sequence[int]

    def part(self, start: int, end: int) -> "Columns":
        """Return the rows from `start` on and before `end`."""
        rows = slice(start, end)
        return Columns(
            self.stream[rows], self.boottime[rows], self.wall[rows], self.value[rows], self.quality[rows], self.reason[rows],
            self.flags[rows],
        )  # fmt: skip

    def after(self, before: "Columns") -> "Columns":
        """Return all rows of `before`, and then these."""
        return Columns(
            [*before.stream, *self.stream], [*before.boottime, *self.boottime], [*before.wall, *self.wall],
            [*before.value, *self.value], [*before.quality, *self.quality], [*before.reason, *self.reason],
            [*before.flags, *self.flags],
        )  # fmt: skip


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What a pack has once. `reasons` and `words` are numbered from 1 and 0 on; `places`: of the decimals."""

    rows: int
    boot: int
    places: int
    reasons: tuple[str, ...]
    words: tuple[str, ...]


class Series(NamedTuple):
    """What was heard of a stream or more: wall times in ns, qualities, values."""

    wall: Sequence[int]
    quality: Sequence[int]
    value: Sequence[float | str]


_HEAD = msgspec.msgpack.Decoder(_Head)


def pack(boot: int, heard: Columns) -> bytes:
    """Return the blob of `heard`, of one row at least, all of the boot with this number."""
    stream, values, reasons = heard.stream, heard.value, heard.reason
    tags = list(map(_TAGS.__getitem__, map(type, values)))
    floats = [value for value in values if type(value) is float]
    whole, exact, places = _whole(floats)
    if floats:
        is_exact = iter(exact)
        tags = [_DECIMAL if tag == _FLOAT and next(is_exact) else tag for tag in tags]
    integers = [value for value in values if type(value) is int]
    said_words = [value for value in values if type(value) is str]
    numbered = {reason: number for number, reason in enumerate({*reasons} - {None}, 1)}
    words = {word: number for number, word in enumerate({*said_words})}
    said = msgspec.msgpack.encode(_Head(len(stream), boot, places, tuple(map(str, numbered)), tuple(words)))
    columns = (
        _column(heard.boottime, differ=True),
        _column(list(map(sub, heard.wall, heard.boottime)), differ=True),
        _column(stream),
        _column(heard.quality),
        _column(heard.flags),
        _column([numbered[reason] if reason is not None else 0 for reason in reasons] if numbered else bytes(len(stream))),
        _column(tags),
        # Of one stream after the other: what follows each other is alike.
        _column(_sorted(list(compress(whole, exact)), _those(stream, tags, _DECIMAL)), differ=True),
        _column(_sorted(integers, _those(stream, tags, _INTEGER)), differ=True),
        _column([words[word] for word in said_words]),
        _column(_bits(list(compress(floats, map(not_, exact))))),
    )  # fmt: skip
    return bytes([FORMAT]) + zlib.compress(b"".join((_LENGTH.pack(len(said)), said, *columns)), LEVEL)


class Pack:
    """A stretch of what was heard in one boot; row `i` has the number `first + i`. Sequences have one element a row, times are in ns."""

    def __init__(self, first: int, blob: bytes) -> None:
        """Read a blob. Raises sqlite3.DatabaseError where it is none any more."""
        self.first = first
        try:
            self._read(blob)
        except (zlib.error, msgspec.MsgspecError, struct.error, ValueError, IndexError) as broken:
            raise sqlite3.DatabaseError(f"the readings from {first} on can't be read: {broken}") from None

    def _read(self, blob: bytes) -> None:
        if blob[0] != FORMAT:
            raise ValueError(f"they have the format {blob[0]} of a newer version")
        self._data = data = zlib.decompress(memoryview(blob)[1:])
        start = _LENGTH.size + _LENGTH.unpack_from(data)[0]
        self._head = _HEAD.decode(data[_LENGTH.size : start])
        self._places = _places(data, start)
        self.boot, self._rows = self._head.boot, self._head.rows
        counts = [column[1] for column in self._places]
        if counts[:7] != [self._rows] * 7 or sum(counts[7:]) != self._rows:
            raise ValueError(f"{self._rows} rows are said, {counts} are there")

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def boottime(self) -> Sequence[int]:
        """Boot times."""
        return self._column(0)

    @cached_property
    def wall(self) -> Sequence[int]:
        """Wall times."""
        return [ahead + boottime for ahead, boottime in zip(self._column(1), self.boottime, strict=True)]

    @cached_property
    def stream(self) -> Sequence[int]:
        """Numbers of streams."""
        return self._column(2)

    @cached_property
    def value(self) -> Sequence[float | str]:
        """Values, as what they were."""
        tags, scale = self._column(6), 10.0**self._head.places
        words = [self._head.words[number] for number in self._column(9)]
        whole = _unsorted(self._column(7), _those(self.stream, tags, _DECIMAL))
        given: tuple[Iterator[float | str], ...] = (
            iter([one / scale for one in whole]),
            iter(_unsorted(self._column(8), _those(self.stream, tags, _INTEGER))),
            iter(words),
            iter(_floats(self._column(10))),
        )
        only = {*tags}
        if len(only) == 1:
            return list(given[only.pop()])
        return [next(given[tag]) for tag in tags]

    def of(self, streams: Sequence[int]) -> list[int]:
        """Return the indices of the rows of these streams."""
        return list(compress(range(len(self)), map({*streams}.__contains__, self.stream)))

    def series(self, streams: Sequence[int]) -> Series:
        """Return the rows of these streams, decoding no more than that takes."""
        rows = self.of(streams)
        if not rows:
            return Series([], [], [])
        ahead, boottime = self._column(1), self.boottime
        wall = [ahead[row] + boottime[row] for row in rows]
        quality = self._column(3)
        of_these = {self.stream[row] for row in rows}
        if len(of_these) == 1 and self._places[6][2:] == _ALL_DECIMAL:
            # Of one stream after the other: it lies in one piece.
            begin = sum(map(of_these.pop().__gt__, self.stream))
            scale = 10.0**self._head.places
            value: list[float | str] = [one / scale for one in self._column(7)[begin : begin + len(rows)]]
        else:
            value = [self.value[row] for row in rows]
        return Series(wall, [quality[row] for row in rows], value)

    def columns(self) -> Columns:
        """Return all of it, as it was packed."""
        known = (None, *self._head.reasons)
        reasons = [known[number] for number in self._column(5)]
        return Columns(
            self.stream, self.boottime, self.wall, self.value, self._column(3), reasons, self._column(4)
        )

    def numbered(self) -> list[Numbered]:
        """Return all of it row by row, with numbers and the boot."""
        stream, *others = self.columns()
        numbers = range(self.first, self.first + len(self))
        return list(zip(numbers, stream, [self.boot] * len(self), *others, strict=True))

    def _column(self, number: int) -> list[int]:
        return _unfolded(self._data, *self._places[number])


def _whole(floats: Sequence[float]) -> tuple[list[int], Sequence[bool], int]:
    """Return `floats` times a power of ten as whole numbers, which of them come back from that bit by bit, and the power."""
    bits = _bits(floats)
    most = max(map(abs, floats), default=0.0)
    best: tuple[list[int], Sequence[bool], int] = [], [], 0
    for places in range(DECIMALS):
        scale = 10.0**places
        scaled = [value * scale for value in floats]
        if most * scale >= EXACT:
            scaled = [value if abs(value) < EXACT else 0.0 for value in scaled]
        whole = list(map(round, scaled))
        exact = list(map(eq, bits, _bits([one / scale for one in whole])))
        if not places or sum(exact) > sum(best[1]):
            best = whole, exact, places
        if all(exact):
            break
    return best


def _bits(floats: Sequence[float]) -> Sequence[int]:
    return array("q", array("d", floats).tobytes())


def _floats(bits: Sequence[int]) -> Sequence[float]:
    return array("d", array("q", bits).tobytes())


def _those(stream: Sequence[int], tags: Sequence[int], tag: int) -> list[int]:
    return list(compress(stream, map(tag.__eq__, tags)))


def _order(stream: Sequence[int]) -> list[int]:
    return sorted(range(len(stream)), key=stream.__getitem__)


def _sorted(values: Sequence[int], stream: Sequence[int]) -> list[int]:
    return [values[place] for place in _order(stream)]


def _unsorted(values: Sequence[int], stream: Sequence[int]) -> list[int]:
    found = [0] * len(values)
    for place, value in zip(_order(stream), values, strict=True):
        found[place] = value
    return found


def _column(values: Sequence[int], *, differ: bool = False) -> bytes:
    """Return what `_COLUMN` says, and how far each is above the least: first the lowest byte of each, then the next, as many as the
    largest has. `differ`: of the differences between neighbours, unless these are beyond all bounds.
    """
    given, before = values, 0
    if differ and len(values) > 1:
        steps = list(map(sub, values[1:], values[:-1]))
        least = min(steps)
        if -_INT64 <= least < _INT64 and max(steps) - least < 2 * _INT64:
            given, before = [least, *steps], values[0] - least
            if not -_INT64 <= before < _INT64:
                given, before = values, 0
    differs = given is not values
    least = min(given, default=0)
    most = max(given, default=0) - least
    width = (most.bit_length() + 7) // 8
    planes = b""
    if width:
        raw = _little(array("Q", [value - least for value in given])).tobytes()
        planes = b"".join([raw[place::8] for place in range(width)])
    return _COLUMN.pack(len(given), width, differs, least, before) + planes


def _places(data: bytes, start: int) -> list[tuple[int, int, int, bool, int, int]]:
    """Return where each column's bytes begin, and what `_COLUMN` says of it. Raises ValueError or struct.error."""
    found = []
    while start < len(data):
        count, width, differs, least, before = _COLUMN.unpack_from(data, start)
        found.append((start + _COLUMN.size, count, width, differs, least, before))
        start += _COLUMN.size + count * width
    if start != len(data) or len(found) != COLUMNS:
        raise ValueError("they are cut short")
    return found


def _unfolded(
    data: bytes, start: int, count: int, width: int, differs: bool, least: int, before: int  # noqa: FBT001  out of a struct
) -> list[int]:  # fmt: skip
    if width > 1:
        raw = bytearray(8 * count)
        for place in range(width):
            raw[place::8] = data[start + place * count : start + (place + 1) * count]
        given: Sequence[int] = _little(array("Q", bytes(raw)))
    else:
        given = data[start : start + count] if width else bytes(count)
    values = list(given) if least == 0 else [value + least for value in given]
    if differs and values:
        values[0] += before
        return list(accumulate(values))
    return values


def _little(values: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        values.byteswap()
    return values
