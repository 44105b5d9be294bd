"""Owns talking HTTP badly: raw bytes over a socket, from any address of this machine, and what came back.

Never in here: what is said, or whether the answer is right. Client libraries are too polite for this.
"""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

JSON = "content-type: application/json"
_INTERIM = re.compile(rb"HTTP/1\.1 1\d\d [^\r]*\r\n\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """What came back: `status` 0 where nothing did, `closed` where the server hung up, after `seconds`."""

    status: int
    raw: bytes
    closed: bool
    seconds: float

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0].lower()

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def code(self) -> str | None:
        """The code of the problem that it tells, if it does."""
        with contextlib.suppress(ValueError, AttributeError):
            return json.loads(self.body).get("code")
        return None

    @property
    def count(self) -> int:
        """How many answers these are: more than one where a request was smuggled in, or many were asked."""
        return len(re.findall(rb"(?:^|\r\n\r\n|\})HTTP/1\.1 \d{3} ", self.raw))


def ask(
    path: str, *headers: str, method: str = "GET", host: str = "localhost", body: bytes | None = None
) -> bytes:
    """Return a request, with a length where it has a body; characters beyond Latin-1 can't be said."""
    length = [] if body is None else [f"content-length: {len(body)}"]
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *headers, *length, "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def bearer(token: str) -> str:
    """Return the header that lets one write."""
    return f"authorization: Bearer {token}"


def json_body(value: Any) -> bytes:
    return json.dumps(value).encode()


async def say(
    port: int, *pieces: bytes, source: str | None = None, wait_s: float = 5.0, until_closed: bool = False
) -> Answer:
    """Send `pieces` from the address `source`; return what comes within `wait_s`: one answer, or all until it is closed."""
    began = time.monotonic()
    raw, closed = b"", False
    writer = None
    try:
        async with asyncio.timeout(wait_s):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=None if source is None else (source, 0)
            )
            sending = asyncio.create_task(_send(writer, pieces))
            try:
                while until_closed or not whole(raw):
                    came = await reader.read(1 << 16)
                    if not came:
                        closed = True
                        break
                    raw = _INTERIM.sub(b"", raw + came, count=1)
            finally:
                sending.cancel()
    except ConnectionError:
        closed = True
    except TimeoutError:
        pass
    finally:
        if writer is not None:
            writer.transport.abort()
    status = int(raw[9:12]) if re.match(rb"HTTP/1\.1 \d{3} ", raw) else 0
    return Answer(status, raw, closed, time.monotonic() - began)


def whole(raw: bytes) -> bool:
    """Return whether `raw` begins with a whole answer; one without a length is whole with its head."""
    head, end, body = raw.partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(head)
    return length is None or len(body) >= int(length[1])


async def _send(writer: asyncio.StreamWriter, pieces: tuple[bytes, ...]) -> None:
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()


async def hold(port: int, half: bytes) -> float:
    """Send `half` of something and no more; return how long after connecting the server hung up, infinite where it did not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    try:
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                writer.write(half)
                await writer.drain()
                while await reader.read(1 << 16):
                    pass
        return time.monotonic() - began
    except TimeoutError:
        return float("inf")
    finally:
        writer.transport.abort()


def latencies(port: int, path: str, ends: threading.Event) -> list[float]:
    """Ask `path` ten times a second until `ends`; return how long each took, infinite where it was not 200.

    Run it in a thread of its own: a crowd that is played on the same loop would hold up what this says, not the server.
    """
    took = []
    while not ends.is_set():
        began, raw = time.monotonic(), b""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(ask(path))
            while not whole(raw) and (came := connection.recv(1 << 16)):
                raw += came
        took.append(time.monotonic() - began if raw.startswith(b"HTTP/1.1 200 ") else float("inf"))
        ends.wait(0.1)
    return took


def p95(took: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return 1000 * sorted(took)[min(len(took) - 1, int(len(took) * 0.95))]
