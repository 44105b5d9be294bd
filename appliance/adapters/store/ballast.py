"""Owns the ballast: room on the disk that is held while there is plenty, and let go when the disk is full.

A full disk takes not even a deletion; with the ballast gone, decisions are committed for a long while. Never in here: when the disk is
full.
"""

import contextlib
import errno
import logging
import os
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "ballast"
SIZE = 4 << 20
"""Bytes: some thousands of decisions."""
LEAST = 64 << 10
"""Bytes. With fewer nothing is opened."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Ballast:
    """The file in `folder`. `held` is None before anybody looked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.held: bool | None = None

    def hold(self, spare: int) -> None:
        """Make it where it is missing and at least `spare` bytes stay free beside it. Never raises."""
        try:
            if self._path.exists() and self._path.stat().st_size == SIZE:
                self.held = True
                return
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < SIZE + spare:
                self.held = False
                return
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, SIZE)
                os.ftruncate(descriptor, SIZE)
            finally:
                os.close(descriptor)
        except OSError:
            self.release()
            return
        if self.held is False:
            log.warning("the disk has room again: %d MB are held in reserve", SIZE >> 20)
        self.held = True

    def release(self) -> bool:
        """Give its room to others; return whether there was any."""
        had = False
        with contextlib.suppress(OSError):
            had = self._path.stat().st_size > 0
            self._path.unlink()
        if had and self.held:
            log.warning("the disk is full: the reserve of %d MB is given to decisions", SIZE >> 20)
        self.held = False
        return had


def is_full(broken: Exception, folder: Path) -> bool:
    """Return whether `broken`, which happened in `folder`, is for want of room or of inodes.

    SQLite says "I/O error" or "can't open" where there is no room for the index of its log; then the disk is asked.
    """
    if isinstance(broken, OSError):
        return broken.errno in FULL
    code = getattr(broken, "sqlite_errorcode", None)
    if code is None or code & 0xFF not in {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }:
        return False
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return True
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < LEAST or (disk.f_files > 0 and disk.f_favail == 0)
