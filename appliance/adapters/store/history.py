"""Owns what can be asked of the readings. Never in here: writing, what waits to be written, or the decisions."""

import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.adapters.store import schema, spans
from appliance.adapters.store.bins import Bins, Point
from appliance.adapters.store.highwater import Head
from appliance.adapters.store.journal import FLAG, RETAINED, Kind
from appliance.adapters.store.packs import Numbered
from appliance.adapters.store.readonly import INTEGERS, LONGEST_S, read_only, within
from appliance.core.clock import Instant

MAX_POINTS = 5000
MAX_SCAN = 3_000_000
PAGE = 10_000
SLICE = 200_000
"""So many rows are read with one connection: a fraction of the second that it may be open."""
ANSWER_S = 3.0
"""So long a question about a stream's history may take altogether."""
NEAR = 500_000
"""So far back a stream's latest reading is looked for: hours of a busy home, weeks of an ordinary one."""


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


_STREAMS = "SELECT id FROM streams WHERE device = ? AND metric = ? AND kind IN (0, 1)"
_OLD = f"SELECT wall, quality, value FROM readings WHERE seq >= ? AND seq < ? AND wall >= ? AND wall < ? AND stream IN ({_STREAMS})"  # noqa: S608  fixed
_OLD_LATEST = f"{spans.OLD} WHERE seq > ? AND stream IN ({_STREAMS}) ORDER BY seq DESC LIMIT 1"


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
            newest = spans.newest(connection)
            streams = _streams(connection, device, metric)
        bins = Bins(since_ns, width, until_ns)
        ends = time.monotonic() + ANSWER_S
        for start in range(first, min(end, newest + 1), SLICE):
            until = min(start + SLICE, end)
            left = max(0.0, min(LONGEST_S, ends - time.monotonic()))
            with read_only(self._readings, left) as connection:
                bins.add_rows(connection.execute(_OLD, (start, until, since_ns, until_ns, device, metric)))
                for pack in spans.packs(connection, start, until):
                    if start <= pack.first < until or start == first:
                        bins.add(pack.series(streams))
                    time.sleep(0)  # whoever waits for the interpreter, above all the control loop, gets it
        return bins.points()

    def latest(self, device: str, metric: str) -> Stored | None:
        """Return the newest row of a stream, if it is among the newest half a million of all. Raises StoreError."""
        with read_only(self._readings) as connection:
            least = spans.newest(connection) - NEAR
            streams = _streams(connection, device, metric)
            row = None
            for pack in spans.packs_back(connection, least):
                among = pack.of(streams)
                if among:
                    row = pack.numbered()[among[-1]]
                    break
            if row is None:
                row = connection.execute(_OLD_LATEST, (least, device, metric)).fetchone()
            return None if row is None else Names(connection).stored(row)

    def raw(self, after_seq: int = 0, limit: int = PAGE) -> list[Stored]:
        """Return at most `limit` rows of the raw history after `after_seq`, in order. Raises StoreError.

        The next page comes after the last row's `seq`: numbers need not follow each other.
        """
        with read_only(self._readings) as connection:
            first = min(within(after_seq), INTEGERS - 2) + 1
            found = spans.rows(connection, first, max(0, min(limit, PAGE)))
            names = Names(connection)
            return [names.stored(row) for row in found]

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
            newest = spans.newest(connection)
        if first is None:
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


class Names:
    """What the numbers of streams and boots stand for, as of one moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        # One text for each: comparing instants compares their boots.
        self.boots: dict[int, str] = {
            number: sys.intern(boot) for number, boot in connection.execute("SELECT id, boot_id FROM boots")
        }
        self.streams: dict[int, tuple[int, str, str, str | None]] = {
            row[0]: row[1:]
            for row in connection.execute("SELECT id, kind, device, metric, unit FROM streams")
        }

    def stored(self, row: Numbered) -> Stored:
        """Return what a row tells. Raises sqlite3.DatabaseError where it can't be read."""
        seq, stream, boot, boottime, wall, value, quality, reason, flags = row
        try:
            kind, device, metric, unit = self.streams[stream]
            return Stored(
                seq, device, metric, unit, Instant(self.boots[boot], boottime, wall),
                bool(value) if flags & FLAG else value, bool(flags & RETAINED), Kind(kind), quality, reason,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as broken:
            raise sqlite3.DatabaseError(f"row {seq} can't be read: {broken}") from None


def _streams(connection: sqlite3.Connection, device: str, metric: str) -> list[int]:
    return [number for (number,) in connection.execute(_STREAMS, (device, metric))]
