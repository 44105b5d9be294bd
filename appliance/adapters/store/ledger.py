"""Owns writing the decisions file: decisions in their chain, their counts, and what each appliance must remember.

Never in here: when something is written, or reading for others.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.store import rows, schema
from appliance.adapters.store.file import File
from appliance.core.clock import Instant
from appliance.core.events import Decision, Memory

log = logging.getLogger(__name__)


class Head(msgspec.Struct, frozen=True):
    """The newest decision that is committed: its number and its digest."""

    id: int
    digest: bytes


class Restored(msgspec.Struct, frozen=True):
    """What an earlier run left: each appliance's memory, its last decision, and the next free number.

    `missing` is the number of a decision that is known to have been committed and is not there any more, or None.
    """

    memories: Mapping[str, Memory] = {}
    next_id: int = 1
    last: Mapping[str, rows.Kept] = {}
    missing: int | None = None


class Ledger(File):
    """The decisions file. A commit is synced: it survives kill -9 and the loss of power."""

    def __init__(self, folder: Path, clock: Callable[[], Instant]) -> None:
        super().__init__(folder, schema.DECISIONS, "FULL", clock)
        self.head = Head(0, rows.GENESIS)
        self._memories: dict[str, Memory] = {}
        self._behind = False

    @property
    def behind(self) -> bool:
        """Whether the file may lack what is remembered, since it was opened anew."""
        return self._behind or not self.is_open

    def opened(self, connection: sqlite3.Connection) -> None:
        """Continue the chain where the file ends."""
        last = connection.execute("SELECT id, digest FROM decisions ORDER BY id DESC LIMIT 1").fetchone()
        self.head = Head(0, rows.GENESIS) if last is None else Head(*last)
        self._behind = True

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
        self._behind = False
        return Restored(dict(self._memories), self.head.id + 1, last)

    def lacks(self, head: Head) -> bool:
        """Return whether the decision `head`, once committed, is not there any more. Raises sqlite3.Error or OSError."""
        found = self.use().execute("SELECT digest FROM decisions WHERE id = ?", (head.id,)).fetchone()
        if found is None:
            oldest = self.use().execute("SELECT MIN(id) FROM decisions").fetchone()[0]
            return oldest is None or head.id > oldest
        return bytes(found[0]) != head.digest

    def commit(self, decisions: Sequence[Decision], memories: Mapping[str, Memory]) -> frozenset[int]:
        """Commit all of it, or raise sqlite3.Error or OSError. After the file was opened anew, all memories go with it.

        Returns the numbers of the decisions that can never be recorded: trying again is no use.
        """
        self._memories.update(memories)
        with self.transaction() as connection:
            if self._behind:
                memories = self._memories
            head, refused = self.head, []
            for decision in decisions:
                added = self._add(connection, head, decision)
                if added is None:
                    refused.append(decision.id)
                else:
                    head = added
            connection.executemany(
                "INSERT OR REPLACE INTO memories VALUES (?,?)",
                _texts(memories),
            )
        self.head = head
        self._behind = False
        return frozenset(refused)

    def count(self, repeats: Mapping[int, tuple[int, Instant]]) -> None:
        """Commit how many times more each decision was made, and when last. Raises sqlite3.Error or OSError."""
        with self.transaction() as connection:
            connection.executemany(
                "UPDATE decisions SET count = count + ?, last_boot = ?, last_boottime = ?, last_wall = ? WHERE id = ?",
                [
                    (times, self.boot(connection, at.boot_id), at.boottime_ns, at.wall_ns, number)
                    for number, (times, at) in repeats.items()
                ],
            )

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


def _texts(memories: Mapping[str, Memory]) -> list[tuple[str, str]]:
    texts = []
    for appliance, memory in memories.items():
        try:
            texts.append((appliance, rows.memory_text(memory)))
        except ValueError as broken:
            log.error("what %s remembers can't be recorded: %s", appliance, broken)  # noqa: TRY400  as above
    return texts
