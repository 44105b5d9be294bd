"""Owns what is forgotten: by age and by size, in small steps, so that nobody waits for it.

Never in here: when.
"""

import sqlite3

import msgspec

DAY_NS = 86_400 * 1_000_000_000
STEP_ROWS = 20_000
MAX_STEPS = 200
FREE_PAGES = 2000


class Limits(msgspec.Struct, frozen=True):
    """How long, and how much."""

    decisions_days: int = 400
    readings_days: int = 90
    max_mb: int = 1024


def thin(
    decisions: sqlite3.Connection, readings: sqlite3.Connection, limits: Limits, now_wall_ns: int
) -> int:
    """Delete what is too old or too much; return how many rows. The newest decision always stays: the chain goes on from it."""
    gone = decisions.execute(
        "DELETE FROM decisions WHERE wall < ? AND id < (SELECT MAX(id) FROM decisions)",
        (now_wall_ns - limits.decisions_days * DAY_NS,),
    ).rowcount
    oldest = now_wall_ns - limits.readings_days * DAY_NS
    for _ in range(MAX_STEPS):
        low = readings.execute("SELECT MIN(seq) FROM readings").fetchone()[0]
        if low is None:
            break
        # A batch's time stands for its rows': what is forgotten is forgotten a batch at a time.
        edge = readings.execute("SELECT MAX(first) FROM batches WHERE wall < ?", (oldest,)).fetchone()[0]
        too_much = _bytes(readings) > limits.max_mb << 20
        if not too_much and (edge is None or edge <= low):
            break
        until = low + STEP_ROWS if too_much else min(low + STEP_ROWS, edge)
        step = readings.execute("DELETE FROM readings WHERE seq < ?", (until,)).rowcount
        readings.execute(
            "DELETE FROM batches WHERE first < (SELECT COALESCE(MAX(first), 0) FROM batches WHERE first <= ?)",
            (until,),
        )
        readings.execute(f"PRAGMA incremental_vacuum({FREE_PAGES})").fetchall()
        if step == 0:
            break
        gone += step
    return gone


def _bytes(connection: sqlite3.Connection) -> int:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int((pages - free) * size)
