"""Somebody who listens over a link, and remembers what came, in which batches, and what was said of the link."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from appliance.adapters.clock import SystemClock
from appliance.adapters.mqtt import Address, Link
from appliance.core.clock import Instant
from appliance.core.payloads.message import Message
from tests.adapters.conftest import ROOT, until

ENDLESS = """
import asyncio, sys
from tests.adapters.mqtt.conftest import Ear, listening
async def main():
    async with listening(Ear(int(sys.argv[1]), sys.argv[2])):
        print("up", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


class Ear:
    """What a link delivered: the messages, its batches with their instants, the changes."""

    def __init__(
        self, port: int, name: str = "ear", *topics: str, host: str = "127.0.0.1", **address: Any
    ) -> None:
        self.messages: list[Message] = []
        self.batches: list[tuple[list[Message], Instant]] = []
        self.changes: list[tuple[bool, str]] = []
        self.fails = False
        self.link = Link(
            Address(host, port, name, **address),
            clock=SystemClock(),
            subscriptions=list(topics or ("t/#",)),
            status_topic=f"{name}/status",
            deliver=self.deliver,
            on_change=lambda up, why: self.changes.append((up, why)),
            large_topics=("t/large",),
        )

    def deliver(self, messages: list[Message], at: Instant) -> None:
        if self.fails:
            raise ValueError("a bug in the core")
        self.messages += messages
        self.batches.append((messages, at))

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


@asynccontextmanager
async def listening(ear: Ear, *, up: bool = True) -> AsyncIterator[Ear]:
    """Run the ear's link meanwhile; a link that ends by itself, or does not end when told, fails the test."""
    task = asyncio.create_task(ear.link.run())
    try:
        if up:
            await until(lambda: ear.link.connected or task.done())
        yield ear
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done


def elsewhere(port: int, name: str) -> "subprocess.Popen[bytes]":
    """Return a process with a link that is up, until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(port), name], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process
