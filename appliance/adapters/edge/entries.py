"""Owns the cached answers: fresh or stale, bounded, least recently used first to leave; never the reason why anything fails.

Without a file the newest few stay in memory. One thread owns it. Never in here: threads, or what an answer means.
"""

import sqlite3
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from zlib import crc32

import msgspec

from appliance.adapters.edge.disposable import Disposable, Foreign

HOUR_NS = 3_600_000_000_000
WAITING = 256
"""Answers that wait in memory to be written; so many at a time, or after a while: a card must not wear by a cache."""
LAYOUT = 0x65640001
_TABLES = """
CREATE TABLE entries (
    key BLOB PRIMARY KEY, said BLOB NOT NULL, written_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_use ON entries (used_ns);
CREATE TABLE tallies (
    edge TEXT PRIMARY KEY, scale INTEGER NOT NULL, stopped INTEGER NOT NULL, asked INTEGER NOT NULL, wrong INTEGER NOT NULL
);
"""

Kind = Literal["hit", "miss", "stale", "negative"]


class Found(msgspec.Struct, frozen=True):
    """What was found: `said` (L,) where it is a hit. `negative`: the edge had nothing to say of it, not long ago."""

    kind: Kind
    said: tuple[float, ...] = ()


class Tally(msgspec.Struct, frozen=True):
    """What asking again has shown of one edge model's cached answers at `scale`: of `asked`, `wrong` had another likeliest label.

    `stopped`: they are used no more.
    """

    scale: int = 0
    stopped: bool = False
    asked: int = 0
    wrong: int = 0


MISS = Found("miss")


class Entries:
    """At most `most` answers on disk, and up to WAITING that wait to be written.

    An answer is fresh for `fresh_ns`, a negative one for `negative_ns`, by the wall clock.
    """

    def __init__(self, path: Path, most: int, fresh_ns: int, negative_ns: int) -> None:
        self._file = Disposable(path, _TABLES, LAYOUT)
        self._most = most
        self._fresh_ns = fresh_ns
        self._negative_ns = negative_ns
        self._batch = max(1, min(WAITING, most))
        self._count = 0
        self._counted: sqlite3.Connection | None = None
        self._waiting: dict[bytes, tuple[bytes, int]] = {}
        self._touched: dict[bytes, int] = {}
        self._tallies: dict[str, Tally] = {}

    def __len__(self) -> int:
        return self._count + len(self._waiting)

    @property
    def reason(self) -> str | None:
        """Why nothing is kept on disk; None where it is."""
        return self._file.reason

    def look(self, key: bytes, now_ns: int) -> Found:
        """Return what is known of `key`. Never raises."""
        if not self._most:
            return MISS
        waiting = self._waiting.get(key)
        if waiting is not None:
            return self._judged(key, *waiting, now_ns)
        connection = self._use()
        if connection is None:
            return MISS
        try:
            row = connection.execute(
                "SELECT said, written_ns, used_ns FROM entries WHERE key = ?", (key,)
            ).fetchone()
        except sqlite3.Error as broken:
            self._failed(broken)
            return MISS
        if row is None:
            return MISS
        said, written_ns, used_ns = row
        found = self._judged(key, said, written_ns, now_ns)
        if found.kind == "hit" and abs(now_ns - used_ns) > HOUR_NS:
            self._touched[key] = now_ns
            if len(self._touched) >= self._batch:
                self.write()
        return found

    def put(self, key: bytes, said: Sequence[float], now_ns: int) -> None:
        """Keep what the edge `said` (L,) of `key`; nothing: that it had nothing to say. Never raises."""
        if not self._most:
            return
        numbers = array("f", said).tobytes()
        self._waiting.pop(key, None)
        self._waiting[key] = (numbers + _sum(key, numbers), now_ns)
        if len(self._waiting) >= self._batch:
            self.write()
        while len(self._waiting) > self._batch:  # there is no file
            del self._waiting[next(iter(self._waiting))]

    def keep(self, edge: str, tally: Tally) -> None:
        """Keep what asking again has shown of `edge`; written with the answers."""
        self._tallies[edge] = tally

    def tallies(self) -> dict[str, Tally]:
        """Return what was kept of all edge models. Never raises."""
        connection = self._use() if self._most else None
        if connection is None:
            return {}
        try:
            rows = connection.execute("SELECT edge, scale, stopped, asked, wrong FROM tallies").fetchall()
            return {
                str(edge): Tally(int(scale), bool(stopped), int(asked), int(wrong))
                for edge, scale, stopped, asked, wrong in rows
            }
        except (sqlite3.Error, ValueError) as broken:
            self._failed(broken if isinstance(broken, sqlite3.Error) else Foreign(str(broken)))
            return {}

    def write(self) -> None:
        """Write what waits. Never raises."""
        if not (self._waiting or self._touched or self._tallies):
            return
        connection = self._use()
        if connection is None:
            self._touched.clear()
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            rows = [(said, written_ns, key) for key, (said, written_ns) in self._waiting.items()]
            # No cursor has a name: one that outlives the connection would keep the file locked.
            new = connection.executemany(
                "INSERT OR IGNORE INTO entries (said, written_ns, used_ns, key) VALUES (?1, ?2, ?2, ?3)", rows
            ).rowcount
            count = self._count + max(new, 0)
            connection.executemany(
                "UPDATE entries SET said = ?1, written_ns = ?2, used_ns = ?2 WHERE key = ?3", rows
            )
            connection.executemany(
                "UPDATE entries SET used_ns = ? WHERE key = ?",
                [(used_ns, key) for key, used_ns in self._touched.items()],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO tallies (edge, scale, stopped, asked, wrong) VALUES (?, ?, ?, ?, ?)",
                [(edge, one.scale, one.stopped, one.asked, one.wrong) for edge, one in self._tallies.items()],
            )
            if count > self._most:
                connection.execute(
                    "DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY used_ns, key LIMIT ?)",
                    (count - self._most,),
                )
            connection.execute("COMMIT")
        except sqlite3.Error as broken:
            self._failed(broken)
            return
        self._count = min(count, self._most)
        self._waiting.clear()
        self._touched.clear()
        self._tallies.clear()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.write()
        self._file.close()

    def _use(self) -> sqlite3.Connection | None:
        connection = self._file.use()
        if connection is not self._counted:
            self._count = 0
            self._counted = connection
            if connection is not None:
                try:
                    self._count = int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
                except sqlite3.Error as broken:
                    self._failed(broken)
                    return None
        return connection

    def _failed(self, broken: sqlite3.Error) -> None:
        self._file.fail(broken)
        self._count = 0
        self._counted = None
        self._touched.clear()

    def _judged(self, key: bytes, said: bytes, written_ns: int, now_ns: int) -> Found:
        numbers = said[:-4]
        if said[-4:] != _sum(key, numbers) or len(numbers) % 4:
            return MISS  # writes that were not synced may leave other bytes in a sound shape
        # A clock that was set back leaves answers of the future: of unknown age.
        if not -HOUR_NS <= now_ns - written_ns < (self._fresh_ns if numbers else self._negative_ns):
            return Found("stale")
        if not numbers:
            return Found("negative")
        values = array("f")
        values.frombytes(numbers)
        return Found("hit", tuple(values))


def _sum(key: bytes, numbers: bytes) -> bytes:
    return crc32(numbers, crc32(key)).to_bytes(4, "little")
