"""Owns how much may be asked: a share of cases, and bytes a day, both ways.

Token buckets. Never in here: a clock, or what is asked.
"""

import msgspec

MOST_CASES = 64.0
"""Cases that may be saved up: an hour of easy ones must not pay for a flood."""
DAY_S = 86_400.0
SAVED = 0.25
"""The share of a day's bytes that may be saved up; the rest comes in over the day, so that no 24 hours see more than the whole."""
RESERVE = 0.25
"""The share of what can be saved up that hard cases leave alone: for audits, which must not go missing just when it is hard, and for checks."""
AT_START_S = 3600.0
"""A start begins with the reserve, and what comes in over so long: a daemon that starts again and again must not spend all each time."""


class BudgetStatus(msgspec.Struct, frozen=True):
    """What was spent since the start, and what is left. `cases_left` are whole cases, `bytes_left` may be a debt."""

    cases_percent: float
    mb_a_day: float
    seen: int
    asked: int
    bytes_out: int
    bytes_in: int
    cases_left: int
    bytes_left: int
    refused_cases: int
    refused_bytes: int


class Budget:
    """`cases_percent` of the cases that were `seen`, and `mb_a_day` (10^6 bytes), headers and encryption included.

    In any 24 hours no more than `mb_a_day` go over the wire, and what the last answer had more than was expected of it.
    """

    def __init__(self, cases_percent: float, mb_a_day: float, now_s: float) -> None:
        self._cases_percent = cases_percent
        self._mb_a_day = mb_a_day
        self._cases = 0.0
        self._most_bytes = mb_a_day * 1e6 * SAVED
        self._rate = mb_a_day * 1e6 * (1 - SAVED) / DAY_S
        self._bytes = min(self._most_bytes, self._most_bytes * RESERVE + self._rate * AT_START_S)
        self._filled_s = now_s
        self._seen = self._asked = self._out = self._in = 0
        self._refused_cases = self._refused_bytes = 0

    def seen(self, cases: int) -> None:
        """Note so many cases more, hard or easy."""
        self._seen += cases
        self._cases = min(self._cases + cases * self._cases_percent / 100, MOST_CASES)

    def take(self, expected: int, now_s: float, *, case: bool) -> bool:
        """Return whether `expected` bytes may be asked now, and take a case from the share where it is one. The bytes are taken by `spend`.

        What is no `case`, an audit or a check, may use the reserve too.
        """
        self._fill(now_s)
        if self._bytes - expected < (self._most_bytes * RESERVE if case else 0.0):
            self._refused_bytes += 1
            return False
        if case and self._cases < 1.0:
            self._refused_cases += 1
            return False
        self._cases -= case
        self._asked += case
        return True

    def spend(self, out: int, came: int) -> None:
        """Take what really went over the wire, both ways."""
        self._out += out
        self._in += came
        self._bytes -= out + came

    def status(self, now_s: float) -> BudgetStatus:
        """Return how it stands."""
        self._fill(now_s)
        return BudgetStatus(
            self._cases_percent,
            self._mb_a_day,
            self._seen,
            self._asked,
            self._out,
            self._in,
            int(self._cases),
            int(self._bytes),
            self._refused_cases,
            self._refused_bytes,
        )

    def _fill(self, now_s: float) -> None:
        passed = max(now_s - self._filled_s, 0.0)
        self._filled_s = now_s
        self._bytes = min(self._bytes + passed * self._rate, self._most_bytes)
