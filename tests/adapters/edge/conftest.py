"""A client on its own loop, with what it answers at hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.clock import SystemClock
from appliance.adapters.edge.client import Edge
from appliance.adapters.edge.status import EdgeStatus
from appliance.adapters.edge.terms import EdgeSettings, Teacher
from appliance.core.events import AskEdge, EdgeAnswered
from tests.adapters.conftest import until
from tests.adapters.edge.servers import TEACHER, model

SPEED = 60.0
"""The client's minutes are seconds here; the deadline of a question stays what it is."""


class Home:
    """A client, and what it answered."""

    def __init__(
        self, settings: EdgeSettings, cache: Path, teacher: Teacher = TEACHER, speed: float = SPEED
    ) -> None:
        self.answers: list[EdgeAnswered] = []
        self.teacher = teacher
        self.edge = Edge(
            settings, {teacher.name: teacher}, cache, self.answers.append, SystemClock(speed=speed)
        )
        self.edge.seen(100_000)

    @property
    def status(self) -> EdgeStatus:
        return self.edge.status()

    def offer(self, *row: float, channel: str = "presence", audit: str | None = None) -> tuple[int, ...]:
        bucket = tuple(round(value / step) for value, step in zip(row, self.teacher.steps, strict=True))
        ask = AskEdge(
            "fan", channel, "presence", self.teacher.name, self.teacher.version, row, bucket, "hard", audit
        )
        self.edge.seen(1)
        self.edge.offer(ask)
        return bucket

    async def proved(self, timeout_s: float = 15.0) -> None:
        await until(lambda: self.status.teachers[0].believed, timeout_s)

    async def answered(self, *row: float, timeout_s: float = 5.0) -> EdgeAnswered:
        """Offer until it is answered: one question may still find the way closed."""
        before = len(self.answers)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while len(self.answers) == before:
            self.offer(*row)
            with contextlib.suppress(TimeoutError):
                await until(lambda: len(self.answers) > before, 0.3)
            if loop.time() > end:
                raise TimeoutError(f"no answer in {timeout_s} s: {self.status}")
        return self.answers[-1]

    def failed(self) -> int:
        return sum(self.status.failed.values())


def settings(port: int, **changed: Any) -> EdgeSettings:
    plain = EdgeSettings(
        f"http://127.0.0.1:{port}", mb_a_day=10_000.0, cases_percent=100.0, recheck_percent=0.0
    )
    return msgspec.structs.replace(plain, **changed)


@contextlib.asynccontextmanager
async def at_home(
    settings: EdgeSettings, cache: Path, teacher: Teacher = TEACHER, speed: float = SPEED
) -> AsyncIterator[Home]:
    home = Home(settings, cache, teacher, speed)
    task = asyncio.create_task(home.edge.run())
    try:
        yield home
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def right(answer: EdgeAnswered, *row: float) -> bool:
    return all(abs(a - b) < 1e-5 for a, b in zip(answer.probabilities, model(list(row)), strict=True))
