"""Owns running something that blocks in a thread of its own, for a loop that must not wait for it when it ends.

Not in the loop's pool: a name server or a host that says nothing must not hold up the end of the process, which waits for the pool. Never in
here: what is run.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], discard: Callable[[T], object], name: str) -> T:
    """Return what `work` returns, or raise what it raises. `discard` gets the result where nobody waits for it any more."""
    loop = asyncio.get_running_loop()
    awaited: asyncio.Future[T] = loop.create_future()

    def settle(results: list[T], broken: Exception | None) -> None:
        if awaited.done():
            for result in results:
                discard(result)
        elif broken is not None:
            awaited.set_exception(broken)
        else:
            awaited.set_result(results[0])

    def run() -> None:
        results: list[T] = []
        failed = None
        try:
            results.append(work())
        except Exception as broken:  # noqa: BLE001  it is raised where somebody waits for it
            failed = broken
        try:
            loop.call_soon_threadsafe(settle, results, failed)
        except RuntimeError:  # the loop has ended meanwhile
            for result in results:
                with contextlib.suppress(Exception):
                    discard(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await awaited
