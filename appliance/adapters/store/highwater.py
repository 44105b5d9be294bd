"""Owns the high-water mark: how far the decisions had been committed, in a small file of its own.

A decisions file out of an old copy, cut short or without its log is whole in itself; only against this is its loss seen. Never in
here: what follows from a loss.
"""

import contextlib
import os
import re
import zlib
from pathlib import Path

import msgspec

NAME = "high-water"
SLOT = 4096
"""Bytes. Two slots are written in turn, so that a write which the loss of power tears leaves the one before."""
_LINE = re.compile(rb"(\d{1,19}) ([0-9a-f]{64}) ([0-9a-f]{8})\n")


class Head(msgspec.Struct, frozen=True):
    """The newest decision that is committed: its number and its digest."""

    id: int
    digest: bytes


class HighWater:
    """The mark in `folder`. `reason` says why it could not be written last time, or is None."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: Head | None = None
        self._slot = 0
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
        self._known = best
        return best

    def rise(self, head: Head) -> None:
        """Write `head` and sync it, where it is above the mark. What fails is kept in `reason`; call it again then."""
        if self._known is not None and head.id <= self._known.id:
            self.reason = None
            return
        try:
            self._write(_line(head))
        except OSError as broken:
            # The slot may be torn now: it is written again, and the other one stays.
            self.reason = f"{NAME}: {broken.strerror}"
            return
        self._known, self._slot, self.reason = head, 1 - self._slot, None

    def _write(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size == 2 * SLOT:
                _whole(descriptor, line, self._slot * SLOT)
                os.fdatasync(descriptor)
                return
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
