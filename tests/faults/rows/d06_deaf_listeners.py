"""D6: a thousand clients ask for the stream of events, and never read. Promise: eight have a place, the others are told so, what waits
for the eight is bounded, and memory grows by 10 MiB at most.
"""

import asyncio
import contextlib
import socket
import threading

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.wire import ask, latencies, p95

ROW = Row("D6", "listeners that never read", "8 places; memory +10 MiB at most", minutes=1)
PLACES = 8


async def _deaf(port: int) -> socket.socket | None:
    """Ask for the stream with a small window and never read. Return the socket, None where the server did not take it."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(10):
            await loop.sock_connect(deaf, ("127.0.0.1", port))
            await loop.sock_sendall(deaf, ask("/v1/events"))
    except (OSError, TimeoutError):
        deaf.close()
        return None
    return deaf


async def _crowd(lab: Lab, port: int, clients: int, readings: int) -> tuple[int, float, list[float]]:
    """Return how many connected, the most places that were taken, and how long others waited for an answer."""
    daemon = lab.daemons[-1]
    ends = threading.Event()
    others = asyncio.create_task(asyncio.to_thread(latencies, port, "/v1/appliances", ends))
    held, most = [], 0.0
    for _ in range(clients // 50):
        held += await asyncio.gather(*(_deaf(port) for _ in range(50)))
        most = max(most, await asyncio.to_thread(daemon.metric, "http_streams"))
    for number in range(readings):
        lab.air.says(30.0 + number % 5)
        if number % 50 == 0:
            await asyncio.sleep(0.05)  # what a sensor may say in a moment
            most = max(most, await asyncio.to_thread(daemon.metric, "http_streams"))
    ends.set()
    took = await others
    for one in held:
        with contextlib.suppress(AttributeError):
            one.close()
    return len(held), most, took


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    readings = size.of(5000, 500)
    asyncio.run(
        _crowd(lab, daemon.port, 50, readings)
    )  # once with few, so that only how many they are is measured
    told = daemon.metric("http_refused_total")
    daemon.reset_peak()
    resting = daemon.rss_mib()
    clients = size.of(1000, 200)
    came, most, others = asyncio.run(_crowd(lab, daemon.port, clients, readings))
    grown = daemon.peak_mib() - resting
    left = lab.took(lambda: daemon.metric("http_streams") == 0)
    return [
        at_least("listeners", came, "", clients),
        at_most("places taken at once", most, "", PLACES),
        at_least(
            "told that there is no place, or crowded out",
            int(daemon.metric("http_refused_total") - told),
            "",
            clients - PLACES,
        ),
        at_most("memory grew by", grown, "MiB", 10),
        exactly("others without an answer", sum(seconds == float("inf") for seconds in others), "", 0),
        Figure("others answered within, p95", p95(others), "ms", "reported", holds=True),
        at_most("all places free again after", left, "s", 15),
    ]
