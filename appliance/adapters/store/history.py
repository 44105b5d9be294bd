"""Owns what can be asked of the readings. Never in here: writing, what waits to be written, or the decisions."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.store import schema
from appliance.adapters.store.highwater import Head
from appliance.adapters.store.journal import FLAG, RETAINED, Kind
from appliance.adapters.store.readonly import read_only, within
from appliance.core.clock import Instant

MAX_POINTS = 5000
MAX_SCAN = 3_000_000
PAGE = 10_000
NEAR = 500_000
"""So far back a stream's latest reading is looked for: hours of a busy home, weeks of an ordinary one."""


class Point(msgspec.Struct, frozen=True, gc=False):
    """One bin of a stream's history from `wall_ns` on: the mean, least and greatest GOOD number, or the last word.

    `quality` is the best in the bin.
    """

    wall_ns: int
    value: float | str | None
    low: float | None
    high: float | None
    quality: int


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One row of the raw history, in order of `seq`: order is never a matter of clocks.

    A device's availability is a row with the metric "available" and a flag for its value; a mark has no device.
    """

    seq: int
    device: str
    metric: str
    unit: str | None
    at: Instant
    value: float | str | bool
    retained: bool
    kind: Kind
    quality: int
    reason: str | None


_ROW = (
    "SELECT seq, device, metric, unit, boot_id, boottime, wall, value, flags, kind, quality, reason FROM readings"
    " JOIN streams ON streams.id = stream JOIN boots ON boots.id = readings.boot"
)
_BINS = (
    "WITH bins AS (SELECT (wall - ?) / ? AS bin, AVG(good) AS mean, MIN(good) AS low, MAX(good) AS high,"
    " MIN(quality) AS best, MAX(seq) AS newest FROM (SELECT seq, wall, quality,"
    " CASE WHEN quality = 0 AND typeof(value) <> 'text' THEN value END AS good FROM readings"
    " WHERE seq >= ? AND seq < ? AND stream IN (SELECT id FROM streams WHERE device = ? AND metric = ? AND kind IN (0, 1))"
    " AND wall >= ? AND wall < ?) GROUP BY bin)"
    " SELECT bin, mean, low, high, best, value FROM bins JOIN readings ON seq = newest ORDER BY bin"
)
_LATEST = (
    f"{_ROW} WHERE seq > (SELECT MAX(seq) FROM readings) - ? AND device = ? AND metric = ? AND kind IN (0, 1)"  # noqa: S608  fixed
    " ORDER BY seq DESC LIMIT 1"
)


class History:
    """What can be asked of the readings file in `folder`, from any thread."""

    def __init__(self, folder: Path) -> None:
        self._readings = folder / schema.READINGS

    def readings(self, device: str, metric: str, since_ns: int, until_ns: int, points: int) -> list[Point]:
        """Return a stream's history in at most `points` bins, oldest first; empty where it has none. Raises StoreError.

        Only GOOD numbers are averaged, so a time at which the unit was unknown gives bins with no value.
        """
        since_ns, until_ns = within(since_ns), within(until_ns)
        points = max(1, min(points, MAX_POINTS))
        width = max(1, -(-(until_ns - since_ns) // points))
        if not since_ns < until_ns < since_ns + (1 << 62):
            return []
        with read_only(self._readings) as connection:
            first, last = connection.execute(
                "SELECT MIN(first), MAX(first) FROM batches WHERE high >= ? AND low < ?", (since_ns, until_ns)
            ).fetchone()
            if first is None:
                return []
            after = connection.execute("SELECT MIN(first) FROM batches WHERE first > ?", (last,)).fetchone()[
                0
            ]
            end = min(first + MAX_SCAN, 1 << 62 if after is None else after)
            found = connection.execute(
                _BINS,
                (since_ns, width, first, end, device, metric, since_ns, until_ns),
            ).fetchall()
        return [
            Point(
                since_ns + index * width,
                last_value if isinstance(last_value, str) else mean,
                None if isinstance(last_value, str) else low,
                None if isinstance(last_value, str) else high,
                best,
            )
            for index, mean, low, high, best, last_value in found
        ]

    def latest(self, device: str, metric: str) -> Stored | None:
        """Return the newest row of a stream, if it is among the newest half a million of all. Raises StoreError."""
        with read_only(self._readings) as connection:
            row = connection.execute(
                _LATEST,
                (NEAR, device, metric),
            ).fetchone()
            return None if row is None else _stored(row)

    def raw(self, after_seq: int = 0, limit: int = PAGE) -> list[Stored]:
        """Return at most `limit` rows of the raw history after `after_seq`, in order. Raises StoreError.

        The next page comes after the last row's `seq`: numbers need not follow each other.
        """
        with read_only(self._readings) as connection:
            found = connection.execute(
                f"{_ROW} WHERE seq > ? ORDER BY seq LIMIT ?", (within(after_seq), max(0, min(limit, PAGE)))
            )
            return [_stored(row) for row in found]

    def events(self, after_seq: int = 0) -> Iterator[Stored]:
        """Yield the whole raw history after `after_seq`, in order: readings, states, availability and marks. Raises StoreError."""
        while page := self.raw(after_seq):
            yield from page
            after_seq = page[-1].seq

    def heard_since(self, at: Instant, longest: int = 200_000) -> Iterator[Stored]:
        """Yield what was heard since `at` in the same boot, in order, of more than `longest` rows the newest. Raises StoreError."""
        with read_only(self._readings) as connection:
            first = connection.execute(
                "SELECT COALESCE(MAX(CASE WHEN batches.boottime <= ? THEN first END), MIN(first)) FROM batches"
                " JOIN boots ON boots.id = batches.boot WHERE boot_id = ?",
                (within(at.boottime_ns), at.boot_id),
            ).fetchone()[0]
            newest = connection.execute("SELECT MAX(seq) FROM readings").fetchone()[0]
        if first is None or newest is None:
            return
        for row in self.events(max(first - 1, newest - longest)):
            if row.at.boot_id == at.boot_id and row.at.boottime_ns >= at.boottime_ns:
                yield row

    def snapshot(self) -> tuple[bytes, Instant, int] | None:
        """Return the last snapshot, when it was made, and the number of the first row after it; None where there is none.

        What was heard since is `events(number - 1)`. Raises StoreError.
        """
        with read_only(self._readings) as connection:
            row = connection.execute(
                "SELECT blob, boot_id, boottime, wall, seq FROM snapshots JOIN boots ON boots.id = boot WHERE snapshots.id = 1"
            ).fetchone()
            return None if row is None else (row[0], Instant(row[1], row[2], row[3]), row[4])

    def newest(self) -> int | None:
        """Return the wall time of the newest batch of the raw history, or None where there is none. Raises StoreError."""
        with read_only(self._readings) as connection:
            row = connection.execute("SELECT high FROM batches ORDER BY first DESC LIMIT 1").fetchone()
            return None if row is None else int(row[0])

    def head(self) -> Head | None:
        """Return the newest decision that was committed as of the last batch of readings; None where none is known."""
        if not self._readings.exists():
            return None
        with read_only(self._readings) as connection:
            row = connection.execute("SELECT decision, digest FROM heads WHERE id = 1").fetchone()
            return None if row is None else Head(*row)


def _stored(row: tuple[Any, ...]) -> Stored:
    seq, device, metric, unit, boot_id, boottime, wall, value, flags, kind, quality, reason = row
    try:
        return Stored(
            seq, device, metric, unit, Instant(boot_id, boottime, wall), bool(value) if flags & FLAG else value,
            bool(flags & RETAINED), Kind(kind), quality, reason,
        )  # fmt: skip
    except (TypeError, ValueError) as broken:
        raise sqlite3.DatabaseError(f"row {seq} can't be read: {broken}") from None
