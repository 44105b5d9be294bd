"""Owns what waits for the writer, all of it bounded, and the ring of the newest decisions.

Callers never wait: every public method may be called from any thread, and returns at once. Never in here: the disk, or when
what waits is written.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from appliance.adapters.store import ring
from appliance.adapters.store.journal import (
    FOLLOWS,
    LOST,
    MAX_SPOKEN,
    RESENT,
    RETAINED,
    Entry,
    Kind,
    Packed,
    Senses,
    storable,
)
from appliance.adapters.store.rows import Kept
from appliance.core.clock import Instant
from appliance.core.events import Decision, Labelled, Memory
from appliance.core.readings import Quality, Reading
from appliance.errors import StoreError

log = logging.getLogger(__name__)

MAX_DECISIONS = ring.SIZE
"""Decisions that wait for a disk, and decisions whose counts do."""
MAX_READINGS = 65_536
"""Readings that wait for their batch; beyond that the oldest are dropped and counted."""
BATCH_ROWS = 8192
"""So many readings are written without waiting any longer."""
MOST_ROWS = 2 * BATCH_ROWS
"""So many are written at once: decisions that come meanwhile wait for it."""
MAX_LABELS = 1024
"""Labels that wait for a disk; beyond that the oldest are dropped and counted."""
Done = Callable[[Exception | None], None]
Waiter = tuple[Decision, Done | None]


class Queue:
    """What waits. `lock` guards everything; it is notified where something should be written soon."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.decisions: deque[Waiter] = deque()
        self.memories: dict[str, Memory] = {}
        self.labels: list[tuple[Labelled, Instant]] = []
        self.repeats: dict[int, tuple[int, Instant]] = {}
        self.entries: deque[Entry | Senses] = deque()
        self.dones: list[Done] = []
        self.flushes: list[Done] = []
        self.flushing = False
        self.ended = False
        self.dropped = 0
        self.lost = 0
        self.committing = 0
        self._in_hand: list[Entry | Senses] = []
        self._torn = False
        self._ring = ring.Ring()

    # ------------------------------------------------------------ for everybody

    def record(self, decision: Decision, done: Done | None = None) -> None:
        """Commit `decision` as soon as the disk can; then call `done(None)`, or with the error where it never will be.

        `done` is called from the writer's thread; not yet while the disk fails and may come back.
        """
        with self.lock:
            self._ring.add(decision)
            self.decisions.append((decision, done))
            late = self._make_room()
            self.lock.notify()
        tell(late, "had to make room for newer ones")

    def repeat(self, decision_id: int, at: Instant) -> None:
        """Count that the decision was made once more; written with the next batch."""
        with self.lock:
            self._ring.repeat(decision_id, at)
            self._again(decision_id, 1, at)

    def remember(self, appliance: str, memory: Memory) -> None:
        """Commit what `appliance` must remember, with the next decisions."""
        with self.lock:
            self.memories[appliance] = memory
            self.lock.notify()

    def label(self, label: Labelled, at: Instant) -> None:
        """Commit what somebody told `at` a time, with the next decisions."""
        with self.lock:
            self.labels.append((label, at))
            surplus = len(self.labels) - MAX_LABELS
            if surplus > 0:
                del self.labels[:surplus]
                self.dropped += surplus
            self.lock.notify()

    def confirm(self, done: Done) -> None:
        """Call `done`, from the writer's thread, once all decisions, memories and labels handed in so far are committed.

        It is given None then, or at once a StoreError where the disk does not take them now.
        """
        with self.lock:
            ended = self.ended
            if not ended:
                self.dones.append(done)
                self.lock.notify()
        if ended:
            tell([done], "the writer has ended")

    def flush(self, done: Done | None = None) -> None:
        """Let the readings be written now, not with the next batch; then call `done` as `confirm` does."""
        with self.lock:
            ended = self.ended
            if not ended:
                self.flushing = True
                self.flushes += [] if done is None else [done]
                self.lock.notify()
        if ended:
            tell([done], "the writer has ended")

    def readings(
        self,
        worth: Sequence[tuple[Reading, Quality, str | None]],
        *,
        retained: bool,
        resent: bool,
        at: Instant,
    ) -> None:
        """Keep one message's readings with the next batch: each with its quality, and the reason where it is not GOOD.

        `resent`: a bridge only repeated its cache. A number that is not finite is dropped and counted.
        """
        flags = RETAINED * retained | RESENT * resent
        rows = []
        for reading, quality, reason in worth:
            value, flag = storable(reading.value)
            if value is not None:
                rows.append(
                    Entry(
                        Kind.READING,
                        reading.device,
                        reading.metric,
                        reading.unit,
                        at,
                        value,
                        quality,
                        reason,
                        flags | flag,
                    )
                )
                flags |= FOLLOWS
        with self.lock:
            self.dropped += len(worth) - len(rows)
            for row in rows:
                self._append(row)

    def state(self, state: Reading, *, retained: bool, at: Instant, follows: bool = False) -> None:
        """Keep a device's word on what it does, with the next batch. `follows` as for a reading."""
        self._hear(Kind.STATE, state, Quality.GOOD, None, at, RETAINED * retained | FOLLOWS * follows)

    def availability(self, device: str, *, available: bool, retained: bool, at: Instant) -> None:
        """Keep that a device can be reached, or cannot, with the next batch."""
        said = Reading(device, "available", available, None)
        self._hear(Kind.AVAILABILITY, said, Quality.GOOD, None, at, RETAINED if retained else 0)

    def mark(self, name: str, word: str, at: Instant) -> None:
        """Keep what happened to ourselves, with the next batch: ("link", "up"), say."""
        self._hear(Kind.MARK, Reading("", name, word, None), Quality.GOOD, None, at, 0)

    def person(self, word: str, at: Instant) -> None:
        """Keep what a person said, as the JSON of its event, with the next batch. One that is too long is dropped and counted."""
        self._spoken(Kind.PERSON, word, at)

    def edge(self, word: str, at: Instant) -> None:
        """Keep what the edge answered, as the JSON of its event, with the next batch. One that is too long is dropped and counted."""
        self._spoken(Kind.EDGE, word, at)

    def _spoken(self, kind: Kind, word: str, at: Instant) -> None:
        with self.lock:
            if len(word) > MAX_SPOKEN:
                self.dropped += 1
                return
            self._append(Entry(kind, "", kind.name.lower(), None, at, word, 0, None, 0))

    def tick(self, at: Instant) -> None:
        """Keep that time passed and somebody decided for it, with the next batch."""
        with self.lock:
            self._append(Entry(Kind.TICK, "", "tick", None, at, 1, 0, None, 0))

    def snapshot(self, pack: Packed, at: Instant) -> None:
        """Keep what `pack` returns, from which windows are rebuilt after a restart, in place of the one before.

        It must hold what everything handed in before this call led to, and nothing that is handed in later.
        """
        with self.lock:
            self._append(Senses(pack, at))

    def checkpoint(self, pack: Packed, at: Instant) -> None:
        """Keep what `pack` returns, the whole state as of everything handed in before this call, for a replay to begin from."""
        with self.lock:
            self._append(Senses(pack, at, stays=True))

    def ring(self) -> list[Kept]:
        """Return the newest decisions, oldest first, committed or not."""
        with self.lock:
            return self._ring.all()

    def kept(self, number: int) -> Kept | None:
        """Return one decision of the ring, or None."""
        with self.lock:
            return self._ring.kept(number)

    def waiting(self, device: str, metric: str) -> list[tuple[int, float | str, int]]:
        """Return the readings of one stream that wait for their batch: (wall time in ns, value, quality), oldest first."""
        with self.lock:
            entries = [*self._in_hand, *self.entries]
        return [
            (entry.at.wall_ns, entry.value, entry.quality)
            for entry in entries
            if isinstance(entry, Entry) and entry.device == device and entry.metric == metric
        ]

    # ------------------------------------------------------------ for the writer's thread

    def take_decisions(self) -> tuple[list[Waiter], dict[str, Memory]]:
        """Return what is to be committed; `return_decisions` or `note_decisions` must follow."""
        with self.lock:
            taken, memories = list(self.decisions), self.memories
            self.decisions.clear()
            self.memories = {}
            self.committing = len(taken)
        return taken, memories

    def return_decisions(self, taken: Sequence[Waiter], memories: Mapping[str, Memory]) -> None:
        """Let them wait again, before what came meanwhile."""
        with self.lock:
            self.decisions.extendleft(reversed(taken))
            self.committing = 0
            late = self._make_room()
            self.memories = {**memories, **self.memories}
        tell(late, "had to make room for newer ones")

    def note_decisions(self, taken: Sequence[Waiter], refused: frozenset[int]) -> list[int]:
        """Tell everybody that `taken` are committed, but for the `refused`; return the numbers of those that are."""
        committed = [decision.id for decision, _ in taken if decision.id not in refused]
        with self.lock:
            self._ring.recorded(committed)
            self.committing = 0
            self.lost += len(refused)
        tell((done for decision, done in taken if decision.id not in refused), None)
        tell((done for decision, done in taken if decision.id in refused), "it can't be recorded")
        return committed

    def take_labels(self) -> list[tuple[Labelled, Instant]]:
        """Return the labels that are to be committed; `return_labels` must follow where they were not."""
        with self.lock:
            taken, self.labels = self.labels, []
        return taken

    def return_labels(self, taken: Sequence[tuple[Labelled, Instant]]) -> None:
        """Let them wait again, before what came meanwhile."""
        with self.lock:
            self.labels[:0] = taken

    def take_repeats(self) -> dict[int, tuple[int, Instant]]:
        """Return how often each decision was made once more, and when last."""
        with self.lock:
            taken, self.repeats = self.repeats, {}
        return taken

    def return_repeats(self, taken: dict[int, tuple[int, Instant]]) -> None:
        """Let them wait again."""
        with self.lock:
            newer, self.repeats = self.repeats, taken
            for number, (times, at) in newer.items():
                self._again(number, times, at)

    def take_entries(self, most: int | None) -> list[Entry | Senses]:
        """Return at most `most` of what was heard, oldest first; `return_entries` or `note_entries` must follow."""
        with self.lock:
            count = len(self.entries) if most is None else min(len(self.entries), most)
            self._in_hand = [self.entries.popleft() for _ in range(count)]
            at = next((entry.at for entry in self._in_hand if isinstance(entry, Entry)), None)
            if self._torn and at is not None:
                # Said in its place, so that no replay takes what follows for the whole.
                self._in_hand.insert(0, Entry(Kind.MARK, "", "history", None, at, LOST, 0, None, 0))
                self._torn = False
            return self._in_hand

    def return_entries(self) -> None:
        """Let them wait again; the oldest are dropped where newer ones took the room."""
        with self.lock:
            first = self._in_hand[0] if self._in_hand else None
            if isinstance(first, Entry) and first.kind == Kind.MARK and first.value == LOST:
                # It takes no room from what was heard: it is said when the rest is written.
                del self._in_hand[0]
                self._torn = True
            surplus = max(0, len(self._in_hand) + len(self.entries) - MAX_READINGS)
            self.entries.extendleft(reversed(self._in_hand[surplus:]))
            self.dropped += surplus
            self._torn = self._torn or surplus > 0
            self._in_hand = []

    def note_entries(self) -> None:
        """They are on disk now."""
        with self.lock:
            self._in_hand = []

    def end(self) -> None:
        """Tell everybody who waits that nothing is written any more."""
        with self.lock:
            self.ended = True
            dones = [*self.dones, *self.flushes, *(done for _, done in self.decisions)]
            self.dones, self.flushes = [], []
        tell(dones, "the writer has ended")

    # ------------------------------------------------------------ inside

    def _hear(
        self, kind: Kind, said: Reading, quality: Quality, reason: str | None, at: Instant, flags: int
    ) -> None:
        value, flag = storable(said.value)
        with self.lock:
            if value is None:
                self.dropped += 1
                return
            self._append(
                Entry(
                    kind, said.device, said.metric, said.unit, at, value, int(quality), reason, flags | flag
                )
            )

    def _append(self, entry: Entry | Senses) -> None:
        """Under the lock: queue `entry`; the oldest makes room where there are too many."""
        self.entries.append(entry)
        if len(self.entries) > MAX_READINGS:
            self.entries.popleft()
            self.dropped += 1
            self._torn = True
        elif len(self.entries) == BATCH_ROWS:
            self.lock.notify()

    def _make_room(self) -> list[Done | None]:
        """Under the lock: give up the oldest decisions where too many wait; return who waits for them."""
        late = [self.decisions.popleft()[1] for _ in range(len(self.decisions) - MAX_DECISIONS)]
        self.lost += len(late)
        return late

    def _again(self, number: int, times: int, at: Instant) -> None:
        """Under the lock: `number` was made `times` more, last at `at`."""
        before, _ = self.repeats.get(number, (0, at))
        self.repeats[number] = (before + times, at)
        if len(self.repeats) > MAX_DECISIONS:
            del self.repeats[next(iter(self.repeats))]


def tell(dones: Iterable[Done | None], why_not: str | None) -> None:
    """Tell each that it is done, or why not. What fails in one of them is not ours, and stops nothing."""
    error = None if why_not is None else StoreError(why_not, hint="look at the state folder and its disk")
    for done in dones:
        if done is not None:
            try:
                done(error)
            except Exception:
                log.exception("whoever waits for the disk failed")
