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
from typing import TypeVar

import msgspec

from appliance.adapters.store.ballast import SIZE, Ballast, is_full
from appliance.adapters.store.file import File
from appliance.adapters.store.journal import RESERVE_BYTES, Journal
from appliance.adapters.store.ledger import Ledger, Restored
from appliance.adapters.store.queue import BATCH_ROWS, MOST_ROWS, Done, Queue, tell
from appliance.adapters.store.retention import Limits, forget_decisions, forget_readings
from appliance.adapters.store.watching import AFTER_S, Watch
from appliance.core.clock import Instant

log = logging.getLogger(__name__)

BATCH_S = 60.0
"""Readings are committed so often: at once would write 75 times as much to an SD card."""
FEW_ROWS = 4096
PATIENCE = 5
"""Fewer rows than these wait up to so many times as long: what a commit writes besides its rows (pages that are begun, the log's
index) is as much again as a thousand of them."""
COUNT_EVERY = 10
"""How often a decision was made again is written every so many batches' time: those rows lie all over their file."""
THIN_EVERY_S = 3600.0
MEND_EVERY_S = 3.0
START_TRIES = 3
START_TRY_S = 0.1
"""At the start a disk that fails is asked so often before it is done without: an earlier run's memory and numbers are worth a moment."""
TOLD_NS = 7 * 86_400 * 1_000_000_000
"""So long after it was noticed a loss is said; then it is known, and only who asks is told."""

Answer = TypeVar("Answer")

Broken = (sqlite3.Error, OSError)


class Health(msgspec.Struct, frozen=True):
    """How the disk is. `reason` and `since` are None while it is well; `waiting` decisions are in memory alone.

    `decisions_lost` could not be recorded, or had to make room for newer ones before they were. `history` says, a sentence each,
    what of it is lost or damaged, and is empty while nothing is known to be.
    """

    reason: str | None
    waiting: int
    readings_dropped: int
    commits: int
    since: Instant | None = None
    decisions_lost: int = 0
    history: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """One of "ok" and "degraded"."""
        return "ok" if self.reason is None else "degraded"


class Writer(Queue):
    """The thread, behind its queue. The two files fail and recover each by itself."""

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        clock: Callable[[], Instant],
        batch_s: float = BATCH_S,
        check_after_s: float = AFTER_S,
    ) -> None:
        super().__init__()
        self._limits = limits
        self._clock = clock
        self._batch_s = batch_s
        self._ledger = Ledger(folder, clock)
        self._journal = Journal(folder, clock)
        self._ballast = Ballast(folder)
        self._watch = Watch(folder, check_after_s)
        self._closing = False
        self._commits = 0
        self._next_batch = time.monotonic() + batch_s
        self._latest_batch = time.monotonic() + PATIENCE * batch_s
        self._next_count = time.monotonic() + COUNT_EVERY * batch_s
        self._next_thin = 0.0
        self._mended_at = 0.0
        self.on_commit: Callable[[list[int]], None] | None = None
        """Called from the writer's thread with the numbers of decisions that were just committed."""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> Restored:
        """Open, read what an earlier run left, and begin to write. A disk that can't be used is no error: see `health`."""
        restored = self._restore()
        self.mark("daemon", "start", self._clock())
        if restored.loss is not None:
            self.mark("history", str(restored.loss), self._clock())
        self._thread.start()
        self._watch.start()
        return restored

    def close(self, timeout_s: float = 3.0) -> None:
        """Write what is left, and end. Waits no longer than `timeout_s` for a disk that hangs."""
        if not self._thread.is_alive():
            return
        self._watch.end()
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
            reasons = [
                None if broken is None else broken.reason,
                self._ledger.mark.reason,
                f"the disk is nearly full: the {SIZE >> 20} MB in reserve for decisions are given up"
                if self._ballast.held is False
                else None,
            ]
            return Health(
                "; ".join(reason for reason in reasons if reason is not None) or None,
                len(self.decisions) + self.committing,
                self.dropped,
                self._commits,
                None if broken is None else broken.since,
                self.lost,
                self._history(),
            )

    def checked(self) -> int | None:
        """Return up to which decision the history was looked through since the start and found whole, or None."""
        found = self._watch.looked.walk
        return None if found is None or found.faults else found.last

    def _history(self) -> tuple[str, ...]:
        now, looked = self._clock().wall_ns, self._watch.looked
        said = [
            f"{loss}, noticed {_date(loss.noticed_ns)}"
            for loss in self._ledger.losses
            if now - loss.noticed_ns < TOLD_NS
        ]
        said += [
            f"{file.path.name} was broken and lies at {file.aside}; a new one is begun"
            for file in (self._ledger, self._journal)
            if file.aside is not None
        ]
        if looked.walk is not None:
            said += [str(fault) for fault in looked.walk.faults]
        if looked.reason is not None:
            said.append(f"{looked.reason}, so it is not checked")
        return tuple(said)

    def _restore(self) -> Restored:
        """Before the thread runs: return what the files hold."""
        try:
            self._ledger.told = self._opened(self._journal, self._journal.head)
        except Broken as broken:
            self._journal.fail(broken)
        try:
            return self._opened(self._ledger, self._ledger.restore)
        except Broken as broken:
            self._ledger.fail(broken)
            told = self._ledger.told
            # Numbers that no disk can have given out: should it come back, nothing collides.
            return Restored(
                next_id=max(self._clock().wall_ns // 1_000_000, 1 if told is None else told.id + 1)
            )

    def _opened(self, file: File, ask: Callable[[], Answer]) -> Answer:
        """Open and ask `file`; where it is corrupt, a new one in its place; where the disk is full, with the ballast's room; and
        where it fails otherwise, once more after a moment.
        """
        for left in reversed(range(START_TRIES)):
            try:
                file.use()
                found = ask()
            except Broken as broken:
                file.fail(broken)
                if not left:
                    raise
                if not (file.corrupt or (is_full(broken, file.path.parent) and self._ballast.release())):
                    time.sleep(START_TRY_S)
            else:
                file.well()
                return found
        raise AssertionError("the last try returns or raises")

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
            few = len(self.entries) < FEW_ROWS
        self._write_decisions(dones, force=closing)
        now = time.monotonic()
        if whole or full or now >= self._next_batch or not self._journal.is_open:
            if few and not whole and self._journal.is_open and now < self._latest_batch:
                self._next_batch = min(now + self._batch_s, self._latest_batch)
            else:
                self._write_batch(flushes, whole=whole)
        if closing or self._next_mend() <= time.monotonic():
            self._mend()
        if closing or self._ledger.mark.due <= time.monotonic():
            self._ledger.mark.sync()
        if not closing and self._may_thin() and time.monotonic() >= self._next_thin:
            self._thin()
        return not closing

    def _patience(self) -> float:
        """Under the lock: return for how many seconds nothing is due."""
        if self._closing or self.flushing or self.dones or self.flushes:
            return 0.0
        if self._ledger.ready() and (self.decisions or self.memories or self.labels or self._ledger.behind):
            return 0.0
        if self._journal.ready() and (len(self.entries) >= BATCH_ROWS or not self._journal.is_open):
            return 0.0
        due = min(
            math.inf if self._ledger.is_open else self._ledger.retry_at,
            self._next_batch if self._journal.is_open else self._journal.retry_at,
            self._next_thin if self._may_thin() else math.inf,
            self._next_mend(),
            self._ledger.mark.due,
        )
        return due - time.monotonic()

    def _write_decisions(self, dones: list[Done], *, force: bool) -> None:
        if not (self._ledger.ready() or force):
            tell(dones, self._ledger.reason)
            return
        taken, memories = self.take_decisions()
        labels = self.take_labels()
        refused: frozenset[int] = frozenset()
        try:
            if taken or memories or labels or self._ledger.behind:
                refused = self._ledger.commit([decision for decision, _ in taken], memories, labels)
                self._commits += 1
        except Broken as broken:
            room = self._fail(self._ledger, broken)
            self.return_decisions(taken, memories)
            self.return_labels(labels)
            if room:
                self._write_decisions(dones, force=force)  # once: there is one reserve
                return
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
        self._mend()
        now = time.monotonic()
        counts = self._closing or bool(flushes) or now >= self._next_count
        if counts and self._ledger.is_open and (repeats := self.take_repeats()):
            try:
                self._ledger.count(repeats)
                self._next_count = now + COUNT_EVERY * self._batch_s
            except Broken as broken:
                self._fail(self._ledger, broken)
                self.return_repeats(repeats)
        if not (self._journal.ready() or whole):
            tell(flushes, self._journal.reason)
            return
        try:
            entries = self.take_entries(None if whole else MOST_ROWS)
            self._journal.append(entries, self._ledger.head if self._ledger.is_open else None)
        except Broken as broken:
            self._fail(self._journal, broken)
            self.return_entries()
            tell(flushes, self._journal.reason)
            return
        self.note_entries()
        self._commits += 1
        self._next_batch = now + self._batch_s
        self._latest_batch = now + PATIENCE * self._batch_s
        tell(flushes, None)

    def _next_mend(self) -> float:
        """When to try the ballast and the mark again: at once after the start, later with each batch anyway."""
        missing = not self._ballast.held or self._ledger.mark.reason is not None
        return self._mended_at + MEND_EVERY_S if missing else math.inf

    def _mend(self) -> None:
        """Make the ballast and write the mark where that did not work before."""
        self._ballast.hold(RESERVE_BYTES)
        if self._ledger.is_open and self._ledger.mark.reason is not None:
            self._ledger.mark.rise(self._ledger.head)
        self._mended_at = time.monotonic()

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

    def _fail(self, file: File, broken: Exception) -> bool:
        """Note that `file` failed; return whether room was made for it, so that it may be tried again at once."""
        with self.lock:
            file.fail(broken)
            room = is_full(broken, file.path.parent) and self._ballast.release()
            if room:
                file.retry_at = 0.0
            return room


def _date(wall_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(wall_ns // 1_000_000_000))
