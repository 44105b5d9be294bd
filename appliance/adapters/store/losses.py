"""Owns what is known to be lost: which decisions, and when it was noticed. It stays in the decisions file.

Never in here: noticing it.
"""

import sqlite3
from collections.abc import Iterable

import msgspec

MOST = 100
"""So many losses are kept; of more, the newest."""


class Loss(msgspec.Struct, frozen=True):
    """Decisions `first` to `last` were committed and are not there; noticed at wall time `noticed_ns`."""

    first: int
    last: int
    noticed_ns: int

    def __str__(self) -> str:
        which = (
            f"decision {self.first}" if self.first == self.last else f"decisions {self.first} to {self.last}"
        )
        return f"{which} {'was' if self.first == self.last else 'were'} committed and lost"


def read(connection: sqlite3.Connection) -> tuple[Loss, ...]:
    """Return the losses that the file tells, the oldest first. Raises sqlite3.Error."""
    found = connection.execute("SELECT first, last, noticed FROM losses ORDER BY id").fetchall()
    return tuple(Loss(*row) for row in found)


def add(connection: sqlite3.Connection, losses: Iterable[Loss]) -> None:
    """Add `losses` in the caller's transaction. Raises sqlite3.Error."""
    connection.executemany(
        "INSERT INTO losses (first, last, noticed) VALUES (?,?,?)",
        [(loss.first, loss.last, loss.noticed_ns) for loss in losses],
    )
    connection.execute("DELETE FROM losses WHERE id <= (SELECT MAX(id) FROM losses) - ?", (MOST,))
