"""Owns the shape of the two files, and opening them for writing.

Tables are made and migrated with sqlite-utils, which is imported only then: at an ordinary start the shape is there. Never in
here: rows.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlite_utils import Database

DECISIONS = "decisions.sqlite3"
READINGS = "readings.sqlite3"

CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""The file itself is broken: trying again does not help."""

PAGE = 1024
"""Bytes. A commit writes each page that it changes into the log, whole: some seven of them for a decision, which fills one. A file that
was made with others keeps them."""
LOG = 4 << 20
"""Bytes of the log after which it is copied into the file: pages that were changed often are copied once."""

BROKEN = ".broken-"
ASIDE_KEPT = 3
"""Broken files of one name that lie beside the good one, at most."""

OLDEST = 2
"""Shapes before this one were never released."""
LABELLED = 4
"""The first shape with labels."""
PACKED = 5
"""The first shape with packs."""


def open_for_writing(path: Path, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """Return a connection to the file at `path`, made or migrated where needed; transactions are begun by hand.

    FULL syncs the log at every commit, so that a commit survives the loss of power; NORMAL loses the last ones, and corrupts
    nothing. What an earlier connection left in the log is copied into the file and synced first: a commit whose sync
    failed may lie there, and only a fresh write makes it last. Raises sqlite3.Error or OSError.
    """
    # Made here, since SQLite would give it, its log and its index the rights of the process's umask.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise sqlite3.DatabaseError(f"{path} has the shape {version} of a newer version")
        if 0 < version < OLDEST:
            raise sqlite3.DatabaseError(f"{path} was made before the first release: remove it")
        if version == 0:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        # A log that grew large is cut back, so that it does not take the room of what it was copied into.
        connection.execute(f"PRAGMA journal_size_limit = {LOG}")
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG // page}")
        if version < len(MIGRATIONS):
            _migrate(connection, path.name, version)
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise sqlite3.OperationalError("somebody else keeps the log busy")
    except BaseException:
        connection.close()
        raise
    return connection


def set_aside(path: Path, wall_ns: int) -> Path:
    """Move a broken file and its log out of the way, for salvage by hand; return where it lies. Raises OSError.

    Of those of earlier times the newest stay, so that no more than `ASIDE_KEPT` lie there.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_ns // 1_000_000_000))
    aside = path.with_name(f"{path.name}{BROKEN}{stamp}")
    number = 2
    while aside.exists():
        aside, number = path.with_name(f"{path.name}{BROKEN}{stamp}-{number}"), number + 1
    for old in sorted(aside_of(path), key=lambda one: one.stat().st_mtime_ns)[: -(ASIDE_KEPT - 1)]:
        for end in ("", "-wal", "-shm"):
            old.with_name(old.name + end).unlink(missing_ok=True)
    for end in ("-wal", "-shm"):
        log = path.with_name(path.name + end)
        if log.exists():
            log.rename(aside.with_name(aside.name + end))
    path.rename(aside)
    return aside


def aside_of(path: Path) -> list[Path]:
    """Return what was set aside of the file at `path`, without the logs. Raises OSError."""
    return [
        one for one in path.parent.glob(f"{path.name}{BROKEN}*") if not one.name.endswith(("-wal", "-shm"))
    ]


def _migrate(connection: sqlite3.Connection, name: str, version: int) -> None:
    from sqlite_utils import Database  # noqa: PLC0415  190 ms that an ordinary start does not pay

    database = Database(connection, execute_plugins=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version:]:
            migration(database, name)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _first(database: "Database", name: str) -> None:
    """The shape of the first release."""
    database.table("boots").create({"id": int, "boot_id": str}, pk="id")
    database.table("boots").create_index(["boot_id"], unique=True)
    if name == DECISIONS:
        table = database.table("decisions")
        table.create(
            {
                "id": int, "boot": int, "boottime": int, "wall": int, "appliance": str, "action": str, "source": str,
                "detail": str, "digest": bytes, "count": int, "last_boot": int, "last_boottime": int, "last_wall": int,
            },
            pk="id",
        )  # fmt: skip
        table.create_index(["appliance", "id"])
        table.create_index(["wall"])
        database.table("memories").create({"appliance": str, "memory": str}, pk="appliance")
        return
    database.table("streams").create(
        {"id": int, "kind": int, "device": str, "metric": str, "unit": str}, pk="id"
    )
    database.table("streams").create_index(["device", "metric"])
    # What was heard before there were packs, by number. `value` has no type of its own, so that whole numbers, fractions and
    # words come back as what they were.
    database.execute(
        "CREATE TABLE readings (seq INTEGER PRIMARY KEY, stream INTEGER, boot INTEGER, boottime INTEGER,"
        " wall INTEGER, value, quality INTEGER, reason TEXT, flags INTEGER)"
    )
    database.table("batches").create(
        {"first": int, "boot": int, "boottime": int, "low": int, "high": int}, pk="first"
    )
    database.table("snapshots").create(
        {"id": int, "boot": int, "boottime": int, "wall": int, "seq": int, "blob": bytes}, pk="id"
    )
    # The last decision known to be committed: the other file's loss of its newest rows shows against this.
    database.table("heads").create({"id": int, "decision": int, "digest": bytes}, pk="id")


def _unreleased(database: "Database", name: str) -> None:
    """Shape 1 was never released; the number is taken."""


def _losses(database: "Database", name: str) -> None:
    """What was found lost stays known, also when later decisions have gone on from what was left."""
    if name == DECISIONS:
        database.table("losses").create({"id": int, "first": int, "last": int, "noticed": int}, pk="id")
        # The last decision that retention removed: the oldest that is left must continue it. Unknown in an older file.
        database.table("anchors").create({"id": int, "decision": int, "digest": bytes}, pk="id")
        database.execute("INSERT INTO anchors SELECT 1, MIN(id) - 1, NULL FROM decisions HAVING MIN(id) > 1")


def _labels(database: "Database", name: str) -> None:
    """What models should have read, as people told it: kept with the decisions, for a refit is no better than these."""
    if name == DECISIONS:
        database.table("labels").create(
            {
                "id": int, "boot": int, "boottime": int, "wall": int, "appliance": str, "channel": str, "label": str,
                "since": int, "until": int, "by": str,
            },
            pk="id",
        )  # fmt: skip
        database.table("labels").create_index(["appliance", "channel", "until"])


def _packs(database: "Database", name: str) -> None:
    """What is heard from here on lies in packs. Rows that are there stay what they are until they are forgotten."""
    if name == READINGS:
        database.table("packs").create({"first": int, "rows": int, "blob": bytes}, pk="first")


MIGRATIONS: tuple[Callable[["Database", str], None], ...] = (_unreleased, _first, _losses, _labels, _packs)
"""What leads from each shape to the next; how many were run is kept in PRAGMA user_version. Append only."""
