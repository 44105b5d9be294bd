"""Owns who is asked together: rows of several requests go through a model as one batch, and each gets its own back.

One batch of a model at a time; meanwhile others gather. A model whose full batch takes less than a hand-over to a thread and back is run on
the loop, any other in a thread. Never in here: the protocol, or how a model runs.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.adapters.edge.server.counting import ModelCounts
from appliance.adapters.edge.server.limits import Limits
from appliance.adapters.edge.server.models import Served
from appliance.adapters.edge.tensors import WireError

INLINE_S = 0.0003
"""A hand-over to a thread and back costs 0.1 to 0.2 ms on small machines; what is shorter than about that only gets later by it."""

Arrays = dict[str, NDArray[Any]]
Done = Callable[[Arrays | WireError], None]


class Batcher:
    """The line before one model. Only the loop uses it."""

    def __init__(self, served: Served, limits: Limits, threads: Executor, counts: ModelCounts) -> None:
        self.served = served
        self._limits, self._threads, self._counts = limits, threads, counts
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[int, Arrays, Done]] = deque()
        self.rows = 0
        """Rows that wait."""
        self._running = False
        self._due: asyncio.Handle | None = None
        self._inline = served.batch_s < INLINE_S

    def ask(self, inputs: Arrays, done: Done, *, alone: bool = False) -> None:
        """Ask the model; `done` is called with its outputs, or with why there are none. `alone`: nobody is there whom to wait for.

        Raises:
            WireError: 503: too many wait.
        """
        rows = max((len(values) if values.ndim else 1) for values in inputs.values())
        if self.rows + rows > self._limits.queue_rows and self._waiting:
            raise WireError(503, f"{self.served.name}: {self.rows} rows wait already", hint="ask again later")
        self._waiting.append((rows, inputs, done))
        self.rows += rows
        if self._running:
            return
        full = self.rows >= self._limits.max_batch or not self.served.batched
        if alone and self._due is None:
            self._next()
        elif self._due is None:
            # Even without a delay: what came in the same wake-up goes together.
            wait = 0.0 if full else self._limits.max_delay_s
            self._due = self._loop.call_later(wait, self._next) if wait else self._loop.call_soon(self._next)
        elif full and isinstance(self._due, asyncio.TimerHandle):
            self._due.cancel()
            self._due = self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Run one batch of what waits."""
        self._due = None
        if self._running or not self._waiting:
            return
        jobs = [self._waiting.popleft()]
        rows = jobs[0][0]
        while self.served.batched and self._waiting and rows + self._waiting[0][0] <= self._limits.max_batch:
            jobs.append(self._waiting.popleft())
            rows += jobs[-1][0]
        self.rows -= rows
        self._counts.rows.add(rows)
        if self._inline and rows <= self._limits.max_batch:
            self._end(jobs, _run(self.served, jobs))
            return
        self._running = True
        running = self._loop.run_in_executor(self._threads, _run, self.served, jobs)
        running.add_done_callback(lambda ended: self._ended(jobs, ended))

    def _ended(
        self, jobs: list[tuple[int, Arrays, Done]], ended: "asyncio.Future[list[Arrays | WireError]]"
    ) -> None:
        self._running = False
        if ended.cancelled() or ended.exception() is not None:
            self._end(jobs, [WireError(503, "the server stops", hint="ask again later")] * len(jobs))
        else:
            self._end(jobs, ended.result())

    def _end(self, jobs: list[tuple[int, Arrays, Done]], results: list[Arrays | WireError]) -> None:
        if self._waiting and self._due is None:
            # Those have waited for this batch already. What the loop has to do besides comes first.
            self._due = self._loop.call_soon(self._next)
        for (_, _, done), result in zip(jobs, results, strict=True):
            done(result)


def _run(served: Served, jobs: list[tuple[int, Arrays, Done]]) -> list[Arrays | WireError]:
    """Return what each of `jobs` gets."""
    try:
        if len(jobs) == 1:
            return [served.run(jobs[0][1])]
        name = next(iter(jobs[0][1]))
        said = served.run({name: np.concatenate([inputs[name] for _, inputs, _ in jobs])})
    except WireError as broken:
        # One of them may have broken it for all: each by itself.
        return [broken] if len(jobs) == 1 else [part for job in jobs for part in _run(served, [job])]
    results: list[Arrays | WireError] = []
    at = 0
    for rows, _, _ in jobs:
        results.append({name: values[at : at + rows] for name, values in said.items()})
        at += rows
    return results
