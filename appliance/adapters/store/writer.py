"""Owns the one writer: a thread with the only writing connections, a bounded queue before it, a ring behind it.

Callers never wait. Acknowledged means committed. Where the disk fails, the ring holds what is not committed yet, health
says so, and the thread tries again. Never in here: reading for others, or what is worth keeping.
"""

import logging
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.store import rows, schema
from appliance.adapters.store.retention import Limits, thin
from appliance.core.clock import Instant
from appliance.core.events import Decision, Memory
from appliance.core.readings import Quality, Reading

log = logging.getLogger(__name__)

RING = 4096
"""Decisions that are kept in memory: the newest, whether committed or not."""
MAX_READINGS = 65_536
"""Readings that wait for their batch; beyond that the oldest are dropped and counted."""
BATCH_S = 60.0
"""Readings are committed so often: at once would write 75 times as much to an SD card."""
BATCH_ROWS = 8192
RETRY_S = (1.0, 5.0)
THIN_EVERY_S = 3600.0

Done = Callable[[Exception | None], None]


class Health(msgspec.Struct, frozen=True):
    """How the disk is. `reason` is None while it is well; `waiting` decisions are in memory alone."""

    reason: str | None
    waiting: int
    readings_dropped: int
    commits: int


class Restored(msgspec.Struct, frozen=True):
    """What an earlier run left: each appliance's memory, its last decision, and the next free number."""

    memories: Mapping[str, Memory] = {}
    next_id: int = 1
    last: Mapping[str, rows.Kept] = {}


class _Entry(msgspec.Struct):
    """A decision in the ring."""

    decision: Decision
    count: int
    last_at: Instant
    recorded: bool


class Writer:
    """The thread, its queue and its ring. Every method may be called from any thread, and returns at once."""

    def __init__(
        self, folder: Path, limits: Limits, clock: Callable[[], Instant], batch_s: float = BATCH_S
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._batch_s = batch_s
        self._lock = threading.Condition()
        self._decisions: deque[Decision] = deque()
        self._memories: dict[str, Memory] = {}
        self._dones: list[Done] = []
        self._readings: deque[tuple[Any, ...]] = deque()
        self._repeats: dict[int, tuple[int, Instant]] = {}
        self._snapshot: tuple[bytes, Instant] | None = None
        self._ring: dict[int, _Entry] = {}
        self._closing = False
        self._flush = False
        self._reason: str | None = None
        self._dropped = 0
        self._commits = 0
        self._files: tuple[sqlite3.Connection, sqlite3.Connection] | None = None
        self._boots: dict[tuple[int, str], int] = {}
        self._streams: dict[tuple[str, str], int] = {}
        self._chain = rows.GENESIS
        self._next_thin = 0.0
        self.on_commit: Callable[[list[int]], None] | None = None
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    # ------------------------------------------------------------ for the loop

    def start(self) -> Restored:
        """Open, read what an earlier run left, and begin to write. A disk that can't be used is no error: see `health`."""
        restored = Restored()
        try:
            self._open()
            restored = self._restore()
        except (sqlite3.Error, OSError) as broken:
            self._fail(broken)
            # Numbers that no disk can have given out: should it come back, nothing collides.
            restored = Restored(next_id=self._clock().wall_ns // 1_000_000)
        self._thread.start()
        return restored

    def record(self, decision: Decision) -> None:
        """Commit `decision` as soon as the disk can."""
        with self._lock:
            self._ring[decision.id] = _Entry(decision, 1, decision.at, recorded=False)
            while len(self._ring) > RING:
                del self._ring[next(iter(self._ring))]
            self._decisions.append(decision)
            if len(self._decisions) > RING:
                self._decisions.popleft()
            self._lock.notify()

    def repeat(self, decision_id: int, at: Instant) -> None:
        """Count that the decision was made once more; written with the next batch."""
        count, _ = self._repeats.get(decision_id, (0, at))
        with self._lock:
            self._repeats[decision_id] = (count + 1, at)
            entry = self._ring.get(decision_id)
            if entry is not None:
                entry.count += 1
                entry.last_at = at

    def remember(self, appliance: str, memory: Memory) -> None:
        """Commit what `appliance` must remember, with the next decisions."""
        with self._lock:
            self._memories[appliance] = memory
            self._lock.notify()

    def confirm(self, done: Done) -> None:
        """Call `done`, from the writer's thread, once everything handed in so far is committed (None) or failed to be."""
        with self._lock:
            self._dones.append(done)
            self._lock.notify()

    def reading(
        self, reading: Reading, quality: Quality, reason: str | None, *, retained: bool, at: Instant
    ) -> None:
        """Keep a reading, or a device's word, with the next batch."""
        row = (
            reading.device,
            reading.metric,
            reading.unit,
            at,
            reading.value,
            int(quality),
            reason,
            int(retained),
        )
        readings = self._readings
        readings.append(row)
        if len(readings) > MAX_READINGS:
            readings.popleft()
            self._dropped += 1
        elif len(readings) == BATCH_ROWS:
            with self._lock:
                self._lock.notify()

    def snapshot(self, blob: bytes, at: Instant) -> None:
        """Keep `blob`, from which windows are rebuilt after a restart, in place of the one before."""
        with self._lock:
            self._snapshot = (blob, at)

    def flush(self) -> None:
        """Let the readings be written now, not with the next batch."""
        with self._lock:
            self._flush = True
            self._lock.notify()

    def close(self, timeout_s: float = 3.0) -> None:
        """Write what is left, and end. Waits no longer than `timeout_s` for a disk that hangs."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def health(self) -> Health:
        """Return how the disk is."""
        with self._lock:
            return Health(self._reason, len(self._decisions), self._dropped, self._commits)

    def ring(self) -> list[rows.Kept]:
        """Return the newest decisions, oldest first, committed or not."""
        with self._lock:
            return [
                rows.Kept(entry.decision, entry.count, entry.last_at, entry.recorded)
                for entry in self._ring.values()
            ]

    def kept(self, number: int) -> rows.Kept | None:
        """Return one decision of the ring, or None."""
        with self._lock:
            entry = self._ring.get(number)
            return (
                None
                if entry is None
                else rows.Kept(entry.decision, entry.count, entry.last_at, entry.recorded)
            )

    def waiting(self, device: str, metric: str) -> list[tuple[int, float | str, int]]:
        """Return the readings of one stream that wait for their batch: (wall time in ns, value, quality), oldest first."""
        # A copy first: the loop goes on appending while a worker thread looks.
        return [
            (row[3].wall_ns, row[4], row[5])
            for row in self._readings.copy()
            if row[0] == device and row[1] == metric
        ]

    def alive(self) -> bool:
        """Return whether the thread still runs."""
        return self._thread.is_alive()

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        next_batch = time.monotonic() + self._batch_s
        while True:
            with self._lock:
                urgent = self._decisions or self._memories or self._dones or self._flush or self._closing
                if not urgent and len(self._readings) < BATCH_ROWS:
                    self._lock.wait(max(0.0, next_batch - time.monotonic()))
                decisions, self._decisions = list(self._decisions), deque()
                memories, self._memories = self._memories, {}
                dones, self._dones = self._dones, []
                closing, flush = self._closing, self._flush
                self._flush = False
            batch = flush or closing or time.monotonic() >= next_batch or len(self._readings) >= BATCH_ROWS
            try:
                self._reopen()
                if decisions or memories:
                    self._commit_decisions(decisions, memories)
                if batch:
                    self._commit_readings()
                    next_batch = time.monotonic() + self._batch_s
                    if time.monotonic() >= self._next_thin and self._files is not None:
                        self._next_thin = time.monotonic() + THIN_EVERY_S
                        thin(*self._files, self._limits, self._clock().wall_ns)
            except (sqlite3.Error, OSError) as broken:
                self._fail(broken)
                with self._lock:
                    self._decisions.extendleft(reversed(decisions))
                    self._memories = memories | self._memories
                _tell(dones, broken)
                if closing:
                    return
                with self._lock:
                    self._lock.wait_for(lambda: self._closing, random.uniform(*RETRY_S))  # noqa: S311  jitter
                continue
            except Exception:
                # A bug here must be seen: the thread ends, and whoever watches over it ends the process.
                log.exception("the store's writer failed")
                _tell(dones, RuntimeError("the writer failed"))
                raise
            self._reason = None
            _tell(dones, None)
            if decisions and self.on_commit is not None:
                self.on_commit([decision.id for decision in decisions])
            if closing:
                self._shut()
                return

    def _commit_decisions(self, decisions: list[Decision], memories: Mapping[str, Memory]) -> None:
        assert self._files is not None
        connection = self._files[0]
        chain = self._chain
        connection.execute("BEGIN IMMEDIATE")
        try:
            for decision in decisions:
                detail = rows.detail_of(decision)
                chain = rows.digest(chain, decision, detail)
                at, boot = decision.at, self._boot(0, decision.at.boot_id)
                connection.execute(
                    "INSERT INTO decisions VALUES (?,?,?,?,?,?,?,?,?,1,?,?,?)",
                    (decision.id, boot, at.boottime_ns, at.wall_ns, decision.appliance, decision.action, decision.source, detail, chain,
                     boot, at.boottime_ns, at.wall_ns),
                )  # fmt: skip
            for appliance, memory in memories.items():
                connection.execute(
                    "INSERT OR REPLACE INTO memories VALUES (?,?)", (appliance, rows.memory_text(memory))
                )
            connection.execute("COMMIT")
        except BaseException:
            _rollback(connection)
            self._boots.clear()
            raise
        self._chain = chain
        self._commits += 1
        with self._lock:
            for decision in decisions:
                entry = self._ring.get(decision.id)
                if entry is not None:
                    entry.recorded = True

    def _commit_readings(self) -> None:
        assert self._files is not None
        decisions, readings = self._files
        with self._lock:
            repeats, self._repeats = self._repeats, {}
            snapshot, self._snapshot = self._snapshot, None
        count = len(self._readings)
        taken = [self._readings.popleft() for _ in range(count)]
        try:
            if repeats:
                decisions.execute("BEGIN IMMEDIATE")
                decisions.executemany(
                    "UPDATE decisions SET count = count + ?, last_boot = ?, last_boottime = ?, last_wall = ? WHERE id = ?",
                    [
                        (times, self._boot(0, at.boot_id), at.boottime_ns, at.wall_ns, number)
                        for number, (times, at) in repeats.items()
                    ],
                )
                decisions.execute("COMMIT")
                repeats = {}
            if taken or snapshot is not None:
                readings.execute("BEGIN IMMEDIATE")
                first = readings.execute("SELECT COALESCE(MAX(seq), 0) + 1 FROM readings").fetchone()[0]
                if taken:
                    readings.execute(
                        "INSERT OR REPLACE INTO batches VALUES (?,?)", (first, taken[0][3].wall_ns)
                    )
                    readings.executemany(
                        "INSERT INTO readings (stream, boot, boottime, wall, value, quality, reason, retained) VALUES (?,?,?,?,?,?,?,?)",
                        [
                            (
                                self._stream(device, metric, unit),
                                self._boot(1, at.boot_id),
                                at.boottime_ns,
                                at.wall_ns,
                                value,
                                quality,
                                reason,
                                kept,
                            )
                            for device, metric, unit, at, value, quality, reason, kept in taken
                        ],
                    )
                if snapshot is not None:
                    blob, at = snapshot
                    boot = self._boot(1, at.boot_id)
                    readings.execute(
                        "INSERT OR REPLACE INTO snapshots VALUES (1,?,?,?,?,?)",
                        (boot, at.boottime_ns, at.wall_ns, first + len(taken), blob),
                    )
                readings.execute("COMMIT")
                self._commits += 1
        except BaseException:
            _rollback(decisions)
            _rollback(readings)
            self._boots.clear()
            self._streams.clear()
            self._readings.extendleft(reversed(taken))
            with self._lock:
                for number, (times, at) in repeats.items():
                    more, later = self._repeats.get(number, (0, at))
                    self._repeats[number] = (times + more, later)
                self._snapshot = self._snapshot or snapshot
            raise

    def _boot(self, which: int, boot_id: str) -> int:
        """Return the number of `boot_id` in one of the two files."""
        known = self._boots.get((which, boot_id))
        if known is None:
            assert self._files is not None
            connection = self._files[which]
            connection.execute("INSERT OR IGNORE INTO boots (boot_id) VALUES (?)", (boot_id,))
            known = int(
                connection.execute("SELECT id FROM boots WHERE boot_id = ?", (boot_id,)).fetchone()[0]
            )
            self._boots[which, boot_id] = known
        return known

    def _stream(self, device: str, metric: str, unit: str | None) -> int:
        known = self._streams.get((device, metric))
        if known is None:
            assert self._files is not None
            connection = self._files[1]
            connection.execute(
                "INSERT OR IGNORE INTO streams (device, metric, unit) VALUES (?,?,?)", (device, metric, unit)
            )
            known = int(
                connection.execute(
                    "SELECT id FROM streams WHERE device = ? AND metric = ?", (device, metric)
                ).fetchone()[0]
            )
            if len(self._streams) < RING:
                self._streams[device, metric] = known
        return known

    # ------------------------------------------------------------ the files

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        decisions = schema.open_for_writing(self._folder / schema.DECISIONS, "FULL")
        try:
            readings = schema.open_for_writing(self._folder / schema.READINGS, "NORMAL")
        except BaseException:
            decisions.close()
            raise
        last = decisions.execute("SELECT digest FROM decisions ORDER BY id DESC LIMIT 1").fetchone()
        self._chain = last[0] if last is not None else rows.GENESIS
        self._files = (decisions, readings)

    def _restore(self) -> Restored:
        assert self._files is not None
        connection = self._files[0]
        memories = {
            name: rows.memory_of(text)
            for name, text in connection.execute("SELECT appliance, memory FROM memories")
        }
        next_id = connection.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM decisions").fetchone()[0]
        newest = connection.execute(
            f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE decisions.id IN (SELECT MAX(id) FROM decisions GROUP BY appliance)"  # noqa: S608
        )
        last = {kept.decision.appliance: kept for kept in map(rows.kept_of, newest)}
        return Restored(memories, next_id, last)

    def _reopen(self) -> None:
        if self._files is None:
            self._open()
            log.warning("the store is back; %d decisions were waiting for it", len(self._decisions))
            return
        if not (self._folder / schema.DECISIONS).exists():
            # Somebody removed the file under us: what is written into it now would go nowhere.
            raise OSError(f"{self._folder / schema.DECISIONS} is gone")

    def _fail(self, broken: Exception) -> None:
        reason = f"{type(broken).__name__}: {broken}"
        if reason != self._reason:
            log.error("nothing can be recorded: %s", reason)
        self._reason = reason
        self._shut()

    def _shut(self) -> None:
        files, self._files = self._files, None
        self._boots.clear()
        self._streams.clear()
        for connection in files or ():
            try:
                connection.close()
            except sqlite3.Error:
                log.debug("a connection would not close", exc_info=True)


def _rollback(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        log.debug("nothing to roll back", exc_info=True)


def _tell(dones: list[Done], error: Exception | None) -> None:
    for done in dones:
        done(error)
