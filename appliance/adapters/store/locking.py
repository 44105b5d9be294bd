"""Owns keeping a state folder for one process. Never in here: what is in the folder otherwise."""

import contextlib
import errno
import fcntl
import logging
import os
from pathlib import Path

from appliance.errors import ConfigError

log = logging.getLogger(__name__)

DISK = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""The disk's faults, not the operator's: without a disk control goes on."""


def lock(folder: Path) -> int:
    """Take `folder` for this process alone; return the descriptor to keep open. Ends with the process, however it ends.

    Raises:
        ConfigError: another process has it, or it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = _open(folder)
    except OSError as broken:
        raise ConfigError(
            f"[store] folder {folder}: {broken.strerror}", hint="make it writable, or choose another"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(
            f"[store] folder {folder}: another daemon (process {_holder(folder)}) uses it",
            hint="stop that one, or give this one a folder of its own",
        ) from None
    with contextlib.suppress(OSError):  # a full or read-only disk: locked all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor


def holder(folder: Path) -> int | None:
    """Return the process that has `folder` for itself, as the kernel tells, or None. Takes no lock, not even for a moment.

    Raises:
        OSError: the kernel does not tell.
    """
    inodes = set()
    for path in (folder / "lock", folder):
        with contextlib.suppress(FileNotFoundError):
            inodes.add(path.stat().st_ino)
    written = _holder(folder)
    # Of each: its number, FLOCK, ADVISORY, WRITE, the process, major:minor:inode, the range. A layered file system names
    # another device there than to us, so the process that wrote itself down counts as well.
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[3] == "WRITE":
            major, minor, inode = words[5].split(":")
            if int(inode) in inodes:
                device = os.makedev(int(major, 16), int(minor, 16))
                if device == folder.stat().st_dev or words[4] == written:
                    return int(words[4])
    return None


def _open(folder: Path) -> int:
    path = folder / "lock"
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as broken:
        if broken.errno not in DISK:
            raise
        log.warning("the lock in %s can't be written: %s", folder, broken.strerror)
    # A lock needs no writing: the file of an earlier run serves, and the folder itself where there is none.
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(folder, os.O_RDONLY | os.O_CLOEXEC)


def _holder(folder: Path) -> str:
    try:
        with (folder / "lock").open(encoding="ascii", errors="replace") as file:
            return file.read(32).strip() or "unknown"
    except OSError:
        return "unknown"
