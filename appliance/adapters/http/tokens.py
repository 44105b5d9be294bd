"""Owns who may write: one bearer token, and a lockout for those who guess at it.

Never in here: which requests need the token, or where it is kept.
"""

import hmac
import time
from collections import deque
from collections.abc import Callable
from enum import Enum

from appliance.errors import ConfigError

SHORTEST = 22
"""128 bits in base64, the least that is not worth guessing at (ETSI EN 303 645, 5.1)."""

MAX_FAILURES = 5
WINDOW_S = 60.0
MAX_ADDRESSES = 256
"""Failures are remembered of so many addresses; beyond that the one that failed longest ago is forgotten."""


class Answer(Enum):
    """What comes of a request to write."""

    GRANTED = "granted"
    MISSING = "missing"
    WRONG = "wrong"
    LOCKED = "locked"


class Tokens:
    """Compares tokens in constant time, and locks an address out after five failures in a minute.

    While an address is locked out nothing that it sends is compared, the right token neither, and nothing
    counts as a failure: so the lockout ends by itself within a minute of the first failure.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        if len(token) < SHORTEST:
            raise ConfigError(
                f"the token for writing over HTTP has {len(token)} characters, fewer than {SHORTEST}",
                hint="delete the token file: a new one is made at the next start",
            )
        self._token = token.encode()
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def ask(self, address: str, authorization: str | None) -> Answer:
        """Return what comes of a request from `address` with this Authorization header; count a failure."""
        now = self._clock()
        failures = self._failures.get(address)
        if failures is not None:
            while failures and now - failures[0] >= WINDOW_S:
                failures.popleft()
            if len(failures) >= MAX_FAILURES:
                return Answer.LOCKED
        if authorization is None:
            return Answer.MISSING
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return Answer.GRANTED
        self._remember(address, now)
        return Answer.WRONG

    def _remember(self, address: str, now: float) -> None:
        failures = self._failures.pop(address, None)
        if failures is None:
            failures = deque(maxlen=MAX_FAILURES)
            if len(self._failures) >= MAX_ADDRESSES:
                del self._failures[next(iter(self._failures))]
        failures.append(now)
        # Put back last: the dict stays in the order of the newest failure.
        self._failures[address] = failures
