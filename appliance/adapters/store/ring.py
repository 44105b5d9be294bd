"""Owns the newest decisions in memory: what is shown where there is no disk, and whether each is on disk yet.

Never in here: locks (the writer's guards it) or what waits to be written.
"""

from collections.abc import Iterable

import msgspec

from appliance.adapters.store.rows import Kept
from appliance.core.clock import Instant
from appliance.core.events import Decision

SIZE = 4096
"""Decisions that are not on disk yet, at most."""
RECORDED = 512
"""Decisions that are on disk too: the newest, which are asked for most."""


class _Entry(msgspec.Struct):
    decision: Decision
    count: int
    last_at: Instant
    recorded: bool

    def kept(self) -> Kept:
        return Kept(self.decision, self.count, self.last_at, self.recorded)


class Ring:
    """The newest decisions, by number: those that lie on no disk yet, few of the others, and the last of each appliance, however long
    ago it was made. Not safe for threads.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._recorded = 0
        self._last: dict[str, int] = {}
        self._old: dict[int, _Entry] = {}
        """What is only kept for being an appliance's last."""

    def add(self, decision: Decision) -> None:
        """Take `decision` in; the oldest goes where there are too many."""
        self._entries[decision.id] = _Entry(decision, 1, decision.at, recorded=False)
        before = self._last.get(decision.appliance)
        if before is not None:
            self._old.pop(before, None)
        self._last[decision.appliance] = decision.id
        while len(self._entries) > SIZE:
            self._drop(next(iter(self._entries)))

    def repeat(self, number: int, at: Instant) -> None:
        """Count that a decision was made once more at `at`."""
        entry = self._found(number)
        if entry is not None:
            entry.count += 1
            entry.last_at = at

    def recorded(self, numbers: Iterable[int]) -> None:
        """Note that these lie on disk."""
        for number in numbers:
            entry = self._entries.get(number)
            if entry is not None and not entry.recorded:
                entry.recorded = True
                self._recorded += 1
            elif (old := self._old.get(number)) is not None:
                old.recorded = True
        # Committed in the order of their numbers: the oldest is the first that may go.
        while self._recorded > RECORDED and self._entries[oldest := next(iter(self._entries))].recorded:
            self._drop(oldest)

    def kept(self, number: int) -> Kept | None:
        """Return one, or None."""
        entry = self._found(number)
        return None if entry is None else entry.kept()

    def all(self) -> list[Kept]:
        """Return all, oldest first."""
        return [entry.kept() for _, entry in sorted((self._old | self._entries).items())]

    def _found(self, number: int) -> _Entry | None:
        return self._entries.get(number) or self._old.get(number)

    def _drop(self, number: int) -> None:
        entry = self._entries.pop(number)
        self._recorded -= entry.recorded
        if self._last.get(entry.decision.appliance) == number:
            self._old[number] = entry
