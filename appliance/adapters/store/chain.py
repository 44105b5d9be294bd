"""Owns going along the chain of digests: which decisions were altered, and where some are missing between others.

Never in here: what is missing at the end (the high-water mark tells), or saying it.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.adapters.store import rows, schema
from appliance.adapters.store.readonly import read_only

PAGE = 100
"""Rows that are read at once: some milliseconds, and no reader holds up a checkpoint for longer."""
MOST_FAULTS = 20
_ROWS = f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE decisions.id > ? ORDER BY decisions.id LIMIT ?"  # noqa: S608  fixed columns


class Fault(msgspec.Struct, frozen=True):
    """Decisions `first` to `last` are not there, or (`altered`) decision `last` is not what was committed."""

    first: int
    last: int
    altered: bool

    def __str__(self) -> str:
        if self.altered:
            return f"decision {self.last} is not what was committed"
        if self.first == self.last:
            return f"decision {self.first} is missing"
        return f"decisions {self.first} to {self.last} are missing"


class Walk(msgspec.Struct, frozen=True):
    """What was found: `rows` were looked at, up to decision `last`. `faults`, the oldest first, `MOST_FAULTS` at most."""

    rows: int
    last: int
    faults: tuple[Fault, ...]


def walk(folder: Path, rest: Callable[[], bool] = lambda: True) -> Walk | None:
    """Go along the chain of the decisions in `folder` a page at a time; return what was found.

    `rest` is called after each page, to wait or to end: where it says False, None is returned. Rows that retention removes
    at the old end meanwhile are no fault; the oldest row must continue the last one that was removed. Raises StoreError.
    """
    path = folder / schema.DECISIONS
    before: bytes | None = None
    count = last = 0
    faults: list[Fault] = []
    while len(faults) < MOST_FAULTS:
        with read_only(path) as connection:
            connection.execute("BEGIN")  # all of it as of one moment: retention goes on meanwhile
            page = connection.execute(_ROWS, (last, PAGE)).fetchall()
            if not page:
                break
            if connection.execute("SELECT MIN(id) FROM decisions").fetchone()[0] > last:
                last, before = _anchor(connection)
        for row in page:
            number, digest = int(row[0]), row[rows.DIGEST]
            if not _continues(before, row):
                gap = before is not None and number > last + 1
                faults.append(
                    Fault(last + 1, number - 1, altered=False) if gap else Fault(number, number, altered=True)
                )
            before, last = bytes(digest) if isinstance(digest, bytes) else b"", number
        count += len(page)
        if not rest():
            return None
    return Walk(count, last, tuple(faults[:MOST_FAULTS]))


def _anchor(connection: sqlite3.Connection) -> tuple[int, bytes | None]:
    """Return what the oldest decision must continue: the last one that retention removed, or nothing. None: nobody knows."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'anchors'").fetchone():
        return 0, None
    found = connection.execute("SELECT decision, digest FROM anchors WHERE id = 1").fetchone()
    return (0, rows.GENESIS) if found is None else (found[0], None if found[1] is None else bytes(found[1]))


def _continues(before: bytes | None, row: tuple[object, ...]) -> bool:
    """Return whether a row is a decision, and its digest what it must be after `before`; None: any digest will do."""
    try:
        decision = rows.kept_of(row).decision
    except sqlite3.DatabaseError:
        return False
    return before is None or rows.digest(before, decision, rows.detail_in(row)) == row[rows.DIGEST]
