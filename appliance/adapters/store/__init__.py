"""What is remembered: two SQLite files, one writer, read-only readers."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from appliance.adapters.store.queries import Point, Queries, Stored
from appliance.adapters.store.retention import Limits
from appliance.adapters.store.rows import Kept
from appliance.adapters.store.writer import BATCH_S, Health, Restored, Writer
from appliance.core.clock import Instant
from appliance.errors import ConfigError

__all__ = ["BATCH_S", "Health", "Kept", "Limits", "Point", "Queries", "Restored", "Store", "Stored", "lock"]


class Store(Writer):
    """The writer, and what may be asked. `queries` needs the disk; `ring` does not."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], Instant],
        limits: Limits = Limits(),  # noqa: B008  frozen
        *,
        batch_s: float = BATCH_S,
    ) -> None:
        super().__init__(folder, limits, clock, batch_s)
        self.queries = Queries(folder)


def lock(folder: Path) -> int:
    """Take `folder` for this process alone; return the descriptor to keep open. Ends with the process, however it ends.

    Raises:
        ConfigError: another process has it, or it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as broken:
        raise ConfigError(
            f"[store] folder {folder}: {broken.strerror}", hint="make it writable, or choose another"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise ConfigError(
            f"[store] folder {folder}: another daemon (process {holder or 'unknown'}) uses it",
            hint="stop that one, or give this one a folder of its own",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor
