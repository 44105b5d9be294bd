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
    at the old end meanwhile are no fault; the oldest row is where the chain is taken up. Raises StoreError.
    """
    path = folder / schema.DECISIONS
    before: bytes | None = None
    count = last = 0
    faults: list[Fault] = []
    while len(faults) < MOST_FAULTS:
        with read_only(path) as connection:
            oldest = connection.execute("SELECT MIN(id) FROM decisions").fetchone()[0]
            page = connection.execute(_ROWS, (last, PAGE)).fetchall()
        if not page:
            break
        if oldest > last:
            before = None
        for row in page:
            number, digest = int(row[0]), row[rows.DIGEST]
            if not _continues(before, row):
                gap = before is not None and number > last + 1
                faults.append(Fault(last + 1, number - 1, altered=False) if gap else Fault(number, number, altered=True))
            before, last = bytes(digest) if isinstance(digest, bytes) else b"", number
        count += len(page)
        if not rest():
            return None
    return Walk(count, last, tuple(faults[:MOST_FAULTS]))


def _continues(before: bytes | None, row: tuple[object, ...]) -> bool:
    """Return whether a row is a decision, and its digest what it must be after `before`; None: any digest will do."""
    try:
        decision = rows.kept_of(row).decision
    except sqlite3.DatabaseError:
        return False
    return before is None or rows.digest(before, decision, rows.detail_in(row)) == row[rows.DIGEST]
