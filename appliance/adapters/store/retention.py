"""Owns what is forgotten: by age and by size, a small step at a time, so that nobody waits for it.

Never in here: when.
"""

import sqlite3

import msgspec

from appliance.adapters.store import spans

DAY_NS = 86_400 * 1_000_000_000
STEP_DECISIONS = 200
STEP_READINGS = 4000
STEP_PACKED = 16_000
"""Of readings in packs, which are a row for thousands of them."""
FREE_BYTES = 2 << 20
"""So much a step gives back to the disk: more than a step of readings frees, so the file shrinks as fast as it is emptied."""


class Limits(msgspec.Struct, frozen=True):
    """How long, and how much: `max_mb` (MiB) is the size of the readings, without their log."""

    decisions_days: int = 400
    readings_days: int = 90
    max_mb: int = 1024


def forget_decisions(connection: sqlite3.Connection, limits: Limits, now_wall_ns: int) -> bool:
    """Delete a few of the decisions that are too old; return whether there may be more.

    Only from the old end, up to the first that is young enough: one that a clock set wrongly dated long ago stays where it
    is, for the chain's sake. The newest always stays: the chain goes on from it.
    """
    oldest = now_wall_ns - limits.decisions_days * DAY_NS
    connection.execute("DELETE FROM labels WHERE until < ?", (oldest,))
    last, gone = connection.execute(
        "SELECT MAX(id), COUNT(*) FROM decisions WHERE id <"
        " (SELECT COALESCE((SELECT id FROM decisions WHERE +wall >= ? ORDER BY id LIMIT 1), (SELECT MAX(id) FROM decisions)))"
        " AND id IN (SELECT id FROM decisions ORDER BY id LIMIT ?)",
        (oldest, STEP_DECISIONS),
    ).fetchone()
    if not gone:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "INSERT OR REPLACE INTO anchors SELECT 1, id, digest FROM decisions WHERE id = ?", (last,)
        )
        connection.execute("DELETE FROM decisions WHERE id <= ?", (last,))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    _shrink(connection)
    return bool(gone == STEP_DECISIONS)


def forget_readings(connection: sqlite3.Connection, limits: Limits, now_wall_ns: int) -> bool:
    """Delete a few of the readings that are too old or too many; return whether there may be more.

    What is too old goes a batch at a time, from the old end up to the first batch that is young enough. The newest batch
    always stays: numbers go on from it.
    """
    rows = spans.oldest_row(connection)
    low = spans.oldest_packed(connection) if rows is None else rows
    newest = connection.execute("SELECT MAX(first) FROM batches").fetchone()[0]
    if low is None or newest is None:
        return False
    too_much = _bytes(connection) > limits.max_mb << 20
    young = connection.execute(
        "SELECT MIN(first) FROM batches WHERE high >= ?", (now_wall_ns - limits.readings_days * DAY_NS,)
    ).fetchone()[0]
    until = min(
        low + (STEP_PACKED if rows is None else STEP_READINGS),
        newest if too_much or young is None else min(young, newest),
    )
    if until <= low:
        return False
    # A pack is forgotten whole: it lies in its batch from end to end.
    inside = connection.execute("SELECT MAX(first) FROM packs WHERE first < ?", (until,)).fetchone()[0]
    if inside is not None:
        until = connection.execute("SELECT MIN(first) FROM packs WHERE first > ?", (inside,)).fetchone()[0]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("DELETE FROM readings WHERE seq < ?", (until,))
        connection.execute("DELETE FROM packs WHERE first < ?", (until,))
        # A batch of which some rows are left stays.
        connection.execute(
            "DELETE FROM batches WHERE first < (SELECT MAX(first) FROM batches WHERE first <= ?)", (until,)
        )
        connection.execute("DELETE FROM snapshots WHERE id > 1 AND seq < ?", (until,))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    _shrink(connection)
    return True


def _shrink(connection: sqlite3.Connection) -> None:
    # As a script, which is run to its end: `execute` stops after the first page.
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.executescript(f"PRAGMA incremental_vacuum({FREE_BYTES // page})")


def _bytes(connection: sqlite3.Connection) -> int:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int((pages - free) * size)
