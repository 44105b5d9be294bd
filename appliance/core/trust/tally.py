"""Owns the table of the last days: by day and label, audits and what people said, for people to look at.

Never in here: anything that is decided. It is bounded whatever clocks and labels say.
"""

import msgspec

DAYS = 28
"""So many days are kept."""
LABELS = 16
"""So many labels are kept apart; what has another one is not in the table."""


class Day(msgspec.Struct, frozen=True, array_like=True):
    """What was counted on `day` (since 1970, in the home's zone), by label of `Tally.labels`, in flat fours: audits where the model said
    it, how many of them disagreed, labels by people while it said it, how many of them were another one.
    """

    day: int
    counts: tuple[int, ...]


class Counted(msgspec.Struct, frozen=True):
    """One line of the table: of `audits` at which the model said `label` so many `disagreed`; of labels by people, so many `missed`."""

    day: int
    label: str
    audits: int
    disagreed: int
    labelled: int
    missed: int


class Tally(msgspec.Struct, frozen=True):
    """The table, with its days in the order in which they came."""

    labels: tuple[str, ...] = ()
    days: tuple[Day, ...] = ()

    def lines(self) -> list[Counted]:
        """Return its lines; labels without a count are left out."""
        return [
            Counted(one.day, label, *fours)
            for one in self.days
            for number, label in enumerate(self.labels)
            if any(fours := one.counts[4 * number : 4 * number + 4])
        ]

    def audited(self, day: int, label: str, *, disagreed: bool) -> "Tally":
        """Return the table after one more audit."""
        return self._with(day, label, (1, int(disagreed), 0, 0))

    def labelled(self, day: int, label: str, *, missed: bool) -> "Tally":
        """Return the table after one more word of a person."""
        return self._with(day, label, (0, 0, 1, int(missed)))

    def _with(self, day: int, label: str, fours: tuple[int, int, int, int]) -> "Tally":
        """Days leave in the order in which they came, so that none that a wrong clock told stays for good."""
        labels = self.labels
        if label not in labels:
            if len(labels) == LABELS:
                return self
            labels = (*labels, label)
        at, days = 4 * labels.index(label), list(self.days)
        place = next((number for number, one in enumerate(days) if one.day == day), len(days))
        counts = list(days[place].counts) if place < len(days) else []
        counts += [0] * (at + 4 - len(counts))
        for number, more in enumerate(fours):
            counts[at + number] += more
        days[place : place + 1] = [Day(day, tuple(counts))]
        return Tally(labels, tuple(days[-DAYS:]))
