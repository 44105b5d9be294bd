"""An edge server of the test's own, on raw sockets, that behaves as told: well, or in one of many bad ways."""

import asyncio
import contextlib
import gzip
import json
import math
import ssl
from collections.abc import AsyncIterator
from typing import Any

from appliance.adapters.edge.terms import Teacher

LABELS = ("nobody", "somebody")


def model(row: list[float]) -> list[float]:
    share = 1 / (1 + math.exp(-(row[0] - 2 * row[1] + 0.5 * row[2])))
    return [1 - share, share]


GOLDEN = tuple((a / 4, b / 4, 1.0) for a in range(-8, 9, 4) for b in range(-4, 5, 4))
TEACHER = Teacher(
    name="presence-teacher",
    version=3,
    digest="d" * 64,
    labels=LABELS,
    features=3,
    golden_rows=GOLDEN,
    golden_probabilities=tuple(tuple(model(list(row))) for row in GOLDEN),
    steps=(0.5, 0.5, 0.5),
)


class Request:
    """One that came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = line.split(" ")
        self.headers = {
            name.lower(): value for name, _, value in (one.partition(": ") for one in lines if one)
        }
        self.body = body
        self.size = len(head) + 4 + len(body)

    @property
    def rows(self) -> list[list[float]]:
        told = json.loads(self.body)["inputs"][0]
        width = told["shape"][1]
        return [told["data"][at : at + width] for at in range(0, len(told["data"]), width)]


def http(
    body: bytes, *, status: str = "200 OK", headers: str = "Content-Type: application/json\r\n"
) -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Good:
    """Follows the protocol. Children change one thing."""

    name, version = TEACHER.name, str(TEACHER.version)

    def said(self, row: list[float]) -> list[Any]:
        return model(row)

    def metadata(self) -> dict[str, Any]:
        return {
            "name": self.name, "versions": [self.version], "platform": "test",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": [-1]},
                {"name": "p", "datatype": "FP32", "shape": [-1, 2]},
            ],
        }  # fmt: skip

    def answer(self, request: Request) -> dict[str, Any]:
        asked = json.loads(request.body)
        assert asked["inputs"][0]["name"] == "x"
        said = [self.said(row) for row in request.rows]
        flat = [value for row in said for value in row]
        output = {"name": "p", "datatype": "FP32", "shape": [len(said), len(said[0])], "data": flat}
        return {
            "id": asked["id"],
            "model_name": self.name,
            "model_version": self.version,
            "outputs": [output],
        }

    def encoded(self, told: dict[str, Any]) -> bytes:
        return json.dumps(told).encode()

    async def talk(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays."""
        if request.path.endswith("/infer"):
            return await self.infer(request, writer)
        writer.write(http(self.encoded(self.metadata())))
        return True

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(self.encoded(self.answer(request))))
        return True


class Server:
    """Listens on a free port of loopback. `behaviour` may be changed at any time."""

    def __init__(self, behaviour: Good | None = None) -> None:
        self.behaviour = behaviour or Good()
        self.requests: list[Request] = []
        self.connections = 0
        self.bytes_in = self.bytes_out = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def asked(self) -> int:
        """Questions about rows."""
        return sum(request.path.endswith("/infer") for request in self.requests)

    @property
    def cases(self) -> list[list[float]]:
        """Rows of cases: those that came beside one golden row."""
        return [
            request.rows[0]
            for request in self.requests
            if request.path.endswith("/infer") and len(request.rows) == 2
        ]

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port, ssl=tls, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError
            ):
                while await self._one(reader, writer):
                    pass
        finally:
            self._talks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
        request = Request(head, body)
        self.requests.append(request)
        self.bytes_in += request.size
        stays = await self.behaviour.talk(request, writer)
        await writer.drain()
        return stays


@contextlib.asynccontextmanager
async def serving(behaviour: Good | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(behaviour)
    await server.start(tls)
    try:
        yield server
    finally:
        await server.stop()


# ------------------------------------------------------------ bad ways


class Hangs(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(3600)
        return False


class Drips(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        for byte in http(self.encoded(self.answer(request))):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)
        return True


class DripsFast(Good):
    """A byte at a time, for ever: each read gives something."""

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)


class Fails(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(b'{"error":"bug"}', status="500 Internal Server Error"))
        return True


class Busy(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(b"{}", status="503 Busy", headers="Retry-After: 7\r\n"))
        return True


class Html(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(b"<html><body>router login</body></html>", headers="Content-Type: text/html\r\n"))
        return True


class NoHttp(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        return True


class AnotherId(Good):
    def answer(self, request: Request) -> dict[str, Any]:
        return {**super().answer(request), "id": "00000000"}


class AnotherModel(Good):
    def answer(self, request: Request) -> dict[str, Any]:
        return {**super().answer(request), "model_name": "something-else"}


class WrongVersion(Good):
    def answer(self, request: Request) -> dict[str, Any]:
        return {**super().answer(request), "model_version": "2"}


class WrongShape(Good):
    def said(self, row: list[float]) -> list[Any]:
        return [*model(row), 0.0]


class WrongType(Good):
    def answer(self, request: Request) -> dict[str, Any]:
        told = super().answer(request)
        told["outputs"][0]["datatype"] = "FP64"
        return told


class Words(Good):
    def said(self, row: list[float]) -> list[Any]:
        return ["a", "b"]


class Nulls(Good):
    def said(self, row: list[float]) -> list[Any]:
        return [None, None]


class NaN(Good):
    def said(self, row: list[float]) -> list[Any]:
        return [math.nan, math.nan]


class Deep(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(b"[" * 60_000))
        return True


class Huge(Good):
    """A body of 1 GiB, sent as far as anybody takes it."""

    sent = 0

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n"
        )
        block = b" " * (1 << 16)
        for _ in range(1 << 14):
            writer.write(block)
            await writer.drain()
            Huge.sent += len(block)
        return False


class HugeHeaders(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 60_000 + b"\r\nContent-Length: 2\r\n\r\n{}")
        return True


class LargeHeaders(Good):
    """Just beyond what is allowed, and all of it in one piece."""

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        body = self.encoded(self.answer(request))
        writer.write(http(body, headers="".join(f"X-{number}: {'y' * 80}\r\n" for number in range(96))))
        return True


class Bomb(Good):
    """64 MiB in 64 KiB."""

    body = gzip.compress(b" " * (64 << 20))

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(self.body, headers="Content-Type: application/json\r\nContent-Encoding: gzip\r\n"))
        return True


class Chunks(Good):
    """A body in chunks of one byte each."""

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 20_000)
        return True


class Storm(Good):
    """Interim answers without an end."""

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        while True:
            writer.write(b"HTTP/1.1 100 C\r\n\r\n" * 1000)
            await writer.drain()


class Redirects(Good):
    def __init__(self, to: str) -> None:
        self.to = to

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(b"", status="307 Temporary Redirect", headers=f"Location: {self.to}\r\n"))
        return True


class Permuted(Good):
    def said(self, row: list[float]) -> list[Any]:
        return model(row)[::-1]


class Retrained(Good):
    def said(self, row: list[float]) -> list[Any]:
        return model([row[0] + 0.1, *row[1:]])


class LiesOfCases(Good):
    """Knows the golden rows by heart, and says nonsense of all else."""

    def said(self, row: list[float]) -> list[Any]:
        return model(row) if tuple(row) in GOLDEN else [3.0, -2.0]


class RefusesCases(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if all(tuple(row) in GOLDEN for row in request.rows):
            return await super().infer(request, writer)
        writer.write(http(b'{"error":"no"}', status="400 Bad Request"))
        return True


class ClosesAtOnce(Good):
    async def talk(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        return False


class HalfAHeader(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
        return False


class HalfABody(Good):
    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(self.encoded(self.answer(request)))[:-5])
        return False


class NotServed(Good):
    async def talk(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(b'{"error":"unknown model"}', status="404 Not Found"))
        return True


class Forbids(Good):
    async def talk(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(b"{}", status="401 Unauthorized"))
        return True


class ClosesAfterEach(Good):
    """Not bad at all: HTTP/1.1 without keep-alive."""

    async def infer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        await super().infer(request, writer)
        return False


class ByTheWord(Good):
    """Wants a token."""

    async def talk(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.headers.get("authorization") != "Bearer sesame":
            writer.write(http(b"{}", status="401 Unauthorized"))
            return True
        return await super().talk(request, writer)
