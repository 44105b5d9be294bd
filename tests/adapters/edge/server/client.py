"""A client that sends what it is told, whole or not, and reads what comes."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from appliance.adapters.edge.server.limits import Limits
from appliance.adapters.edge.server.serving import EdgeServer
from appliance.adapters.edge.wire import decode_response, encode_request


class Said:
    """An answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def request(method: str, path: str, body: bytes = b"", headers=None, *, length: int | None = None) -> bytes:
    told = {"host": "edge", "content-length": str(len(body) if length is None else length), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def read(reader: asyncio.StreamReader) -> Said:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Said(
        int(first.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))
    )


async def ask(port: int, method: str, path: str, body: bytes = b"", headers=None, **options) -> Said:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(method, path, body, headers, **options))
        return await read(reader)
    finally:
        writer.close()


async def infer(
    port: int, model: str, rows, *, labels: int = 2, binary: bool = False, path: str = "", headers=None
):
    """Return what `model` says of `rows`."""
    rows = np.asarray(rows, np.float32)
    body, told = encode_request(rows, id="q", binary=binary)
    said = await ask(port, "POST", path or f"/v2/models/{model}/infer", body, told | (headers or {}))
    assert said.status == 200, said.body
    return decode_response(
        said.body, said.headers, id="q", model=model, version="", rows=len(rows), labels=labels
    )


async def bend(port: int, times: int) -> None:
    """Send requests in which some bytes are others, missing or new; none of the answers may be a 500."""
    chance = random.Random(7)
    row = np.zeros((1, 8), np.float32)
    seeds = [request("GET", "/v2")]
    seeds += [
        request("POST", "/v2/models/presence/infer", *encode_request(row, id="q", binary=binary))
        for binary in (False, True)
    ]
    for _ in range(times):
        sent = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(sent))
            match chance.randrange(3):
                case 0:
                    sent[at] = chance.randrange(256)
                case 1:
                    del sent[at : at + chance.randint(1, 20)]
                case _:
                    sent[at:at] = chance.randbytes(chance.randint(1, 20))
            sent = sent or bytearray(b"x")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        told = await asyncio.wait_for(reader.read(), 10)
        assert b" 500 " not in told.partition(b"\r\n")[0], bytes(sent)
        writer.close()


@contextlib.asynccontextmanager
async def served(models: Path, limits: Limits | None = None, **options) -> AsyncIterator[EdgeServer]:
    """A server on a port of its own, in this loop; at the end nothing may have failed by a fault of ours."""
    server = EdgeServer(models, limits or Limits(drain_s=0.5), **options)
    await server.start("127.0.0.1", 0)
    running = asyncio.create_task(server.run())
    try:
        yield server
        assert server.site is not None
        assert server.site._bugs == 0
    finally:
        server.stop()
        await running
    assert server.site.bodies == 0, "bytes of bodies are counted that nobody holds"
