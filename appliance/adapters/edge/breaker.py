"""Owns whether something that failed is asked again yet: closed, open, or half-open while one try is under way.

Never in here: a clock, a network, or what counts as a failure.
"""

import random
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]

MAX_DOUBLINGS = 32
"""Beyond, only the bound counts: a float must not overflow after a year of failures."""


class Breaker:
    """Opens after `failures` failures in a row; each failed try then doubles the wait, from `base_s` to `most_s`, times a random factor
    from 0.5 to 1, so that no two homes come back in step. Instants are seconds on any clock that never goes back.
    """

    def __init__(
        self, *, failures: int, base_s: float, most_s: float, draw: Callable[[], float] = random.random
    ) -> None:
        self._failures = failures
        self._base_s = base_s
        self._most_s = most_s
        self._draw = draw
        self._in_a_row = 0
        self._tries = 0
        self.state: State = "closed"
        self.retry_s = 0.0
        """While open: from when on it is tried again."""
        self.why: str | None = None
        """What failed last; None while it is closed and nothing has failed since."""

    def admits(self, now_s: float) -> bool:
        """Return whether to ask now. Where it is open and the wait is over, the caller's is the one try, and must be told to `settle`."""
        if self.state == "open" and now_s >= self.retry_s:
            self.state = "half-open"
            return True
        return self.state == "closed"

    def settle(self, now_s: float, why: str | None, *, at_once: bool = False, wait_s: float = 0.0) -> bool:
        """Note how it went: `why` it failed, or None. Return whether it opened or closed by this.

        `at_once`: one such failure is enough. `wait_s`: it asked to be left alone for so long, which is granted up to the bound.
        """
        before = self.state
        if why is None:
            # The one try may go well, and what follows may not: only the next success forgets how long it was waited for.
            self._tries = self._tries if before != "closed" else 0
            self.state, self._in_a_row, self.why = "closed", 0, None
            return before != "closed"
        self.why = why
        self._in_a_row += 1
        if before == "closed" and self._in_a_row < self._failures and not at_once:
            return False
        wait = min(self._base_s * 2.0 ** min(self._tries, MAX_DOUBLINGS), self._most_s)
        self._tries += 1
        self.state = "open"
        self.retry_s = now_s + max(wait * (0.5 + 0.5 * self._draw()), min(wait_s, self._most_s))
        return before == "closed"
