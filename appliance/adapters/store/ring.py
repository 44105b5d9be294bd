"""Owns the newest decisions in memory: what is shown where there is no disk, and whether each is on disk yet.

Never in here: locks (the writer's guards it) or what waits to be written.
"""

from collections.abc import Iterable

import msgspec

from appliance.adapters.store.rows import Kept
from appliance.core.clock import Instant
from appliance.core.events import Decision

SIZE = 4096


class _Entry(msgspec.Struct):
    decision: Decision
    count: int
    last_at: Instant
    recorded: bool

    def kept(self) -> Kept:
        return Kept(self.decision, self.count, self.last_at, self.recorded)


class Ring:
    """The newest `SIZE` decisions, by number. Not safe for threads."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}

    def add(self, decision: Decision) -> None:
        """Take `decision` in; the oldest goes where there are too many."""
        self._entries[decision.id] = _Entry(decision, 1, decision.at, recorded=False)
        while len(self._entries) > SIZE:
            del self._entries[next(iter(self._entries))]

    def repeat(self, number: int, at: Instant) -> None:
        """Count that a decision was made once more at `at`."""
        entry = self._entries.get(number)
        if entry is not None:
            entry.count += 1
            entry.last_at = at

    def recorded(self, numbers: Iterable[int]) -> None:
        """Note that these lie on disk."""
        for number in numbers:
            entry = self._entries.get(number)
            if entry is not None:
                entry.recorded = True

    def kept(self, number: int) -> Kept | None:
        """Return one, or None."""
        entry = self._entries.get(number)
        return None if entry is None else entry.kept()

    def all(self) -> list[Kept]:
        """Return all, oldest first."""
        return [entry.kept() for entry in self._entries.values()]
