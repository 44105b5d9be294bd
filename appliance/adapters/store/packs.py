"""Owns how a stretch of what was heard becomes one blob and back: column by column, differences, compressed.

Such a row takes a fifth of what it takes as a row of a table, and a thousand of them one call. Never in here: connections, or when
something is written.
"""

import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

ROWS = 4096
"""Rows of a pack, at most."""
LEVEL = 6
"""Of zlib: on a quarter of a megabyte of columns some milliseconds, during which other threads run."""
FORMAT = 1
"""The first byte of a blob."""
DECIMALS = 5
"""Fractions of up to so many places, less one, become whole numbers: most of what sensors say."""
EXACT = float(1 << 53)
"""Below it each whole number is a float."""


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


Numbered = tuple[int, int, int, int, int, float | str, int, str | None, int]
"""seq, stream, boot, boot time and wall time in ns, value, quality, reason, flags."""

COLUMNS = 11
"""Of a pack, in the order in which `pack` writes them."""
_DECIMAL, _INTEGER, _WORD, _FLOAT = range(4)
_TAGS = {float: _FLOAT, int: _INTEGER, str: _WORD}
_LENGTH = struct.Struct("<I")
_Integers = NDArray[np.int64]
_Floats = NDArray[np.float64]


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What a pack has once. `reasons` and `words` are numbered from 1 and 0 on; `places`: of the decimals."""

    rows: int
    boot: int
    boottime: int
    ahead: int
    places: int
    reasons: tuple[str, ...]
    words: tuple[str, ...]


_HEAD = msgspec.msgpack.Decoder(_Head)


def pack(boot: int, heard: Columns) -> bytes:
    """Return the blob of `heard`, of one row at least, all of the boot with this number."""
    stream, boottime = _integers(heard.stream), _integers(heard.boottime)
    ahead = _integers(heard.wall) - boottime
    values, reasons = heard.value, heard.reason
    tags = _small(list(map(_TAGS.__getitem__, map(type, values))))
    floats = np.array([value for value in values if type(value) is float], np.float64)
    whole, exact, places = _whole(floats)
    tags[np.flatnonzero(tags == _FLOAT)[exact]] = _DECIMAL
    numbered = {reason: number for number, reason in enumerate({*reasons} - {None}, 1)}
    words = {word: number for number, word in enumerate({value for value in values if type(value) is str})}
    head = _Head(
        len(stream), boot, int(boottime[0]), int(ahead[0]), places, tuple(map(str, numbered)), tuple(words)
    )
    integers = _integers([value for value in values if type(value) is int])
    said = msgspec.msgpack.encode(head)
    columns = (
        _column(_differences(boottime - boottime[0])),
        _column(_differences(ahead - ahead[0])),
        _column(stream),
        _column(_small(heard.quality)),
        _column(_small(heard.flags)),
        _column(_integers([0 if reason is None else numbered[reason] for reason in reasons])),
        _column(tags),
        # Of one stream after the other: what follows each other is alike.
        _column(_differences(whole[exact][_by_stream(stream[tags == _DECIMAL])])),
        _column(_differences(integers[_by_stream(stream[tags == _INTEGER])])),
        _column(_integers([words[value] for value in values if type(value) is str])),
        _column(floats[~exact].view(np.int64)),
    )
    return bytes([FORMAT]) + zlib.compress(b"".join((_LENGTH.pack(len(said)), said, *columns)), LEVEL)


class Pack:
    """A stretch of what was heard in one boot; row `i` has the number `first + i`. Arrays have one element a row, times are in ns."""

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
        counts = [count for _, count, _ in self._places]
        if counts[:7] != [self._rows] * 7 or sum(counts[7:]) != self._rows:
            raise ValueError(f"{self._rows} rows are said, {counts} are there")

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def boottime(self) -> _Integers:
        """Boot times."""
        return self._column(0).cumsum() + self._head.boottime

    @cached_property
    def wall(self) -> _Integers:
        """Wall times."""
        return self._column(1).cumsum() + self._head.ahead + self.boottime

    @cached_property
    def stream(self) -> _Integers:
        """Numbers of streams."""
        return self._column(2)

    @cached_property
    def quality(self) -> _Integers:
        """Qualities."""
        return self._column(3)

    @cached_property
    def _tags(self) -> _Integers:
        return self._column(6)

    def of(self, streams: Sequence[int]) -> _Integers:
        """Return the indices of the rows of these streams."""
        found = np.zeros(len(self), np.bool_)
        for number in streams:
            found |= self.stream == number
        return np.flatnonzero(found)

    def _column(self, number: int) -> _Integers:
        return _unfolded(self._data, *self._places[number])

    def _decimals(self) -> _Floats:
        whole = _unsorted(self._column(7), self.stream[self._tags == _DECIMAL])
        return whole / 10.0**self._head.places

    def _integers(self) -> _Integers:
        return _unsorted(self._column(8), self.stream[self._tags == _INTEGER])

    def _floats(self) -> _Floats:
        return self._column(10).view(np.float64)

    def numbers(self) -> _Floats:
        """Return the values as float64; NaN where one is a word."""
        found = np.full(len(self), np.nan)
        found[self._tags == _DECIMAL] = self._decimals()
        found[self._tags == _INTEGER] = self._integers()
        found[self._tags == _FLOAT] = self._floats()
        return found

    def values(self) -> list[float | str]:
        """Return the values as what they were."""
        words = [self._head.words[number] for number in self._column(9).tolist()]
        given: tuple[Iterator[float | str], ...] = (
            iter(self._decimals().tolist()),
            iter(self._integers().tolist()),
            iter(words),
            iter(self._floats().tolist()),
        )
        return [next(given[tag]) for tag in self._tags.tolist()]

    def columns(self) -> Columns:
        """Return all of it, as it was packed."""
        known = (None, *self._head.reasons)
        reasons = [known[number] for number in self._column(5).tolist()]
        return Columns(
            self.stream.tolist(), self.boottime.tolist(), self.wall.tolist(), self.values(), self.quality.tolist(), reasons,
            self._column(4).tolist(),
        )  # fmt: skip

    def numbered(self) -> list[Numbered]:
        """Return all of it row by row, with numbers and the boot."""
        stream, *others = self.columns()
        numbers = range(self.first, self.first + len(self))
        return list(zip(numbers, stream, [self.boot] * len(self), *others, strict=True))


def _whole(floats: _Floats) -> tuple[_Integers, NDArray[np.bool_], int]:
    """Return `floats` times a power of ten as whole numbers, which of them come back from that bit by bit, and the power."""
    best = np.zeros(len(floats), np.int64), np.zeros(len(floats), np.bool_), 0
    for places in range(DECIMALS):
        with np.errstate(over="ignore"):
            scaled = np.rint(floats * 10.0**places)
        fits = np.abs(scaled) < EXACT
        whole = np.where(fits, scaled, 0.0).astype(np.int64)
        exact = fits & ((whole / 10.0**places).view(np.int64) == floats.view(np.int64))
        if places == 0 or exact.sum() > best[1].sum():
            best = whole, exact, places
        if exact.all():
            break
    return best


def _small(values: Sequence[int]) -> _Integers:
    """Return numbers from 0 to 255, of whatever kind of integer."""
    return np.frombuffer(bytes(values), np.uint8).astype(np.int64)


def _integers(values: Sequence[int]) -> _Integers:
    return np.array(values, np.int64)


def _differences(values: _Integers) -> _Integers:
    """Return how each differs from the one before, the first from 0."""
    return np.diff(values, prepend=0)


def _by_stream(stream: _Integers) -> _Integers:
    return np.argsort(stream, kind="stable")


def _unsorted(differences: _Integers, stream: _Integers) -> _Integers:
    values = np.empty_like(differences)
    values[_by_stream(stream)] = differences.cumsum()
    return values


def _column(values: _Integers) -> bytes:
    """Return length, width, and the bytes of all values: first each one's lowest, then its next, as many as the largest has.

    Small negative numbers become small ones by the sign's move to the lowest bit.
    """
    folded = ((values << 1) ^ (values >> 63)).astype("<u8")
    width = (int(folded.max(initial=0)).bit_length() + 7) // 8
    planes = folded.view(np.uint8).reshape(-1, 8)[:, :width]
    return _LENGTH.pack(len(values)) + bytes([width]) + planes.T.tobytes()


def _places(data: bytes, start: int) -> list[tuple[int, int, int]]:
    """Return where each column's bytes begin, how many values it has, and their width. Raises ValueError or struct.error."""
    found = []
    while start < len(data):
        count, width = _LENGTH.unpack_from(data, start)[0], data[start + 4]
        found.append((start + 5, count, width))
        start += 5 + count * width
    if start != len(data) or len(found) != COLUMNS:
        raise ValueError("they are cut short")
    return found


def _unfolded(data: bytes, start: int, count: int, width: int) -> _Integers:
    folded = np.zeros((count, 8), np.uint8)
    folded[:, :width] = np.frombuffer(data, np.uint8, count * width, start).reshape(width, count).T
    whole = folded.reshape(-1).view("<u8")
    return (whole >> np.uint64(1)).astype(np.int64) ^ -(whole & np.uint64(1)).astype(np.int64)
