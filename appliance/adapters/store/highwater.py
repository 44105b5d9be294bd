"""Owns the high-water mark: how far the decisions had been committed, in a small file of its own.

A decisions file out of an old copy, cut short or without its log is whole in itself; only against this is its loss seen. Never in
here: what follows from a loss.
"""

import contextlib
import math
import os
import re
import time
import zlib
from pathlib import Path

import msgspec

NAME = "high-water"
SLOT = 4096
"""Bytes. Two slots are written in turn, so that a write which the loss of power tears leaves the one before."""
SYNC_EVERY_S = 1.0
SYNC_MOST = 32
"""A mark is synced at once after a quiet second, else at the latest after a second or so many decisions."""
_LINE = re.compile(rb"(\d{1,19}) ([0-9a-f]{64}) ([0-9a-f]{8})\n")


class Head(msgspec.Struct, frozen=True):
    """The newest decision that is committed: its number and its digest."""

    id: int
    digest: bytes


class HighWater:
    """The mark in `folder`. `reason` says why it could not be written or synced last time, or is None.

    A sync costs about half as much as the commit that the mark tells of, so several commits share one. It is `due` at that time.monotonic().
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: Head | None = None
        self._slot = 0
        self._owed = False
        self._synced = 0
        self._synced_at = -math.inf
        self.due = math.inf
        self.reason: str | None = None

    def read(self) -> Head | None:
        """Return the mark, or None where there is none that can be read."""
        best: Head | None = None
        with contextlib.suppress(OSError):
            with self._path.open("rb") as file:
                held = file.read(2 * SLOT)
            for slot in (0, 1):
                found = _parsed(held[slot * SLOT :])
                if found is not None and (best is None or found.id > best.id):
                    best, self._slot = found, 1 - slot
        self._known, self._synced = best, 0 if best is None else best.id
        return best

    def rise(self, head: Head) -> None:
        """Write `head` where it is above the mark: it outlives the process at once, and the loss of power once it is synced, which
        is done here where it tells of `SYNC_MOST` decisions more than what is on the disk.

        What fails is kept in `reason`; call it again then.
        """
        if self._known is not None and head.id <= self._known.id:
            if not self._owed:
                self.reason = None
            return
        try:
            made = self._write(_line(head))
        except OSError as broken:
            self._failed(broken)
            return
        self._owed, self._known = True, head
        if made:
            self._settled()
        elif head.id - self._synced >= SYNC_MOST:
            self.sync()
        else:
            self.due = min(self.due, self._synced_at + SYNC_EVERY_S)

    def sync(self) -> None:
        """Have what was written on the disk. What fails is kept in `reason`; `rise` writes it again then."""
        if self._owed:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as broken:
                self._failed(broken)
                return
        self._settled()

    def _settled(self) -> None:
        # The other slot is written only now: while one is on its way to the disk, the one that is there already stays.
        if self._owed:
            self._slot = 1 - self._slot
        if self._known is not None:
            self._synced = self._known.id
        self._owed, self._synced_at, self.due, self.reason = False, time.monotonic(), math.inf, None

    def _failed(self, broken: OSError) -> None:
        # The slot may be torn, or the kernel may hold it for written: it is written afresh, and the other one stays.
        self._known, self._owed, self.due = None, False, math.inf
        self.reason = f"{NAME}: {broken.strerror}"

    def _write(self, line: bytes) -> bool:
        """Write the slot; return whether the file was made for it, which syncs it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size == 2 * SLOT:
                _whole(descriptor, line, self._slot * SLOT)
                return False
            # Its room is taken now, so that a disk which is full later can't refuse the mark.
            empty = b" " * (SLOT - 1) + b"\n"
            slots = [empty, empty]
            slots[self._slot] = line + empty[len(line) :]
            _whole(descriptor, b"".join(slots), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True


def _whole(descriptor: int, given: bytes, offset: int) -> None:
    written = os.pwrite(descriptor, given, offset)
    if written < len(given):
        os.pwrite(descriptor, given[written:], offset + written)


def _line(head: Head) -> bytes:
    said = f"{head.id} {head.digest.hex()} ".encode("ascii")
    return said + f"{zlib.crc32(said):08x}\n".encode("ascii")


def _parsed(slot: bytes) -> Head | None:
    found = _LINE.match(slot)
    if found is None or zlib.crc32(found[0][: -len(found[3]) - 1]) != int(found[3], 16):
        return None
    return Head(int(found[1]), bytes.fromhex(found[2].decode("ascii")))
