"""Owns the numbered messages that a link sends itself, and what they tell: from when on what comes is fresh again.

The broker hands messages on in order, so whatever comes after the echo of a heartbeat was sent after it. Never in here: sockets,
or ending a connection.
"""

import logging
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

STANDSTILL_S = 3.0
"""Who looks at the link every second and did not for so long, stood still: stopped, suspended, or starved."""
ECHO_S = 6.0
"""A heartbeat that is away for so much longer than usual means that the broker, or the way to it, stood still: longer than a burst of
ten thousand readings is worked at."""
USUAL = 0.25
"""How much of what is usual the newest heartbeat makes up."""
QUIET_S = 60.0
"""So often a standstill is worth a warning."""


def boot_s() -> float:
    """Return seconds of boot time, which run on in suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heartbeats:
    """The heartbeats of one session; `send(payload)` returns False where nothing went out. While `late`, what was measured
    is of unknown age.
    """

    def __init__(self, send: Callable[[bytes], bool], clock_s: Callable[[], float] = boot_s) -> None:
        self._send = send
        self._clock_s = clock_s
        self._sent = 0
        self._echoed = 0
        self._on_their_way: deque[tuple[int, float]] = deque(maxlen=16)
        self._fresh_from = 0
        self._usual_s = 0.0
        self._looked_s = clock_s()
        self._said_s = -QUIET_S

    @property
    def late(self) -> bool:
        """Whether what comes now may have waited for long."""
        return self._fresh_from > 0

    @property
    def ever_echoed(self) -> bool:
        """Whether one ever came back: an access list may swallow them."""
        return self._echoed > 0

    def beat(self) -> None:
        """Send one."""
        self._sent += 1
        if self._send(b"%d" % self._sent):
            self._on_their_way.append((self._sent, self._clock_s()))

    def echo(self, payload: bytes) -> None:
        """Take one that came back. Anybody may write to its topic: what was never sent is not believed."""
        number = int(payload) if payload.isdigit() and len(payload) < 16 else 0
        if not self._echoed < number <= self._sent:
            return
        took_s = 0.0
        while self._on_their_way and self._on_their_way[0][0] <= number:
            took_s = self._clock_s() - self._on_their_way.popleft()[1]
        if self._echoed and took_s > self._usual_s + ECHO_S:
            # Its way is free again only now, and others' messages may still come after it: the next one counts.
            self._fresh_from = self._sent + 1
        elif not self.late:
            self._usual_s += (took_s - self._usual_s) * (USUAL if self._echoed else 1.0)
        self._echoed = number
        if number >= self._fresh_from:
            self._fresh_from = 0

    def look(self) -> bool:
        """Notice a standstill, ours or the broker's; call it every second, and before what came is handed on.

        Returns False where what waited meanwhile can't be told from what is new: no heartbeat ever came back.
        """
        now = self._clock_s()
        stood, self._looked_s = now - self._looked_s, now
        away = now - self._on_their_way[0][1] if self._on_their_way and self._echoed else 0.0
        if stood <= STANDSTILL_S and (away <= self._usual_s + ECHO_S or self.late):
            return True
        who, for_s = ("this program", stood) if stood > STANDSTILL_S else ("the broker", away)
        level = logging.WARNING if now - self._said_s > QUIET_S else logging.DEBUG
        log.log(level, "%s stood still for %.0f s: what was measured meanwhile is of unknown age", who, for_s)
        self._said_s = now
        if not self.ever_echoed:
            return False
        self.beat()
        self._fresh_from = self._sent
        return True
