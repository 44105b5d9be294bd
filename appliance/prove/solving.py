"""Owns asking the solver: every question is bounded in time, and "not decided in time" is an answer.

Never in here: what is asked.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import z3

from appliance.prove.bits import Bit, term

QUERY_MS = 5000
"""The longest that one question may take (assumed: most take some milliseconds)."""


class Undecided(Exception):
    """The solver gave up, or its time was over."""


class Solver:
    """One set of facts, and questions on top of it. `clock` tells seconds; after `deadline` every question is undecided."""

    def __init__(
        self, facts: Iterable[Bit], *, deadline: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._solver = z3.Solver()
        self._deadline = deadline
        self._clock = clock
        self.queries = 0
        self.assume(*facts)

    def assume(self, *facts: Bit) -> None:
        """Add what holds from here on."""
        self._solver.add(*(term(fact) for fact in facts if fact is not True))

    def find(self, *wanted: Bit) -> z3.ModelRef | None:
        """Return a model in which all of `wanted` is true, or None: there is none.

        Raises:
            Undecided: it could not be found out in time.
        """
        if any(bit is False for bit in wanted):
            return None
        self._solver.push()
        try:
            self.assume(*wanted)
            return self._solver.model() if self._check() else None
        finally:
            self._solver.pop()

    def find_plainest(
        self, wanted: Sequence[Bit], wishes: Sequence[Bit]
    ) -> tuple[z3.ModelRef, list[Bit]] | None:
        """Return a model of `wanted` in which as many of `wishes` come true as can be, and which; earlier ones go first.

        Raises:
            Undecided: it could not be found out in time.
        """
        if any(bit is False for bit in wanted):
            return None
        self._solver.push()
        try:
            self.assume(*wanted)
            kept: dict[str, tuple[z3.BoolRef, Bit]] = {}
            for number, wish in enumerate(wishes):
                if not isinstance(wish, bool):
                    name = z3.Bool(f"wish {number}")
                    self._solver.add(z3.Implies(name, wish))
                    kept[f"wish {number}"] = (name, wish)
            while not self._check(*(name for name, _ in kept.values())):
                # What can't be together names itself; of these the last, which matters least, is given up.
                against = {str(name) for name in self._solver.unsat_core()} & set(kept)
                if not against:
                    return None
                del kept[next(name for name in reversed(kept) if name in against)]
            return self._solver.model(), [wish for _, wish in kept.values()]
        finally:
            self._solver.pop()

    def _check(self, *assumptions: z3.BoolRef) -> bool:
        left_ms = int((self._deadline - self._clock()) * 1000)
        if left_ms <= 0:
            raise Undecided
        self._solver.set("timeout", min(QUERY_MS, left_ms))
        self.queries += 1
        found = self._solver.check(*assumptions)
        if found == z3.unknown:
            raise Undecided
        return bool(found == z3.sat)
