"""Owns a read-only connection: short-lived, a second at most, its errors ours.

Never in here: what is asked.
"""

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


@contextmanager
def read_only(path: Path, longest_s: float = LONGEST_S) -> Iterator[sqlite3.Connection]:
    """Give a connection that can't write and is interrupted after `longest_s`. Raises StoreError, also for what the body does."""
    try:
        with closing(_connect(path)) as connection:
            deadline = time.monotonic() + longest_s
            connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
            yield connection
    except sqlite3.Error as broken:
        if getattr(broken, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise StoreError(
                f"{path.name}: the question takes longer than {longest_s:g} s",
                hint="ask for a shorter time or fewer points",
            ) from None
        raise StoreError(f"{path.name}: {broken}", hint="look at the state folder and its disk") from None


def within(number: int) -> int:
    """Return `number`, or the nearest that SQLite can hold."""
    return max(-INTEGERS, min(number, INTEGERS - 1))


def _connect(path: Path) -> sqlite3.Connection:
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


def _checked(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=0.5, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = 1")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection
