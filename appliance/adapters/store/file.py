"""Owns one file as the writer sees it: open, or broken until it is tried again.

Never in here: what is in the file. Only the writer's thread calls this (and whoever starts it, before).
"""

import contextlib
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from appliance.adapters.store import schema
from appliance.core.clock import Instant

log = logging.getLogger(__name__)

REPLACED_MOST = 3
"""So often in a process's life a new file is begun in place of a broken one: a disk that breaks every file must not be fed for ever."""
CACHE_KIB = 512
"""Memory for pages of each file: what is appended changes the newest ones. SQLite's own 2 MB fill for half an hour, with pages that nobody
asks for again."""
RETRY_S = (1.0, 5.0)
"""A broken file is tried again after a time between these: jitter, since what broke it may serve others too."""


class File:
    """One of the two files, with its one writing connection. Children say what to do when it was opened.

    `reason` tells what is wrong since `since`; both are None while it is well. `retry_at` is in time.monotonic() seconds.
    `corrupt`: it failed since the file itself is broken; `replaced`: so often a new one was begun for that; the old one, or the last of
    them, is called `aside`.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        synchronous: Literal["FULL", "NORMAL"],
        clock: Callable[[], Instant],
    ) -> None:
        self.path = folder / name
        self.reason: str | None = None
        self.since: Instant | None = None
        self.retry_at = 0.0
        self._synchronous = synchronous
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._same: tuple[tuple[int, int], ...] = ()
        self._boots: dict[str, int] = {}
        self.corrupt = False
        self.replaced = 0
        self.aside: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that has not failed yet."""
        return self._connection is not None

    def ready(self) -> bool:
        """Return whether it may be used now: open, or it is time to try again."""
        return self._connection is not None or time.monotonic() >= self.retry_at

    def use(self) -> sqlite3.Connection:
        """Return the connection, opened where it was not. Raises sqlite3.Error or OSError."""
        if self._connection is not None:
            if self._here() != self._same:
                # Somebody put another in its place: what is written into the old one now would go nowhere.
                raise FileNotFoundError(f"{self.path} or its log is not the file that was opened")
            return self._connection
        if self.corrupt and self.replaced < REPLACED_MOST:
            aside = schema.set_aside(self.path, self._clock().wall_ns)
            log.error("%s was broken; it lies at %s now, and a new one is begun", self.path.name, aside)
            self.replaced += 1
            self.aside = aside.name
            self.corrupt = False
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = schema.open_for_writing(self.path, self._synchronous)
        try:
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._same = self._here()
            self._boots.clear()
            self.opened(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _here(self) -> tuple[tuple[int, int], ...]:
        """Return which files lie at the path and at its log's. Raises OSError."""
        found = [path.stat() for path in (self.path, self.path.with_name(f"{self.path.name}-wal"))]
        return tuple((one.st_dev, one.st_ino) for one in found)

    def well(self) -> None:
        """Note that something was written: whatever was wrong with it is over."""
        if self.reason is not None:
            log.warning("%s is written again", self.path.name)
        self.reason = self.since = None

    def opened(self, connection: sqlite3.Connection) -> None:
        """Take up where the file ends; also drop what was known of an earlier one."""

    def fail(self, broken: Exception) -> None:
        """Close it and say why; it is tried again after a while."""
        code = getattr(broken, "sqlite_errorcode", None)
        self.corrupt = code is not None and (code & 0xFF) in schema.CORRUPT
        reason = f"{self.path.name}: {broken}"
        if reason != self.reason:
            log.error("nothing can be recorded: %s", reason)
        self.since = self.since or self._clock()
        self.reason = reason
        self.retry_at = time.monotonic() + random.uniform(*RETRY_S)  # noqa: S311  jitter
        self.close()

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Begin; commit at the end, or roll back. Raises sqlite3.Error or OSError, and then nothing is committed for sure."""
        connection = self.use()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # Numbers given out in the transaction are not in the file.
            self._boots.clear()
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        self.well()

    def boot(self, connection: sqlite3.Connection, boot_id: str) -> int:
        """Return the number of `boot_id` in this file."""
        known = self._boots.get(boot_id)
        if known is None:
            connection.execute("INSERT OR IGNORE INTO boots (boot_id) VALUES (?)", (boot_id,))
            known = int(
                connection.execute("SELECT id FROM boots WHERE boot_id = ?", (boot_id,)).fetchone()[0]
            )
            self._boots[boot_id] = known
        return known
