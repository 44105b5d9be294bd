"""Owns looking at the state folder from outside, for whoever wants to know whether it is sound: nothing in it is changed.

Never in here: what to do about it.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.adapters.store import ballast, schema
from appliance.adapters.store.chain import Walk, walk
from appliance.adapters.store.highwater import Head, HighWater
from appliance.adapters.store.readonly import read_only
from appliance.errors import StoreError

FILES = {"decisions": schema.DECISIONS, "readings": schema.READINGS}
MOST = 5
"""Complaints about a file that are told."""


class Disk(msgspec.Struct, frozen=True):
    """`free`: bytes that we may still write. `held`: whether the ballast is there; it is not counted as free."""

    free: int
    held: bool


def complaints(folder: Path, name: str, longest_s: float) -> Sequence[str] | None:
    """Return what SQLite finds broken in the shape of one file, or None where `longest_s` was too short to tell.

    Raises:
        StoreError: it can't be read at all.
    """
    deadline = time.monotonic() + longest_s
    try:
        with read_only(folder / name, longest_s) as connection:
            found = connection.execute(f"PRAGMA quick_check({MOST})").fetchall()
    except StoreError:
        if time.monotonic() > deadline:
            return None
        raise
    said = [str(row[0]) for row in found]
    return [] if said == ["ok"] else said


def chain(folder: Path, longest_s: float) -> Walk | None:
    """Return what is found along the chain of digests, or None where `longest_s` was too short. Raises StoreError."""
    deadline = time.monotonic() + longest_s
    return walk(folder, lambda: time.monotonic() < deadline)


def high_water(folder: Path) -> Head | None:
    """Return up to which decision all are known to have been committed; None where no mark can be read."""
    return HighWater(folder).read()


def set_aside(folder: Path) -> list[str]:
    """Return the names of broken files that were moved out of the way. Raises OSError."""
    return sorted(path.name for name in FILES.values() for path in schema.aside_of(folder / name))


def disk(folder: Path) -> Disk:
    """Return how much room there is. Raises OSError."""
    found = os.statvfs(folder)
    held = folder / ballast.NAME
    return Disk(found.f_bavail * found.f_frsize, held.exists() and held.stat().st_size == ballast.SIZE)
