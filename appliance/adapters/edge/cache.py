"""Owns the thread that reads and writes the cached answers, and asking it from the loop without ever waiting long.

Never in here: the file (entries), or whether an answer is to be believed.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.adapters.edge.entries import MISS, Entries, Found, Tally

log = logging.getLogger(__name__)

DAY_NS = 86_400_000_000_000
NEGATIVE_NS = 600_000_000_000
"""What the edge had nothing to say of is not asked again for ten minutes."""
WRITE_S = 60.0
"""What waits is written after so long at the latest: a card takes one small write, not one an answer."""
LOOK_S = 0.05
"""A disk that is slower than this has no answer."""
MOST_UNDER_WAY = 256
"""Requests to the thread that wait; beyond, the disk stands still, and nothing is looked up or kept."""
CLOSE_S = 1.0

Task = Callable[[], None]
T = TypeVar("T")


class CacheState(msgspec.Struct, frozen=True):
    """How the file stands: answers in it or waiting, lookups that came too late, and why nothing is kept on disk, if so."""

    entries: int
    slow: int
    reason: str | None


class Cache:
    """Answers by key, in the file at `path`: `most` of them, kept for `days`. `wall_ns` tells the time by which they age.

    `start` it on the loop; with `most` 0 there is neither thread nor file. After `close` it finds nothing.
    """

    def __init__(self, path: Path, most: int, days: float, wall_ns: Callable[[], int]) -> None:
        self._entries = Entries(path, most, round(days * DAY_NS), NEGATIVE_NS)
        self._most = most
        self._wall_ns = wall_ns
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slow = 0
        self._broken = 0

    def start(self) -> None:
        """Start its thread."""
        if self._most and self._thread is None:
            self._loop = asyncio.get_running_loop()
            # A daemon thread: a disk that stands still must not hold up the end of the process.
            self._thread = threading.Thread(target=self._work, name="edge-cache", daemon=True)
            self._thread.start()

    async def look(self, key: bytes) -> Found:
        """Return what is known of `key`, a miss where the disk is too slow to tell."""
        found = await self._ask(lambda: self._entries.look(key, self._wall_ns()), LOOK_S)
        return MISS if found is None else found

    async def tallies(self) -> dict[str, Tally]:
        """Return what asking again had shown before this start."""
        found = await self._ask(self._entries.tallies, CLOSE_S)
        return {} if found is None else found

    def put(self, key: bytes, said: Sequence[float]) -> None:
        """Keep what the edge said (L,) of `key`; nothing: that it had nothing to say."""
        self._do(lambda: self._entries.put(key, said, self._wall_ns()))

    def keep(self, edge: str, tally: Tally) -> None:
        """Keep what asking again has shown of `edge`."""
        self._do(lambda: self._entries.keep(edge, tally))

    def state(self) -> CacheState:
        """Return how it stands."""
        return CacheState(len(self._entries), self._slow, self._entries.reason)

    async def close(self) -> None:
        """Write what waits, a second at most, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._tasks.put(None)
        deadline = time.monotonic() + CLOSE_S
        while thread.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110  a thread wakes no event
            await asyncio.sleep(0.005)

    async def _ask(self, question: Callable[[], T], patience_s: float) -> T | None:
        loop = self._loop
        if loop is None or self._thread is None:
            return None
        answered: asyncio.Future[T] = loop.create_future()

        def settle(answer: T) -> None:
            if not answered.done():
                answered.set_result(answer)

        def work() -> None:
            answer = question()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, answer)

        if not self._do(work):
            return None
        try:
            async with asyncio.timeout(patience_s):
                return await answered
        except TimeoutError:
            self._slow += 1
            return None

    def _do(self, task: Task) -> bool:
        if self._thread is None:
            return False
        if self._tasks.qsize() >= MOST_UNDER_WAY:
            self._slow += 1
            return False
        self._tasks.put(task)
        return True

    def _work(self) -> None:
        write_s = time.monotonic() + WRITE_S
        while True:
            task: Task | None
            try:
                task = self._tasks.get(timeout=max(write_s - time.monotonic(), 0.0))
            except queue.Empty:
                task = self._entries.write
                write_s = time.monotonic() + WRITE_S
            try:
                if task is None:
                    self._entries.close()
                    return
                task()
            except Exception:
                self._broken += 1
                if self._broken == 1:
                    log.exception("the edge's cache failed; it is looked up and kept no more than it can be")
                if task is None:
                    return
