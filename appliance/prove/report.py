"""Owns what `prove` is asked and what it answers: plain values, which travel between the solver's process and the caller's.

Never in here: the solver, or how an answer was found.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What became of a question."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    NOTED = "noted"


class Phase(msgspec.Struct, frozen=True):
    """For `minutes` these readings and words arrive each minute; at its start a person may choose an action."""

    minutes: int
    reads: Mapping[str, float]
    says: Mapping[str, str] = {}
    person: str | None = None


class Scenario(msgspec.Struct, frozen=True):
    """Readings that lead to a decision that must not be: from `start` (local time, as 2026-01-05T12:00:00) the phases follow
    each other; in the last minute of the last none of `never` may be decided.
    """

    start: str
    phases: tuple[Phase, ...]
    never: tuple[str, ...]


class Witness(msgspec.Struct, frozen=True):
    """A state in which something is so, in words.

    `kind` is "readings" where messages alone lead there (`scenario` holds them, and the controller was seen to decide so),
    "state" where it takes a person's word, a running timer or the like (the real rules and arbitration were seen to decide
    so), "abstract" where no readings are known to give it: means, rates or timers that were varied apart from each other, and
    every mean or rate that readings which stand still would not give, since nobody lived through them.
    """

    text: str
    kind: str
    decided: str | None = None
    source: str | None = None
    scenario: Scenario | None = None


class Answer(msgspec.Struct, frozen=True):
    """The answer to one question about one subject (an invariant, a rule, a pair of rules). A `claim` that fails is an error;
    what is only NOTED is for the author to look at.
    """

    question: str
    subject: str
    outcome: Outcome
    text: str
    claim: bool = False
    witness: Witness | None = None


class Report(msgspec.Struct, frozen=True):
    """All that was found out about one appliance. `beyond` is what the formulas do not know of it."""

    appliance: str
    profile: str
    answers: tuple[Answer, ...]
    beyond: tuple[str, ...] = ()
    queries: int = 0
    seconds: float = 0.0

    @property
    def proved(self) -> bool:
        """Whether every claim holds."""
        return not any(answer.claim and answer.outcome is not Outcome.HOLDS for answer in self.answers)
