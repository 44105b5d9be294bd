"""Owns what waits to be looked up or asked: bounded, the newest of each channel. Never in here: what is done with it."""

import asyncio
from typing import Generic, TypeVar

MOST = 64
"""So many wait, of different channels."""

T = TypeVar("T")


class Waiting(Generic[T]):
    """First come, first served; a newer one of the same key takes the older one's place at the end. Where too many wait the oldest goes."""

    def __init__(self) -> None:
        self._items: dict[object, T] = {}
        self._came = asyncio.Event()
        self.replaced = 0
        self.shed = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, key: object, item: T) -> None:
        """Let `item` wait."""
        if self._items.pop(key, None) is not None:
            self.replaced += 1
        elif len(self._items) >= MOST:
            del self._items[next(iter(self._items))]
            self.shed += 1
        self._items[key] = item
        self._came.set()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._came.set()

    def pop(self) -> tuple[object, T] | None:
        """Return the key and item that has waited longest, and no longer lets it wait; None where none waits."""
        if not self._items:
            self._came.clear()
            return None
        key = next(iter(self._items))
        return key, self._items.pop(key)

    async def come(self, patience_s: float | None = None) -> None:
        """Return when something waits, or after so long."""
        try:
            async with asyncio.timeout(patience_s):
                await self._came.wait()
        except TimeoutError:
            return
