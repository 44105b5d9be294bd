"""Owns reading a span of the history as events: what happened, in the order in which it happened, for a replay.

Never in here: writing, or what follows from the events.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.store import rows, schema, spans
from appliance.adapters.store.history import PAGE, Names
from appliance.adapters.store.journal import FLAG, FOLLOWS, LOST, RESENT, RETAINED, Kind
from appliance.adapters.store.packs import Numbered
from appliance.adapters.store.readonly import read_only, within
from appliance.core.clock import Instant
from appliance.core.events import (
    AdviceAnswered,
    AvailabilityChanged,
    Decision,
    Event,
    LinkChanged,
    PersonSpoke,
    ReadingArrived,
    StateReported,
    Tick,
)
from appliance.core.readings import Reading
from appliance.core.sensing import OLDER
from appliance.replay import BEGINS, CONCLUDED, ENDED, KEPT, RECONFIGURED, Moment, Opening, checkpoint

DECISIONS_PAGE = 500

_SPOKEN = msgspec.json.Decoder(Event)
_TICK = Tick()
_DECIDED = f"SELECT {rows.COLUMNS} FROM {rows.FROM} WHERE decisions.id > ? ORDER BY decisions.id LIMIT ?"  # noqa: S608  fixed


class Recall:
    """The history in `folder` from wall time `since_ns` to `until_ns`. Each page is read in a second at most.

    `as_it_was`: with the ticks of then, to do again what was done. Otherwise without them, but with the hands that were
    concluded from reports, as persons' words: for a history in which devices are told something else.
    """

    def __init__(self, folder: Path, since_ns: int, until_ns: int, *, as_it_was: bool) -> None:
        self._readings = folder / schema.READINGS
        self._decisions = folder / schema.DECISIONS
        self._since_ns = within(since_ns)
        self._until_ns = within(until_ns)
        self._as_it_was = as_it_was
        self._names: Names
        self._checkpoints: list[tuple[int, int]] = []
        self.readings = 0
        """How many readings were read so far."""

    def history(self) -> Iterator[Opening | Moment]:
        """Yield openings and moments. Begins at the last checkpoint before the span, where there is one. Raises StoreError."""
        first = self._look()
        if first is None:
            return
        at: tuple[int, int, int] | None = None
        events: list[Event] = []
        cold, stopped, ended = True, False, False
        opening = BEGINS
        after = first
        checkpoints = iter(self._checkpoints)
        upcoming = next(checkpoints, None)
        while page := self._page(after):
            for seq, stream, boot, boottime, wall, value, _, reason, flags in page:
                kind, device, metric, unit = self._names.streams[stream]
                if wall >= self._until_ns:
                    ended = True
                    break
                now = (boot, boottime, wall)
                if now != at:
                    if events:
                        yield self._moment(at, events)
                        events = []
                    at = now
                if kind == Kind.MARK and metric == "history" and value == LOST:
                    opening, cold, stopped = LOST, True, True
                    continue
                if kind == Kind.MARK and metric == "config":
                    opening, cold, stopped = RECONFIGURED, True, True
                    continue
                if kind == Kind.MARK and metric == "daemon":
                    if value == "start":
                        opening, cold = ENDED, True
                    else:
                        stopped = True
                    continue
                while upcoming is not None and upcoming[0] < seq:
                    upcoming = next(checkpoints, None)
                if cold and upcoming is not None and upcoming[0] == seq:
                    kept = self._kept(upcoming[1])
                    if kept is not None:
                        yield Opening(kept[1], opening or KEPT, kept[0], stopped)
                        cold, stopped, opening = False, False, ""
                if opening and not (kind == Kind.MARK and metric != "link"):
                    yield Opening(self._instant(now), opening, None, stopped)
                    opening, stopped = "", False
                if reason == OLDER:
                    continue  # overtaken by a newer message, it was not heard
                self._add(events, kind, device, metric, unit, value, flags)
            if ended:
                break
            after = page[-1][0] + 1
        if events:
            yield self._moment(at, events)

    def size(self) -> int:
        """Return about how many rows the history has. Raises StoreError."""
        first = self._look()
        if first is None:
            return 0
        with read_only(self._readings) as connection:
            return spans.newest(connection) - first + 1

    def decided(self, since_ns: int) -> Iterator[Decision]:
        """Yield the decisions from wall time `since_ns` on, in order. Raises StoreError."""
        with read_only(self._decisions) as connection:
            number = connection.execute(
                "SELECT MIN(id) FROM decisions WHERE wall >= ?", (within(since_ns),)
            ).fetchone()[0]
        if number is None:
            return
        number -= 1
        while True:
            with read_only(self._decisions) as connection:
                page = [
                    rows.kept_of(row).decision
                    for row in connection.execute(_DECIDED, (number, DECISIONS_PAGE))
                ]
            if not page:
                return
            yield from page
            number = page[-1].id

    def _look(self) -> int | None:
        """Return the number of the row to begin with, or None where there is none."""
        with read_only(self._readings) as connection:
            self._names = Names(connection)
            found = connection.execute("SELECT id, seq, wall FROM snapshots WHERE id > 1 ORDER BY seq")
            marks = [(seq, number, wall) for number, seq, wall in found]
            oldest = spans.oldest(connection)
            first = connection.execute(
                "SELECT MIN(first) FROM batches WHERE high >= ?", (self._since_ns,)
            ).fetchone()[0]
        if oldest is None or (first is None and not marks):
            return None
        before = [seq for seq, _, wall in marks if wall <= self._since_ns and seq >= oldest]
        begin = before[-1] if before else max(first if first is not None else oldest, oldest)
        self._checkpoints = [(seq, number) for seq, number, _ in marks if seq >= begin]
        return int(begin)

    def _page(self, first: int) -> list[Numbered]:
        with read_only(self._readings) as connection:
            page = spans.rows(connection, first, PAGE)
            if any(row[1] not in self._names.streams or row[2] not in self._names.boots for row in page):
                self._names = Names(connection)
            return page

    def _kept(self, number: int) -> tuple[checkpoint.Checkpoint, Instant] | None:
        with read_only(self._readings) as connection:
            row = connection.execute(
                "SELECT blob, boot, boottime, wall FROM snapshots WHERE id = ?", (number,)
            ).fetchone()
        kept = None if row is None else checkpoint.unpack(row[0])
        return None if kept is None else (kept, self._instant(row[1:]))

    def _instant(self, at: tuple[int, int, int]) -> Instant:
        return Instant(self._names.boots[at[0]], at[1], at[2])

    def _moment(self, at: tuple[int, int, int] | None, events: list[Event]) -> Moment:
        assert at is not None
        return Moment(self._instant(at), tuple(events))

    def _add(
        self,
        events: list[Event],
        kind: int,
        device: str,
        metric: str,
        unit: str | None,
        value: Any,
        flags: int,
    ) -> None:
        """Append what a row tells to the events of its instant, or add it to the message that it belongs to."""
        if flags & FLAG:
            value = bool(value)
        if kind == Kind.READING:
            self.readings += 1
            reading = Reading(device, metric, value, unit)
            if flags & FOLLOWS and events and isinstance(before := events[-1], ReadingArrived):
                events[-1] = ReadingArrived(
                    device, (*before.readings, reading), before.retained, None, before.resent
                )
            else:
                events.append(
                    ReadingArrived(device, (reading,), bool(flags & RETAINED), None, bool(flags & RESENT))
                )
        elif kind == Kind.MARK:
            if metric == "link":
                events.append(LinkChanged(value == "up"))
        elif kind in (Kind.PERSON, Kind.EDGE):
            try:
                spoken = _SPOKEN.decode(value)
            except msgspec.MsgspecError:
                return  # of another version
            concluded = isinstance(spoken, PersonSpoke) and spoken.by in CONCLUDED
            follows = isinstance(spoken, AdviceAnswered) and spoken.accepted
            if not (concluded if self._as_it_was else follows):
                events.append(spoken)
        elif kind == Kind.STATE:
            state = Reading(device, metric, value, unit)
            if flags & FOLLOWS and events and isinstance(said := events[-1], StateReported):
                events[-1] = StateReported(device, (*said.states, state), said.retained)
            else:
                events.append(StateReported(device, (state,), bool(flags & RETAINED)))
        elif kind == Kind.AVAILABILITY:
            events.append(AvailabilityChanged(device, bool(value), bool(flags & RETAINED)))
        elif kind == Kind.TICK and self._as_it_was:
            events.append(_TICK)
