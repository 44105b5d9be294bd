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
