"""Owns what a teacher's card says it is worth beside the local model: measured on the same held-out rows, with an interval, and against which.

Never in here: measuring it (learn), or what a home makes of it (daemon).
"""

import msgspec

LEAST_DAYS = 6
"""With fewer days a gain on each of them happens by chance in more than 2.5 of 100 cases (one half to the power of five), so that an interval
from so few shows nothing, wherever it lies."""


class Gain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By how much the teacher is right more often than the local model, on `rows` of `days` held-out days; shares in [-1, 1].

    `gain`: the mean over days, each the mean over its rooms; `low`, `high`: its 95 % interval, days drawn anew; `worst`: of the room
    in which it is least, the mean over days.
    """

    days: int
    rows: int
    gain: float
    low: float
    high: float
    worst: float

    @property
    def shown(self) -> bool:
        """Whether the interval lies above zero, from days enough."""
        return self.days >= LEAST_DAYS and self.low > 0


class Against(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A teacher beside the local `model` of this `version` and `digest`, each judged on days that it had not seen.

    `hard`: on the rows on which the local model is not sure at the error level `alpha`, which are those that an edge is asked about; None: on
    fewer than two days there was one. `everywhere`: on all rows.
    """

    model: str
    version: int
    digest: str
    alpha: float
    hard: Gain | None
    everywhere: Gain

    def shows_better_than(self, digest: str) -> bool:
        """Return whether this shows the teacher better on hard cases than the model with this digest: of any other it says nothing."""
        return self.digest == digest and self.hard is not None and self.hard.shown
