"""Owns writing the decisions file: decisions in their chain, their counts, and what each appliance must remember.

Never in here: when something is written, or reading for others.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from appliance.adapters.store import losses, rows, schema
from appliance.adapters.store.file import File
from appliance.adapters.store.highwater import Head, HighWater
from appliance.adapters.store.losses import Loss
from appliance.core.clock import Instant
from appliance.core.events import Decision, Labelled, Memory

log = logging.getLogger(__name__)

MOST = 100
"""Rows of one statement: some thousand parameters at most."""
Row = TypeVar("Row")


class Restored(msgspec.Struct, frozen=True):
    """What an earlier run left: each appliance's memory, its last decision, and the next free number.

    `loss` tells which decisions are known to have been committed and are not there any more, or is None.
    """

    memories: Mapping[str, Memory] = {}
    next_id: int = 1
    last: Mapping[str, rows.Kept] = {}
    loss: Loss | None = None


class Ledger(File):
    """The decisions file. A commit is synced: it survives kill -9 and the loss of power."""

    def __init__(self, folder: Path, clock: Callable[[], Instant]) -> None:
        super().__init__(folder, schema.DECISIONS, "FULL", clock)
        self.head = Head(0, rows.GENESIS)
        self._memories: dict[str, Memory] = {}
        self._behind = False
        self.mark = HighWater(folder)
        self.told: Head | None = None
        """What the readings file knows to be committed; to be set before this one is opened."""
        self.highest = 0
        """The greatest number that is known to have been given out."""
        self._noticed: tuple[Loss, ...] = ()
        self.losses: tuple[Loss, ...] = ()
        """What is known to be lost, the oldest first."""

    @property
    def behind(self) -> bool:
        """Whether the file may lack what is remembered, since it was opened anew."""
        return self._behind or not self.is_open

    def opened(self, connection: sqlite3.Connection) -> None:
        """Continue the chain where the file ends; where it must have reached further once, that is a loss."""
        last = connection.execute("SELECT id, digest FROM decisions ORDER BY id DESC LIMIT 1").fetchone()
        known = {head for head in (self.head, self.told, self.mark.read()) if head is not None and head.id}
        self.head = Head(0, rows.GENESIS) if last is None else Head(*last)
        self._behind = True
        said = losses.read(connection)
        self.highest = max(self.highest, self.head.id, *(head.id for head in known), 0)
        lacking = max((head.id for head in known if lacks(connection, head)), default=None)
        if lacking is not None:
            first = self.head.id + 1 if self.head.id < lacking else lacking
            self._notice(Loss(first, lacking, self._clock().wall_ns), said)
        self.losses = (*said, *self._noticed)

    def _notice(self, loss: Loss, said: Sequence[Loss]) -> None:
        if any(old.first <= loss.last <= old.last for old in (*said, *self._noticed)):
            return  # known, and later decisions may have gone on beyond it
        log.error("%s", loss)
        self._noticed = (*self._noticed, loss)

    def restore(self) -> Restored:
        """Return what the file holds. What of it can't be read is left out, and said. Raises sqlite3.Error or OSError."""
        connection = self.use()
        for name, text in connection.execute("SELECT appliance, memory FROM memories"):
            try:
                self._memories[name] = rows.memory_of(text)
            except sqlite3.DatabaseError as broken:
                log.error("%s starts without its memory: %s", name, broken)  # noqa: TRY400  no trace: the words say it
        last = {}
        newest = connection.execute(
            f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE decisions.id IN (SELECT MAX(id) FROM decisions GROUP BY appliance)"  # noqa: S608
        )
        for row in newest:
            try:
                kept = rows.kept_of(row)
            except sqlite3.DatabaseError as broken:
                log.error("%s", broken)  # noqa: TRY400  as above
                continue
            last[kept.decision.appliance] = kept
        # What was noticed is to be written, even if nothing is decided.
        self._behind = bool(self._noticed)
        # Numbers of what is lost are not given out again: somebody may have noted them.
        loss = self._noticed[-1] if self._noticed else None
        return Restored(dict(self._memories), self.highest + 1, last, loss)

    def commit(
        self,
        decisions: Sequence[Decision],
        memories: Mapping[str, Memory],
        labels: Sequence[tuple[Labelled, Instant]] = (),
    ) -> frozenset[int]:
        """Commit all of it, or raise sqlite3.Error or OSError. After the file was opened anew, all memories go with it.

        Returns the numbers of the decisions that can never be recorded: trying again is no use.
        """
        self._memories.update(memories)
        with self.transaction() as connection:
            if self._behind:
                memories = self._memories
            head, refused = self.head, []
            for part in batched(decisions):
                try:
                    head = self._add_all(connection, head, part)
                except (ValueError, TypeError, OverflowError):
                    # One of them can't be added: which, shows one by one.
                    for decision in part:
                        added = self._add(connection, head, decision)
                        if added is None:
                            refused.append(decision.id)
                        else:
                            head = added
            for texts in batched(_texts(memories)):
                # Changed where it lies: replaced, it would move to another page each time, and its key with it.
                connection.execute(
                    f"INSERT INTO memories VALUES {values(texts)} ON CONFLICT (appliance) DO UPDATE SET memory = excluded.memory",  # noqa: S608  marks alone
                    [*chain.from_iterable(texts)],
                )
            losses.add(connection, self._noticed)
            connection.executemany(
                "INSERT INTO labels (boot, boottime, wall, appliance, channel, label, since, until, by) VALUES (?,?,?,?,?,?,?,?,?)",
                [
                    (
                        self.boot(connection, at.boot_id), at.boottime_ns, at.wall_ns,
                        told.appliance, told.channel, told.label, told.since_ns, told.until_ns, told.by,
                    )
                    for told, at in labels
                ],
            )  # fmt: skip
        self._noticed = ()
        self.head = head
        self._behind = False
        if head.id:
            # Before anybody is told that it is committed: no crash of ours leaves the mark behind what somebody knows of.
            self.mark.rise(head)
        return frozenset(refused)

    def count(self, repeats: Mapping[int, tuple[int, Instant]]) -> None:
        """Commit how many times more each decision was made, and when last. Raises sqlite3.Error or OSError."""
        with self.transaction() as connection:
            rows = [
                (number, times, self.boot(connection, at.boot_id), at.boottime_ns, at.wall_ns)
                for number, (times, at) in sorted(repeats.items())
            ]
            for part in batched(rows):
                connection.execute(
                    "UPDATE decisions SET count = count + column2, last_boot = column3, last_boottime = column4, last_wall = column5"  # noqa: S608  marks alone
                    f" FROM (VALUES {values(part)}) WHERE id = column1",
                    [*chain.from_iterable(part)],
                )

    def _add_all(self, connection: sqlite3.Connection, head: Head, decisions: Sequence[Decision]) -> Head:
        """Add decisions after `head`, or none of them; return the new head. Raises ValueError, TypeError or OverflowError where
        one can never be added.
        """
        added = []
        for decision in decisions:
            if decision.id <= head.id:
                raise ValueError(f"the history is at {head.id} already")
            detail = rows.detail_of(decision)
            head = Head(decision.id, rows.digest(head.digest, decision, detail))
            at, boot = decision.at, self.boot(connection, decision.at.boot_id)
            added.append(
                (
                    decision.id, boot, at.boottime_ns, at.wall_ns, decision.appliance, decision.action, decision.source,
                    detail, head.digest, 1, boot, at.boottime_ns, at.wall_ns,
                )
            )  # fmt: skip
        connection.execute(
            f"INSERT INTO decisions VALUES {values(added)}",  # noqa: S608  marks alone
            [*chain.from_iterable(added)],
        )
        return head

    def _add(self, connection: sqlite3.Connection, head: Head, decision: Decision) -> Head | None:
        """Add a decision after `head`; return the new head, or None where it can never be added."""
        try:
            detail = rows.detail_of(decision)
            digest = rows.digest(head.digest, decision, detail)
            at, boot = decision.at, self.boot(connection, decision.at.boot_id)
            said: tuple[Any, ...] = (
                boot, at.boottime_ns, at.wall_ns, decision.appliance, decision.action, decision.source, detail
            )  # fmt: skip
            if decision.id <= head.id:
                # The commit failed, and yet the row is there: what the log held when its sync failed came back at opening.
                found = connection.execute(
                    "SELECT boot, boottime, wall, appliance, action, source, detail FROM decisions WHERE id = ?",
                    (decision.id,),
                ).fetchone()
                if found == said:
                    return head
                raise ValueError(f"the history is at {head.id} already")
            connection.execute(
                "INSERT INTO decisions VALUES (?,?,?,?,?,?,?,?,?,1,?,?,?)",
                (decision.id, *said, digest, boot, at.boottime_ns, at.wall_ns),
            )
        except (ValueError, TypeError, OverflowError) as broken:
            log.error("decision %d can't be recorded: %s", decision.id, broken)  # noqa: TRY400  as above
            return None
        return Head(decision.id, digest)


def batched(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield `rows` a few at a time: each statement costs the writer a wait for the interpreter, which a busy control loop holds for
    milliseconds.
    """
    for start in range(0, len(rows), MOST):
        yield rows[start : start + MOST]


def values(rows: Sequence[Sequence[object]]) -> str:
    """Return marks for `rows`, one at least, all of the same length, as parameters of SQL."""
    return ",".join([f"({','.join('?' * len(rows[0]))})"] * len(rows))


def lacks(connection: sqlite3.Connection, head: Head) -> bool:
    """Return whether the decision `head`, once committed, is not there any more."""
    found = connection.execute("SELECT digest FROM decisions WHERE id = ?", (head.id,)).fetchone()
    if found is None:
        oldest = connection.execute("SELECT MIN(id) FROM decisions").fetchone()[0]
        return oldest is None or head.id > oldest
    return bytes(found[0]) != head.digest


def _texts(memories: Mapping[str, Memory]) -> list[tuple[str, str]]:
    texts = []
    for appliance, memory in memories.items():
        try:
            texts.append((appliance, rows.memory_text(memory)))
        except ValueError as broken:
            log.error("what %s remembers can't be recorded: %s", appliance, broken)  # noqa: TRY400  as above
    return texts
