"""Owns the one writer: a thread with the only writing connections.

Acknowledged means committed. Where the disk fails, what is not committed yet waits in the queue, health says so, and the
thread tries again. Never in here: reading for others, or what is worth keeping.
"""

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.adapters.store.file import File
from appliance.adapters.store.journal import Journal
from appliance.adapters.store.ledger import Ledger, Restored
from appliance.adapters.store.queue import BATCH_ROWS, Done, Queue, tell
from appliance.adapters.store.retention import Limits, forget_decisions, forget_readings
from appliance.core.clock import Instant

log = logging.getLogger(__name__)

BATCH_S = 60.0
"""Readings are committed so often: at once would write 75 times as much to an SD card."""
THIN_EVERY_S = 3600.0

Broken = (sqlite3.Error, OSError)


class Health(msgspec.Struct, frozen=True):
    """How the disk is. `reason` and `since` are None while it is well; `waiting` decisions are in memory alone.

    `decisions_lost` could not be recorded, or had to make room for newer ones before they were.
    """

    reason: str | None
    waiting: int
    readings_dropped: int
    commits: int
    since: Instant | None = None
    decisions_lost: int = 0

    @property
    def state(self) -> str:
        """One of "ok" and "degraded"."""
        return "ok" if self.reason is None else "degraded"


class Writer(Queue):
    """The thread, behind its queue. The two files fail and recover each by itself."""

    def __init__(
        self, folder: Path, limits: Limits, clock: Callable[[], Instant], batch_s: float = BATCH_S
    ) -> None:
        super().__init__()
        self._limits = limits
        self._clock = clock
        self._batch_s = batch_s
        self._ledger = Ledger(folder, clock)
        self._journal = Journal(folder, clock)
        self._closing = False
        self._commits = 0
        self._next_batch = time.monotonic() + batch_s
        self._next_thin = 0.0
        self.on_commit: Callable[[list[int]], None] | None = None
        """Called from the writer's thread with the numbers of decisions that were just committed."""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> Restored:
        """Open, read what an earlier run left, and begin to write. A disk that can't be used is no error: see `health`."""
        restored = self._restore()
        self.mark("daemon", "start", self._clock())
        if restored.missing is not None:
            self.mark("history", f"decision {restored.missing} is missing", self._clock())
        self._thread.start()
        return restored

    def close(self, timeout_s: float = 3.0) -> None:
        """Write what is left, and end. Waits no longer than `timeout_s` for a disk that hangs."""
        if not self._thread.is_alive():
            return
        self.mark("daemon", "stop", self._clock())
        with self.lock:
            self._closing = True
            self.lock.notify()
        self._thread.join(timeout_s)

    def alive(self) -> bool:
        """Return whether the thread still runs."""
        return self._thread.is_alive()

    def health(self) -> Health:
        """Return how the disk is."""
        with self.lock:
            broken = next((file for file in (self._ledger, self._journal) if file.reason is not None), None)
            return Health(
                None if broken is None else broken.reason,
                len(self.decisions) + self.committing,
                self.dropped,
                self._commits,
                None if broken is None else broken.since,
                self.lost,
            )

    def _restore(self) -> Restored:
        """Before the thread runs: return what the files hold."""
        head = None
        try:
            _open(self._journal)
            head = self._journal.head()
        except Broken as broken:
            self._journal.fail(broken)
        try:
            _open(self._ledger)
            restored = self._ledger.restore()
            if head is None or not self._ledger.lacks(head):
                return restored
        except Broken as broken:
            self._ledger.fail(broken)
            # Numbers that no disk can have given out: should it come back, nothing collides.
            return Restored(
                next_id=max(self._clock().wall_ns // 1_000_000, 1 if head is None else head.id + 1)
            )
        log.error("decision %d was committed and is missing: the history has lost its newest rows", head.id)
        # Their numbers are not given out again: somebody may have noted them.
        next_id = max(restored.next_id, head.id + 1)
        return msgspec.structs.replace(restored, missing=head.id, next_id=next_id)

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except Exception:
            # A bug here must be seen: the thread ends, and whoever watches over it ends the process.
            log.exception("the store's writer failed")
            raise
        finally:
            self.end()
            self._ledger.close()
            self._journal.close()

    def _turn(self) -> bool:
        """Wait until something is due, and do it; return whether to go on. Decisions come before anything else."""
        with self.lock:
            while (patience := self._patience()) > 0:
                self.lock.wait(patience if patience < math.inf else None)
            closing = self._closing
            whole, self.flushing = self.flushing or closing, False
            dones, self.dones = self.dones, []
            flushes, self.flushes = self.flushes, []
            full = len(self.entries) >= BATCH_ROWS
        self._write_decisions(dones, force=closing)
        if whole or full or time.monotonic() >= self._next_batch or not self._journal.is_open:
            self._write_batch(flushes, whole=whole)
        if not closing and self._may_thin() and time.monotonic() >= self._next_thin:
            self._thin()
        return not closing

    def _patience(self) -> float:
        """Under the lock: return for how many seconds nothing is due."""
        if self._closing or self.flushing or self.dones or self.flushes:
            return 0.0
        if self._ledger.ready() and (self.decisions or self.memories or self._ledger.behind):
            return 0.0
        if self._journal.ready() and (len(self.entries) >= BATCH_ROWS or not self._journal.is_open):
            return 0.0
        due = min(
            math.inf if self._ledger.is_open else self._ledger.retry_at,
            self._next_batch if self._journal.is_open else self._journal.retry_at,
            self._next_thin if self._may_thin() else math.inf,
        )
        return due - time.monotonic()

    def _write_decisions(self, dones: list[Done], *, force: bool) -> None:
        if not (self._ledger.ready() or force):
            tell(dones, self._ledger.reason)
            return
        taken, memories = self.take_decisions()
        refused: frozenset[int] = frozenset()
        try:
            if taken or memories or self._ledger.behind:
                refused = self._ledger.commit([decision for decision, _ in taken], memories)
                self._commits += 1
        except Broken as broken:
            self._fail(self._ledger, broken)
            self.return_decisions(taken, memories)
            tell(dones, self._ledger.reason)
            return
        committed = self.note_decisions(taken, refused)
        tell(dones, None)
        if committed and self.on_commit is not None:
            try:
                self.on_commit(committed)
            except Exception:
                log.exception("whoever waits for commits failed")

    def _write_batch(self, flushes: list[Done], *, whole: bool) -> None:
        if self._ledger.is_open and (repeats := self.take_repeats()):
            try:
                self._ledger.count(repeats)
            except Broken as broken:
                self._fail(self._ledger, broken)
                self.return_repeats(repeats)
        if not (self._journal.ready() or whole):
            tell(flushes, self._journal.reason)
            return
        try:
            entries = self.take_entries(None if whole else BATCH_ROWS)
            self._journal.append(entries, self._ledger.head if self._ledger.is_open else None)
        except Broken as broken:
            self._fail(self._journal, broken)
            self.return_entries()
            tell(flushes, self._journal.reason)
            return
        self.note_entries()
        self._commits += 1
        self._next_batch = time.monotonic() + self._batch_s
        tell(flushes, None)

    def _may_thin(self) -> bool:
        return self._ledger.is_open and self._journal.is_open

    def _thin(self) -> None:
        """Forget a little; come back at once where there is more, so that what is to be written comes between."""
        more = False
        now = self._clock().wall_ns
        for file, forget in ((self._ledger, forget_decisions), (self._journal, forget_readings)):
            try:
                more = forget(file.use(), self._limits, now) or more
            except Broken as broken:
                self._fail(file, broken)
        if not more:
            self._next_thin = time.monotonic() + THIN_EVERY_S

    def _fail(self, file: File, broken: Exception) -> None:
        with self.lock:
            file.fail(broken)


def _open(file: File) -> None:
    """Open `file`; where it is corrupt, a new one in its place."""
    try:
        file.use()
    except Broken as broken:
        file.fail(broken)
        if not file.corrupt:
            raise
        file.use()
        file.well()
