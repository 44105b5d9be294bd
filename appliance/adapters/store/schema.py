"""Owns the shape of the two files, and opening them for writing.

Tables are made and migrated with sqlite-utils, which is imported only then: at an ordinary start the shape is there. Never in
here: rows.
"""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlite_utils import Database

VERSION = 1
"""Of the shape, kept in PRAGMA user_version."""

DECISIONS = "decisions.sqlite3"
READINGS = "readings.sqlite3"


def open_for_writing(path: Path, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """Return a connection to the file at `path`, made or migrated where needed; transactions are begun by hand.

    FULL syncs the log at every commit, so that a commit survives the loss of power; NORMAL loses the last ones, and corrupts
    nothing. Raises sqlite3.Error or OSError.
    """
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        # A log that grew large is cut back, so that it does not take the room of what it was copied into.
        connection.execute("PRAGMA journal_size_limit = 4194304")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version < VERSION:
            _migrate(connection, path.name)
        elif version > VERSION:
            raise sqlite3.DatabaseError(f"{path} has the shape {version} of a newer version")
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _migrate(connection: sqlite3.Connection, name: str) -> None:
    from sqlite_utils import Database  # noqa: PLC0415  190 ms that an ordinary start does not pay

    database = Database(connection, execute_plugins=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        database.table("boots").create({"id": int, "boot_id": str}, pk="id", if_not_exists=True)
        database.table("boots").create_index(["boot_id"], unique=True, if_not_exists=True)
        if name == DECISIONS:
            _decisions(database)
        else:
            _readings(database)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _decisions(database: "Database") -> None:
    table = database.table("decisions")
    table.create(
        {
            "id": int, "boot": int, "boottime": int, "wall": int, "appliance": str, "action": str, "source": str,
            "detail": str, "digest": bytes, "count": int, "last_boot": int, "last_boottime": int, "last_wall": int,
        },
        pk="id", if_not_exists=True,
    )  # fmt: skip
    table.create_index(["appliance", "id"], if_not_exists=True)
    table.create_index(["wall"], if_not_exists=True)
    database.table("memories").create({"appliance": str, "memory": str}, pk="appliance", if_not_exists=True)


def _readings(database: "Database") -> None:
    tables = database.table
    tables("streams").create(
        {"id": int, "device": str, "metric": str, "unit": str}, pk="id", if_not_exists=True
    )
    tables("streams").create_index(["device", "metric"], unique=True, if_not_exists=True)
    # Appended by rowid and indexed by batch alone: an index a row would triple what an SD card has to take.
    database.execute(
        "CREATE TABLE IF NOT EXISTS readings (seq INTEGER PRIMARY KEY, stream INTEGER, boot INTEGER, boottime INTEGER,"
        " wall INTEGER, value, quality INTEGER, reason TEXT, retained INTEGER)"
    )
    tables("batches").create({"first": int, "wall": int}, pk="first", if_not_exists=True)
    tables("snapshots").create(
        {"id": int, "boot": int, "boottime": int, "wall": int, "seq": int, "blob": bytes},
        pk="id",
        if_not_exists=True,
    )
