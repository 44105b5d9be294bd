"""D5: a body of 200 MiB, with or without a length. Promise: refused while it comes, and not kept: memory grows by 5 MiB at most."""

import asyncio
import contextlib
import socket

from tests.faults.fuzz_http import log_faults
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly
from tests.faults.wire import JSON, ask, bearer, say

ROW = Row(
    "D5", "bodies of 200 MiB and without an end", "413 while they come; memory +5 MiB at most", minutes=0.5
)
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"
DECIDE = ("/v1/decide", "POST")
OVERRIDE = ("/v1/appliances/fan/override", "PUT")


def flood(port: int, head: bytes, piece: bytes, total: int) -> tuple[int, int]:
    """Send `head` and pieces until `total` bytes or until the server hangs up; return the status and how much it took."""
    sent, told = 0, b""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
            while sent < total:
                connection.sendall(piece)
                sent += len(piece)
        # What was said before hanging up can still be read.
        with contextlib.suppress(ConnectionError):
            while came := connection.recv(65536):
                told = (told + came)[:4096]
    return int(told[9:12]) if told.startswith(b"HTTP/1.1 ") else 0, sent


def _all(port: int, token: str, total: int) -> tuple[list[int], list[int], int]:
    length, chunked = f"content-length: {total}", "transfer-encoding: chunked"
    read, unread = [], []
    for path, method in (DECIDE, OVERRIDE):
        for framing, piece in ((length, b" " * 65536), (chunked, CHUNK)):
            read.append(flood(port, ask(path, JSON, bearer(token), framing, method=method), piece, total))
    for path in ("/v1/appliances", "/", "/v1/events", "/no/such/page", "/metrics"):
        unread.append(flood(port, ask(path, chunked), CHUNK, total))
    return (
        [status for status, _ in read],
        [status for status, _ in unread],
        max(sent for _, sent in (*read, *unread)),
    )


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    total = size.of(200, 64) << 20
    before = _all(daemon.port, daemon.token, 4 << 20)  # once in small, so that only size is measured
    daemon.reset_peak()
    resting = daemon.rss_mib()
    statuses, unread, sent = _all(daemon.port, daemon.token, total)
    grown = daemon.peak_mib() - resting
    after = asyncio.run(say(daemon.port, ask("/v1/appliances")))
    return [
        exactly("refused with 413", statuses.count(413), "", len(statuses)),
        exactly("the same for 4 MiB", before[0].count(413), "", len(statuses)),
        at_most("of one taken before hanging up, with what the sockets hold", sent / 2**20, "MiB", 16),
        exactly("where nobody reads a body, refused with 400", unread.count(400), "", len(unread)),
        at_most("memory grew by", grown, "MiB", 5),
        exactly("lines of the log that tell of an error", len(log_faults(daemon.log())), "", 0),
        exactly("an answer afterwards", after.status, "", 200),
    ]
