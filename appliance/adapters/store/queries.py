"""Owns reading the history: its own read-only connection each time, a second at most.

Never in here: writing, or the memory ring.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.store import rows, schema
from appliance.core.clock import Instant
from appliance.errors import StoreError

LONGEST_S = 1.0
MAX_LIMIT = 500
MAX_POINTS = 5000
MAX_SCAN = 3_000_000
STEPS = 5000
"""SQLite asks every so many of its steps whether to go on."""


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
    """One row of the raw history, in order of `seq`."""

    seq: int
    device: str
    metric: str
    unit: str | None
    at: Instant
    value: float | str
    retained: bool


class Queries:
    """What can be asked of the files in `folder`, from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def decisions(
        self, *, appliance: str | None = None, action: str | None = None, since_ns: int | None = None, until_ns: int | None = None,
        before_id: int | None = None, limit: int = 50,
    ) -> list[rows.Kept]:  # fmt: skip
        """Return at most `limit` decisions with a number below `before_id`, the newest first. Raises StoreError."""
        wanted: list[tuple[str, Any]] = [
            ("appliance = ?", appliance), ("action = ?", action), ("wall >= ?", since_ns), ("wall < ?", until_ns), ("decisions.id < ?", before_id),
        ]  # fmt: skip
        given = [(clause, value) for clause, value in wanted if value is not None]
        where = " AND ".join(clause for clause, _ in given) or "1"
        sql = f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE {where} ORDER BY decisions.id DESC LIMIT ?"  # noqa: S608  fixed clauses
        with self._reading(schema.DECISIONS) as connection:
            found = connection.execute(sql, (*(value for _, value in given), min(limit, MAX_LIMIT)))
            return [rows.kept_of(row) for row in found]

    def decision(self, number: int) -> rows.Kept | None:
        """Return one decision, or None. Raises StoreError."""
        if not 0 < number < 1 << 63:
            return None
        with self._reading(schema.DECISIONS) as connection:
            row = connection.execute(
                f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE decisions.id = ?",  # noqa: S608  fixed columns
                (number,),
            ).fetchone()
            return None if row is None else rows.kept_of(row)

    def readings(self, device: str, metric: str, since_ns: int, until_ns: int, points: int) -> list[Point]:
        """Return a stream's history in at most `points` bins, oldest first; empty where it has none. Raises StoreError."""
        points = max(1, min(points, MAX_POINTS))
        width = max(1, -(-(until_ns - since_ns) // points))
        with self._reading(schema.READINGS) as connection:
            stream = connection.execute(
                "SELECT id FROM streams WHERE device = ? AND metric = ?", (device, metric)
            ).fetchone()
            if stream is None:
                return []
            first = (
                connection.execute("SELECT MAX(first) FROM batches WHERE wall <= ?", (since_ns,)).fetchone()[
                    0
                ]
                or 0
            )
            # From the first batch that begins after the end on, nothing belongs to it (a clock step may cost some rows).
            last = (
                connection.execute("SELECT MIN(first) FROM batches WHERE wall > ?", (until_ns,)).fetchone()[0]
                or 1 << 62
            )
            found = connection.execute(
                "SELECT (wall - ?) / ?, AVG(CASE WHEN quality = 0 THEN value END), MIN(CASE WHEN quality = 0 THEN value END),"
                " MAX(CASE WHEN quality = 0 THEN value END), MIN(quality), MAX(seq) FROM readings"
                " WHERE seq >= ? AND seq < ? AND stream = ? AND wall >= ? AND wall < ? GROUP BY 1 ORDER BY 1",
                (since_ns, width, first, min(last, first + MAX_SCAN), stream[0], since_ns, until_ns),
            ).fetchall()
            return [
                Point(
                    since_ns + index * width,
                    low if isinstance(low, str) else mean,
                    None if isinstance(low, str) else low,
                    None if isinstance(low, str) else high,
                    quality,
                )
                for index, mean, low, high, quality, _ in found
            ]

    def raw(self, after_seq: int = 0, limit: int = 10_000) -> list[Stored]:
        """Return at most `limit` rows of the raw history after `after_seq`, in order. Raises StoreError."""
        with self._reading(schema.READINGS) as connection:
            found = connection.execute(
                "SELECT seq, device, metric, unit, boot_id, boottime, wall, value, retained FROM readings"
                " JOIN streams ON streams.id = stream JOIN boots ON boots.id = boot WHERE seq > ? ORDER BY seq LIMIT ?",
                (after_seq, limit),
            )
            return [
                Stored(seq, device, metric, unit, Instant(boot_id, boottime, wall), value, bool(retained))
                for seq, device, metric, unit, boot_id, boottime, wall, value, retained in found
            ]

    def snapshot(self) -> tuple[bytes, Instant, int] | None:
        """Return the last snapshot, when it was made, and the number of the first reading after it; None where there is none."""
        with self._reading(schema.READINGS) as connection:
            row = connection.execute(
                "SELECT blob, boot_id, boottime, wall, seq FROM snapshots JOIN boots ON boots.id = boot WHERE snapshots.id = 1"
            ).fetchone()
            return None if row is None else (row[0], Instant(row[1], row[2], row[3]), row[4])

    def verify(self) -> int | None:
        """Return the number of the first decision whose digest does not follow from the one before it; None: all do.

        Rows that retention removed at the old end are no loss: the oldest one left is where the chain is taken up.
        """
        with self._reading(schema.DECISIONS, longest_s=600.0) as connection:
            before: bytes | None = None
            for row in connection.execute(f"SELECT {rows.COLUMNS} FROM {rows.FROM} ORDER BY decisions.id"):  # noqa: S608
                try:
                    decision = rows.kept_of(row).decision
                except sqlite3.DatabaseError:
                    return int(row[0])
                if before is not None and rows.digest(before, decision, row[7]) != row[8]:
                    return decision.id
                before = row[8]
        return None

    @contextmanager
    def _reading(self, name: str, longest_s: float = LONGEST_S) -> Iterator[sqlite3.Connection]:
        path = self._folder / name
        connection = None
        deadline = time.monotonic() + longest_s
        try:
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0.5, isolation_level=None
            )
            connection.execute("PRAGMA query_only = 1")
            connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
            yield connection
        except sqlite3.Error as broken:
            slow = "interrupted" in str(broken)
            raise StoreError(
                f"{path.name}: {'the question takes longer than a second' if slow else broken}",
                hint="ask for a shorter time or fewer points"
                if slow
                else "look at the state folder and its disk",
            ) from None
        finally:
            if connection is not None:
                connection.close()
