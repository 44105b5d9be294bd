"""Owns the line of those whose answer takes long: how many wait at once, and the few threads that read the disk for them.

Never in here: the questions. Control never waits for them, and neither do others: whoever waits holds a connection, of which
there are few, so a line that grows without end would keep everybody out.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from appliance.adapters.http.problems import Refused

READERS = 4
"""Threads that read the store at once; further requests wait for one of them."""

LONGEST_LINE = 64
"""So many requests wait or read at once, half of the connections that there are; more are told to come again."""

T = TypeVar("T")


class Line:
    """A line of bounded length."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._waiting = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Stand in line while the body runs. Raises Refused where too many do already."""
        if self._waiting >= self._longest:
            raise Refused(
                429,
                "too-many-questions",
                "Too many questions that take long are asked at once.",
                hint="Ask again in a moment, one at a time.",
                headers={"retry-after": "2"},
            )
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


class Threads:
    """A few threads for those who read from the disk."""

    def __init__(self, readers: int = READERS, longest_line: int = LONGEST_LINE) -> None:
        self._readers = readers
        self._line = Line(longest_line)
        self._limiter: CapacityLimiter | None = None

    async def run(self, question: Callable[[], T]) -> T:
        """Return what `question` returns, or raise what it raises; it runs in a worker thread. Raises Refused."""
        if self._limiter is None:
            # A limiter belongs to a running loop.
            self._limiter = CapacityLimiter(self._readers)
        with self._line.place():
            return await to_thread.run_sync(question, limiter=self._limiter)
