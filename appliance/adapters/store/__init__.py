"""What is remembered: two SQLite files, one writer, read-only readers."""

from collections.abc import Callable
from pathlib import Path

from appliance.adapters.store.backup import backup
from appliance.adapters.store.bins import Point
from appliance.adapters.store.history import Stored
from appliance.adapters.store.journal import Kind
from appliance.adapters.store.ledger import Restored
from appliance.adapters.store.locking import holder, lock
from appliance.adapters.store.queries import Queries
from appliance.adapters.store.retention import Limits
from appliance.adapters.store.rows import Kept
from appliance.adapters.store.watching import AFTER_S
from appliance.adapters.store.writer import BATCH_S, Health, Writer
from appliance.core.clock import Instant

__all__ = [
    "BATCH_S", "Health", "Kept", "Kind", "Limits", "Point", "Queries", "Restored", "Store", "Stored", "backup",
    "holder", "lock",
]  # fmt: skip


class Store(Writer):
    """The writer, and what may be asked. `queries` needs the disk; `ring` does not."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], Instant],
        limits: Limits = Limits(),  # noqa: B008  frozen
        *,
        batch_s: float = BATCH_S,
        check_after_s: float = AFTER_S,
    ) -> None:
        super().__init__(folder, limits, clock, batch_s, check_after_s)
        self.queries = Queries(folder)
