"""Owns what can be asked of the decisions. Never in here: writing, the memory ring, or the readings."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from appliance.adapters.store import losses, rows, schema
from appliance.adapters.store.chain import walk
from appliance.adapters.store.highwater import HighWater
from appliance.adapters.store.history import History
from appliance.adapters.store.ledger import lacks
from appliance.adapters.store.losses import Loss
from appliance.adapters.store.readonly import read_only, within
from appliance.core.events import Labelled

MAX_LIMIT = 500
MAX_LABELS = 20_000


class Queries(History):
    """What can be asked of the two files in `folder`, from any thread. Each question reads for a second at most."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder
        self._decisions = folder / schema.DECISIONS

    def decisions(
        self, *, appliance: str | None = None, action: str | None = None, since_ns: int | None = None, until_ns: int | None = None,
        before_id: int | None = None, limit: int = 50,
    ) -> list[rows.Kept]:  # fmt: skip
        """Return at most `limit` (500 at most) decisions with a number below `before_id`, the newest first. Raises StoreError.

        The number of the last one, given as `before_id`, gives the next page, whatever is added meanwhile.
        """
        at: list[tuple[str, Any]] = [("wall >= ?", since_ns), ("wall < ?", until_ns)]
        others: list[tuple[str, Any]] = [
            ("appliance = ?", appliance), ("action = ?", action), ("decisions.id < ?", before_id),
        ]  # fmt: skip
        with read_only(self._decisions) as connection:
            times = _given(at)
            wanted = _given(others)
            if times:
                # Where the time lies among the numbers, out of the index of times alone: of a long history in which the rows of a
                # whole day would be read and sorted, only the page is.
                where = " AND ".join(clause for clause, _ in times)
                first, last = connection.execute(
                    f"SELECT MIN(id), MAX(id) FROM decisions WHERE {where}",  # noqa: S608  fixed clauses
                    [value for _, value in times],
                ).fetchone()
                if first is None:
                    return []
                wanted += [("decisions.id >= ?", first), ("decisions.id <= ?", last)]
                # The wall clock may have been set back in between. The plus keeps the index of times out of this.
                wanted += [(f"+{clause}", value) for clause, value in times]
            where = " AND ".join(clause for clause, _ in wanted) or "1"
            sql = f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE {where} ORDER BY decisions.id DESC LIMIT ?"  # noqa: S608  fixed clauses
            found = connection.execute(sql, (*(value for _, value in wanted), max(0, min(limit, MAX_LIMIT))))
            return [rows.kept_of(row) for row in found]

    def decision(self, number: int) -> rows.Kept | None:
        """Return one decision, or None. Raises StoreError."""
        return self._one("decisions.id = ?", within(number))

    def decision_at(self, appliance: str, wall_ns: int) -> rows.Kept | None:
        """Return the decision of `appliance` that held at a wall time, or None. Raises StoreError.

        Of all decisions the last one until then is found by its time, and from there back by number, which is the order in
        which they were made, whatever the wall clock did: two steps in two indices, in a history of any length.
        """
        with read_only(self._decisions) as connection:
            last = connection.execute(
                "SELECT id FROM decisions WHERE wall <= ? ORDER BY wall DESC, id DESC LIMIT 1",
                (within(wall_ns),),
            ).fetchone()
            if last is None:
                return None
            row = connection.execute(
                f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE appliance = ? AND decisions.id <= ?"  # noqa: S608  fixed clauses
                " ORDER BY decisions.id DESC LIMIT 1",
                (appliance, last[0]),
            ).fetchone()
            return None if row is None else rows.kept_of(row)

    def labels(self, appliance: str, channel: str) -> list[Labelled]:
        """Return what was told of a model's channel, in the order in which it was told: the newest `MAX_LABELS`. Raises StoreError."""
        with read_only(self._decisions) as connection:
            try:
                found = connection.execute(
                    "SELECT label, since, until, by FROM labels WHERE appliance = ? AND channel = ? ORDER BY id DESC LIMIT ?",
                    (appliance, channel, MAX_LABELS),
                ).fetchall()
            except sqlite3.OperationalError:
                if connection.execute("PRAGMA user_version").fetchone()[0] < schema.LABELLED:
                    return []  # no daemon of this version has run yet
                raise
        return [Labelled(appliance, channel, *row) for row in reversed(found)]

    def verify(self) -> int | None:
        """Return the number of the first decision that was altered, or before which one is missing; None: all are there.

        Rows that retention removed at the old end are no loss: the oldest one left is where the chain is taken up. The loss of
        the newest ones shows against the high-water mark and the readings file: then it is the last one's number. Reads the
        whole file, for minutes perhaps. Raises StoreError.
        """
        lost = self.cut_off()  # first: what is committed meanwhile is above these marks
        found = walk(self._folder)
        assert found is not None
        if found.faults:
            fault = found.faults[0]
            return fault.last if fault.altered else fault.last + 1
        return None if lost is None else lost.last

    def cut_off(self) -> Loss | None:
        """Return which of the newest decisions are missing, as the high-water mark and the readings file tell. Raises StoreError."""
        heads = [head for head in (HighWater(self._folder).read(), self.head()) if head is not None]
        with read_only(self._decisions) as connection:
            newest = connection.execute("SELECT COALESCE(MAX(id), 0) FROM decisions").fetchone()[0]
            lacking = max((head.id for head in heads if lacks(connection, head)), default=None)
        return None if lacking is None else Loss(newest + 1 if newest < lacking else lacking, lacking, 0)

    def losses(self) -> tuple[Loss, ...]:
        """Return what was found lost at earlier starts, the oldest first. Raises StoreError."""
        with read_only(self._decisions) as connection:
            told = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'losses'").fetchone()
            return losses.read(connection) if told else ()

    def _one(self, where: str, *values: str | int) -> rows.Kept | None:
        with read_only(self._decisions) as connection:
            row = connection.execute(
                f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE {where}",  # noqa: S608  fixed clauses
                values,
            ).fetchone()
            return None if row is None else rows.kept_of(row)


def _given(clauses: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the clauses that have a value, with values that SQLite can hold."""
    return [
        (clause, within(value) if isinstance(value, int) else value)
        for clause, value in clauses
        if value is not None
    ]
