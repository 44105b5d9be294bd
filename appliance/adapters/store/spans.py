"""Owns finding what was heard by its number, in whichever of two shapes it lies: packs, and before them the rows of earlier versions.

Never in here: what is looked for, or writing.
"""

import sqlite3
from collections.abc import Iterator

from appliance.adapters.store import schema
from appliance.adapters.store.packs import Numbered, Pack
from appliance.adapters.store.readonly import Reader

OLD = "SELECT seq, stream, boot, boottime, wall, value, quality, reason, flags FROM readings"


def newest(connection: sqlite3.Connection) -> int:
    """Return the greatest number that was given out; 0 where there is none. Raises sqlite3.Error."""
    rows = connection.execute("SELECT COALESCE(MAX(seq), 0) FROM readings").fetchone()[0]
    last = (
        connection.execute("SELECT first + rows - 1 FROM packs ORDER BY first DESC LIMIT 1").fetchone()
        if packed(connection)
        else None
    )
    return int(rows if last is None else last[0])


def oldest(connection: sqlite3.Connection) -> int | None:
    """Return the least number that is left, or None. Raises sqlite3.Error."""
    found = oldest_row(connection)
    return oldest_packed(connection) if found is None else found


def oldest_row(connection: sqlite3.Connection) -> int | None:
    """Return the least number that lies in a row of an earlier version, or None. Raises sqlite3.Error."""
    found = connection.execute("SELECT MIN(seq) FROM readings").fetchone()[0]
    return None if found is None else int(found)


def oldest_packed(connection: sqlite3.Connection) -> int | None:
    """Return the least number that lies in a pack, or None. Raises sqlite3.Error."""
    found = connection.execute("SELECT MIN(first) FROM packs").fetchone()[0] if packed(connection) else None
    return None if found is None else int(found)


def packs(connection: Reader, first: int, end: int) -> Iterator[Pack]:
    """Yield each pack that holds a number from `first` on and below `end`, whole, in order. Raises sqlite3.Error."""
    if packed(connection):
        for number, blob in connection.execute(
            "SELECT first, blob FROM packs WHERE first < ?2"
            " AND first >= COALESCE((SELECT MAX(first) FROM packs WHERE first <= ?1), ?1) ORDER BY first",
            (first, end),
        ):
            connection.check()
            found = Pack(number, blob)
            if number + len(found) > first:
                yield found


def packs_back(connection: Reader, first: int) -> Iterator[Pack]:
    """Yield each pack that begins at the number `first` or later, the newest first. Raises sqlite3.Error."""
    if packed(connection):
        for number, blob in connection.execute(
            "SELECT first, blob FROM packs WHERE first >= ? ORDER BY first DESC", (first,)
        ):
            connection.check()
            yield Pack(number, blob)


def rows(connection: Reader, first: int, limit: int) -> list[Numbered]:
    """Return what has the numbers from `first` on, in order: `limit` rows, where there are so many. Raises sqlite3.Error."""
    found: list[Numbered] = connection.execute(
        f"{OLD} WHERE seq >= ? ORDER BY seq LIMIT ?", (first, limit)
    ).fetchall()
    if len(found) < limit:
        for pack in packs(connection, first, 1 << 62):
            rows = pack.numbered()
            found += rows[max(0, first - pack.first) :]
            if len(found) >= limit:
                break
    return found[:limit]


def packed(connection: sqlite3.Connection) -> bool:
    """Return whether the file has packs: one that no daemon of this version wrote to has none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0]) >= schema.PACKED
