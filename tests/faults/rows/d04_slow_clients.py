"""D4: clients that send half a request, or drip, or never take their answer (slow loris). Promise: each is let go within 10 s,
others are answered meanwhile, and control goes on.
"""

import asyncio
import contextlib
import threading
import time

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.wire import JSON, ask, hold, latencies, p95, say

ROW = Row("D4", "half-sent requests", "closed within 10 s; others answered; control goes on", minutes=1)
LET_GO_S = 10.0
SLACK_S = 1.0
"""For a machine that is busy with a crowd."""
HALVES = (
    b"",
    b"GET / HT",
    ask("/v1/appliances")[:-2],
    ask("/v1/decide", JSON, "content-length: 40", method="POST") + b'{"appliance"',
    ask("/v1/decide", JSON, "transfer-encoding: chunked", method="POST") + b"ff\r\n{",
    ask("/v1/decide", JSON, "expect: 100-continue", "content-length: 40", method="POST"),
    ask("/v1/appliances") + ask("/v1/decide", JSON, "content-length: 40", method="POST") + b"{",
    ask("/v1/appliances") + b"GET / HT",
    ask("/v1/events", "content-length: 40") + b"x",
)


async def _drip(port: int) -> float:
    """Send a header line now and then, for ever; return after how long the server hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n")

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.5)  # that is what a drip is

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                while await reader.read(4096):
                    pass
        return time.monotonic() - began
    except TimeoutError:
        return float("inf")
    finally:
        dripping.cancel()
        writer.transport.abort()


async def _crowd(port: int, clients: int) -> tuple[list[float], list[float]]:
    """Return after how long each slow client was let go, and how long others waited meanwhile."""
    ends = threading.Event()
    others = asyncio.create_task(asyncio.to_thread(latencies, port, "/v1/appliances", ends))
    slow = [hold(port, HALVES[number % len(HALVES)]) for number in range(clients - clients // 10)]
    dripping = [_drip(port) for _ in range(clients // 10)]
    held, dripped = await asyncio.gather(asyncio.gather(*slow), asyncio.gather(*dripping))
    ends.set()
    return [*held, *dripped], await others


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    figures = []
    # A hundred find a place each and must be let go by the clock; three hundred crowd each other out as well.
    for clients in size.of((100, 300), (100,)):
        wanted = iter((10.0, 50.0) * 20)
        missed = 0

        async def control(turns: int) -> None:
            nonlocal missed
            for _ in range(turns):
                dust = next(wanted)
                lab.air.says(dust)
                doing = "off" if dust < 20 else "high"
                missed += await asyncio.to_thread(lab.took, lambda doing=doing: lab.fan.doing == doing, 5) > 5

        async def both(clients: int) -> tuple[list[float], list[float]]:
            crowd = asyncio.create_task(_crowd(daemon.port, clients))
            await control(4)
            return await crowd

        slow, others = asyncio.run(both(clients))
        figures += [
            at_least("slow clients", len(slow), "", clients),
            at_most(f"the last of {clients} let go after", max(slow), "s", LET_GO_S + SLACK_S),
            exactly("others without an answer", sum(seconds == float("inf") for seconds in others), "", 0),
            Figure("others answered within, p95", p95(others), "ms", "reported; goal 300", holds=True),
            exactly("readings without the command that they ask for", missed, "", 0),
        ]
    after = asyncio.run(say(daemon.port, ask("/v1/appliances")))
    return [*figures, exactly("an answer afterwards", after.status, "", 200)]
