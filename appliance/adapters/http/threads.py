"""Owns the way to the disk: blocking questions go to a few worker threads; control never waits for them.

Never in here: the questions.
"""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

READERS = 4
"""Threads that read the store at once; further requests wait for one of them."""

T = TypeVar("T")


class Threads:
    """A few threads for those who read from the disk."""

    def __init__(self, readers: int = READERS) -> None:
        self._readers = readers
        self._limiter: CapacityLimiter | None = None

    async def run(self, question: Callable[[], T]) -> T:
        """Return what `question` returns, or raise what it raises; it runs in a worker thread."""
        if self._limiter is None:
            # A limiter belongs to a running loop.
            self._limiter = CapacityLimiter(self._readers)
        return await to_thread.run_sync(question, limiter=self._limiter)
