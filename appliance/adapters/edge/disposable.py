"""Owns a small SQLite file that may vanish: opened unsynced, checked, thrown away where it is broken, and tried again where the disk is at fault.

One thread owns it. Never in here: what is in it.
"""

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

log = logging.getLogger(__name__)

RETRY_S = 60.0
"""A file that can't be used is tried again after so long."""
THROWN_AWAY_MOST = 3
"""So often in a process's life a broken file is thrown away: a disk that breaks every file must not be fed for ever."""
CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class Foreign(sqlite3.DatabaseError):
    """A file that is none of ours, or broken."""


class Disposable:
    """The file at `path` with the `tables` of one `layout` (a script, and a number that no other layout has).

    `reason`: why there is no file now, None while there is one or nobody has asked yet.
    """

    def __init__(self, path: Path, tables: str, layout: int) -> None:
        self.path = path
        self.reason: str | None = None
        self._tables = tables
        self._layout = layout
        self._connection: sqlite3.Connection | None = None
        self._retry_s: float | None = None
        self._thrown_away = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def use(self) -> sqlite3.Connection | None:
        """Return the connection, opened where it was not; None where there is no file now. Never raises."""
        while self._connection is None:
            if self._retry_s is not None and time.monotonic() < self._retry_s:
                return None
            try:
                self._connection = self._opened()
            except (sqlite3.Error, OSError) as broken:
                self.fail(broken)  # a broken one is thrown away, and the next turn begins anew
            else:
                self.reason = None
        return self._connection

    def fail(self, broken: Exception) -> None:
        """Close it. Where the file itself is broken it is thrown away, and may be begun anew at once; else it is tried after a while."""
        self.close()
        self._retry_s = None
        code = getattr(broken, "sqlite_errorcode", None)
        corrupt = isinstance(broken, Foreign) or (code is not None and (code & 0xFF) in CORRUPT)
        if corrupt and self._thrown_away < THROWN_AWAY_MOST:
            self._thrown_away += 1
            log.warning(
                "the edge's cache %s was broken (%s): a new one is begun", self.path.name, str(broken)
            )
            try:
                for name in (self.path.name, f"{self.path.name}-journal"):
                    self.path.with_name(name).unlink(missing_ok=True)
            except OSError as held:
                broken = held
            else:
                return
        if self.reason is None:
            log.warning("the edge's answers are not kept on disk: %s", str(broken))
        self.reason = f"{self.path.name}: {broken}"
        self._retry_s = time.monotonic() + RETRY_S

    def close(self) -> None:
        """Close it, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=0.0, check_same_thread=False)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA synchronous = OFF")
            # A kill rolls this journal back; what the loss of power leaves of unsynced writes is found below, or by the rows' own checks.
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            connection.execute("PRAGMA cache_size = -256")
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                self.path.chmod(0o600)
                connection.executescript(
                    f"BEGIN IMMEDIATE; {self._tables} PRAGMA user_version = {self._layout}; COMMIT;"
                )
            if connection.execute("PRAGMA user_version").fetchone()[0] != self._layout:
                raise Foreign("it is no cache of this release")
            told = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if told != "ok":
                raise Foreign(str(told)[:200])
        except BaseException:
            connection.close()
            raise
        return connection
