"""Owns a TCP proxy between a daemon and its broker that delays, stalls, and goes silent. Never in here: MQTT.

A kernel without traffic control can't lose packets on purpose; to a TCP connection a lost packet is a stall for the time of its
retransmission, and that is what this does. Bytes of one direction keep their order, as TCP's do.
"""

import asyncio
import contextlib
import random
import threading
from typing import Self

RETRANSMISSION_S = (0.2, 0.4, 0.8)
"""Linux sends a lost packet again after 200 ms at least, then after twice that (RFC 6298, the kernel's own minimum)."""


class Proxy:
    """Listens at `port`. `delay_s` holds for each direction; `loss` is the share of chunks that stall; `cut`: nothing passes,
    and nobody is told.
    """

    def __init__(self, target: int, *, delay_s: float = 0.0, loss: float = 0.0, seed: int = 1) -> None:
        self.target, self.delay_s, self.loss = target, delay_s, loss
        self.cut = False
        self.connections = 0
        self.stalls = 0
        self.errors: list[BaseException] = []
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _serve(self) -> None:
        self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A network that is cut completes no handshake either: whoever gave up meanwhile was never here.
        first = await reader.read(4096)
        while self.cut:
            await asyncio.sleep(0.05)
        with contextlib.suppress(TimeoutError):
            if not await asyncio.wait_for(reader.read(1), 0.02):
                writer.transport.abort()
                return
        self.connections += 1
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        with contextlib.suppress(asyncio.CancelledError):  # we are closing
            await asyncio.gather(self._pass(reader, back, first), self._pass(there, writer))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b""
    ) -> None:
        """Hand on one direction: a queue, so that a delay holds up nobody who comes later."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(10_000)
        sending = asyncio.create_task(self._send(waiting, writer))
        if first:
            await waiting.put((self._loop.time() + self.delay_s, first))
        try:
            while data := await reader.read(4096):
                await waiting.put((self._loop.time() + self.delay_s, data))
        except OSError:  # a reset: what is on its way is lost
            sending.cancel()
            writer.transport.abort()
            return
        await waiting.put((self._loop.time() + self.delay_s, b""))
        await sending

    async def _send(self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            for again_s in RETRANSMISSION_S:
                if self._dice.random() >= self.loss:
                    break
                self.stalls += 1
                await asyncio.sleep(again_s)
            while self.cut:
                await asyncio.sleep(0.05)
            if not data:
                writer.transport.abort() if self.cut else writer.close()
                return
            if not writer.is_closing():
                with contextlib.suppress(OSError):
                    writer.write(data)
                    await writer.drain()
