"""Owns writing the readings file: what was heard, in the order in which it was heard, and the snapshot of the senses.

Never in here: when something is written, or reading for others.
"""

import logging
import math
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from itertools import groupby
from pathlib import Path

import msgspec

from appliance.adapters.store import schema, spans
from appliance.adapters.store.file import File
from appliance.adapters.store.highwater import Head
from appliance.adapters.store.packs import ROWS, Columns, Pack, pack
from appliance.core.clock import SECOND, Instant

log = logging.getLogger(__name__)

RESERVE_BYTES = 8 << 20
"""Readings leave so much of the disk free: a full one takes no decision any more, and not even a deletion."""

MAX_STREAMS = 4096
"""Streams whose number is kept in memory; more are looked up each time."""

MAX_TEXT = 256
"""Characters of a device's word that are kept."""

MAX_SPOKEN = 1024
"""Characters of a person's word, as JSON, that are kept."""

LOST = "what was heard before is lost"
"""The word of a mark where the oldest of what waited had to make room."""

CONTINUED = 3000
"""Bytes: a pack that is shorter is continued by the next batch. Half of a page and more, so that few packs lie in many pages, and never
more than its page is written again."""
CONTINUED_NS = 3600 * SECOND
"""No pack reaches over more than this by being continued: what is forgotten, or looked for, is whole packs."""

RETAINED = 1
FLAG = 2
RESENT = 4
FOLLOWS = 8
"""Bits of a row: its message was retained; its value is true or false, which SQLite keeps as 1 or 0; a bridge only repeated
its cache; it is of the same message as the row before."""


Packed = Callable[[], bytes]
"""Returns a blob, the same one whenever it is called; called in the writer's thread, so that nobody else waits for the packing."""


class Kind(IntEnum):
    """What a row tells."""

    READING = 0
    STATE = 1
    AVAILABILITY = 2
    MARK = 3
    PERSON = 4
    TICK = 5
    EDGE = 6


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One thing heard, on its way to a row. `flags` are the bits above."""

    kind: int
    device: str
    metric: str
    unit: str | None
    at: Instant
    value: float | str
    quality: int
    reason: str | None
    flags: int


class Senses(msgspec.Struct, frozen=True):
    """A snapshot on its way to the file: it lies between the entries before and after it.

    One that `stays` is a checkpoint, from which a replay can begin; any other takes the place of the one before.
    """

    pack: Packed
    at: Instant
    stays: bool = False


class Journal(File):
    """The readings file. A commit survives kill -9; the loss of power takes the last ones."""

    def __init__(self, folder: Path, clock: Callable[[], Instant]) -> None:
        super().__init__(folder, schema.READINGS, "NORMAL", clock)
        self._streams: dict[tuple[int, str, str, str | None], int] = {}
        self._known: Head | None = None

    def opened(self, connection: sqlite3.Connection) -> None:  # noqa: ARG002  the parent's
        """Forget the numbers of an earlier file."""
        self._streams.clear()
        self._known = None

    def head(self) -> Head | None:
        """Return the newest decision of which this file knows that it was committed. Raises sqlite3.Error or OSError."""
        found = self.use().execute("SELECT decision, digest FROM heads WHERE id = 1").fetchone()
        return None if found is None else Head(*found)

    def append(self, entries: Sequence[Entry | Senses], head: Head | None) -> None:
        """Commit `entries` in their order, and the ledger's `head` where it is known and new. Raises sqlite3.Error or OSError."""
        self.use()
        self._leave_room()
        try:
            with self.transaction() as connection:
                self._append(connection, entries, head)
        except BaseException:
            self._streams.clear()
            raise
        self._known = head or self._known

    def _leave_room(self) -> None:
        disk = os.statvfs(self.path.parent)
        if disk.f_bavail * disk.f_frsize < RESERVE_BYTES:
            raise OSError(f"less than {RESERVE_BYTES >> 20} MB are free, which are left to decisions")

    def _append(
        self, connection: sqlite3.Connection, entries: Sequence[Entry | Senses], head: Head | None
    ) -> None:
        first = spans.newest(connection) + 1
        heard = [entry for entry in entries if isinstance(entry, Entry)]
        until = first
        for boot_id, same in by_boot(heard):
            until = self._pack(
                connection, self.boot(connection, boot_id), self._columns(connection, same), until
            )
        before = 0
        for entry in entries:
            if isinstance(entry, Entry):
                before += 1
                continue
            # The one that is replaced is number 1; those that stay are counted up from 2.
            number = (
                connection.execute("SELECT MAX(COALESCE(MAX(id), 1), 1) + 1 FROM snapshots").fetchone()[0]
                if entry.stays
                else 1
            )
            connection.execute(
                "INSERT OR REPLACE INTO snapshots VALUES (?,?,?,?,?,?)",
                (
                    number,
                    self.boot(connection, entry.at.boot_id),
                    entry.at.boottime_ns,
                    entry.at.wall_ns,
                    first + before,
                    entry.pack(),
                ),
            )
        if head is not None and head.id and head != self._known:
            connection.execute("INSERT OR REPLACE INTO heads VALUES (1,?,?)", (head.id, head.digest))

    def _pack(self, connection: sqlite3.Connection, boot: int, heard: Columns, first: int) -> int:
        """Write what was `heard` in one boot, the first of which has the number `first`; return the first number after it.

        The last pack is continued while it is short: it fills its page of the file first, as rows of a table would.
        """
        last = connection.execute(
            "SELECT packs.first, rows, blob, batches.boot, low, high FROM packs JOIN batches USING (first)"
            " ORDER BY packs.first DESC LIMIT 1"
        ).fetchone()
        if last is not None:
            begun, count, blob, its_boot, low, high = last
            near = max(high, *heard.wall) - min(low, *heard.wall) <= CONTINUED_NS
            if len(blob) < CONTINUED and begun + count == first and its_boot == boot and near:
                try:
                    heard, first = heard.after(Pack(begun, blob).columns()), begun
                except sqlite3.DatabaseError as broken:
                    log.error("%s", broken)  # noqa: TRY400  no trace: the words say it
        for start in range(0, len(heard.wall), ROWS):
            part = heard.part(start, start + ROWS)
            connection.execute(
                "INSERT OR REPLACE INTO packs VALUES (?,?,?)",
                (first + start, len(part.wall), pack(boot, part)),
            )
            # Where a stretch of time lies, whatever the wall clock did meanwhile.
            connection.execute(
                "INSERT OR REPLACE INTO batches VALUES (?,?,?,?,?)",
                (first + start, boot, part.boottime[0], min(part.wall), max(part.wall)),
            )
        return first + len(heard.wall)

    def _columns(self, connection: sqlite3.Connection, heard: Sequence[Entry]) -> Columns:
        # Column by column, and no tuple a row that the collector of garbage looks at: a busy control loop waits for it.
        known = map(
            self._streams.get,
            zip(
                [entry.kind for entry in heard], [entry.device for entry in heard], [entry.metric for entry in heard],
                [entry.unit for entry in heard], strict=True,
            ),
        )  # fmt: skip
        stream = [
            self._stream(connection, (entry.kind, entry.device, entry.metric, entry.unit)) if number is None else number
            for number, entry in zip(known, heard, strict=True)
        ]  # fmt: skip
        at = [entry.at for entry in heard]
        return Columns(
            stream, [one.boottime_ns for one in at], [one.wall_ns for one in at], [entry.value for entry in heard],
            [entry.quality for entry in heard], [entry.reason for entry in heard], [entry.flags for entry in heard],
        )  # fmt: skip

    def _stream(self, connection: sqlite3.Connection, key: tuple[int, str, str, str | None]) -> int:
        """Return the number of a stream. A unit declared later makes another one: the old rows stay without."""
        known = self._streams.get(key)
        if known is None:
            found = connection.execute(
                "SELECT id FROM streams WHERE kind = ? AND device = ? AND metric = ? AND unit IS ?", key
            ).fetchone()
            if found is None:
                known = int(
                    connection.execute(
                        "INSERT INTO streams (kind, device, metric, unit) VALUES (?,?,?,?)", key
                    ).lastrowid
                    or 0
                )
            else:
                known = int(found[0])
            if len(self._streams) < MAX_STREAMS:
                self._streams[key] = known
        return known


def by_boot(heard: Sequence[Entry]) -> Iterable[tuple[str, Sequence[Entry]]]:
    """Return stretches of one boot each: their boot times have nothing to do with each other."""
    if len({entry.at.boot_id for entry in heard}) == 1:
        return [(heard[0].at.boot_id, heard)]
    return [(boot, list(same)) for boot, same in groupby(heard, key=lambda entry: entry.at.boot_id)]


def storable(value: float | str) -> tuple[float | str | None, int]:
    """Return a value as SQLite takes it, and its bit: no bool, no huge number, no endless word, no half of a surrogate pair.

    None for a number that is not finite: SQLite would keep it as NULL, and nobody could tell it from a gap.
    """
    if type(value) is float and math.isfinite(value):
        return value, 0
    if isinstance(value, bool):
        return int(value), FLAG
    if isinstance(value, str):
        return value[:MAX_TEXT].encode("utf-8", "replace").decode(), 0
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return int(value), 0
    try:
        number = float(value)
    except OverflowError:
        return None, 0
    return (number if math.isfinite(number) else None), 0
