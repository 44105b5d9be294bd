"""Owns a read-only connection: short-lived, a second at most, its errors ours.

Never in here: what is asked.
"""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from appliance.errors import StoreError

LONGEST_S = 1.0
STEPS = 5000
"""SQLite asks every so many of its steps whether to go on."""
INTEGERS = 1 << 63


class Late(sqlite3.Error):
    """The question takes too long."""


class Reader(sqlite3.Connection):
    """A connection that knows until when, in time.monotonic() seconds, it may be read."""

    deadline = math.inf

    def late(self) -> bool:
        """Return whether it was read for long enough."""
        return time.monotonic() > self.deadline

    def check(self) -> None:
        """Raise `Late` where it was read for long enough: for whoever works at what SQLite gave, which SQLite can't interrupt."""
        if self.late():
            raise Late


@contextmanager
def read_only(path: Path, longest_s: float = LONGEST_S) -> Iterator[Reader]:
    """Give a connection that can't write and is interrupted after `longest_s`. Raises StoreError, also for what the body does."""
    try:
        with closing(_connect(path)) as connection:
            connection.deadline = time.monotonic() + longest_s
            connection.set_progress_handler(connection.late, STEPS)
            yield connection
    except sqlite3.Error as broken:
        code = getattr(broken, "sqlite_errorcode", None)
        if isinstance(broken, Late) or code == sqlite3.SQLITE_INTERRUPT:
            raise StoreError(
                f"{path.name}: the question takes longer than {longest_s:g} s",
                hint="ask for a shorter time or fewer points",
            ) from None
        raise StoreError(f"{path.name}: {broken}", hint="look at the state folder and its disk") from None


def within(number: int) -> int:
    """Return `number`, or the nearest that SQLite can hold."""
    return max(-INTEGERS, min(number, INTEGERS - 1))


def _connect(path: Path) -> Reader:
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        return _checked(uri)
    except sqlite3.OperationalError as broken:
        # A log is needed even to read, and a disk that became read-only can't get one: then the file alone is read.
        if (
            broken.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
            or not path.exists()
        ):
            raise
        return _checked(f"{uri}&immutable=1")


def _checked(uri: str) -> Reader:
    connection = sqlite3.connect(uri, uri=True, timeout=0.5, isolation_level=None, factory=Reader)
    try:
        connection.execute("PRAGMA query_only = 1")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection
