"""The event stream over real sockets: what arrives, how many may listen, what becomes of the deaf."""

import asyncio
import json
import socket

import pytest

from appliance.adapters.http.app import create_app
from appliance.adapters.http.feed import MAX_PENDING, MAX_SUBSCRIBERS, ReadingSeen
from appliance.adapters.http.protocol import Limits
from appliance.adapters.http.server import serve
from appliance.core.events import Input

REQUEST = b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Listener:
    """A client of the stream."""

    @classmethod
    async def connect(cls, port: int) -> "Listener":
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(REQUEST)
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        self.status = int(head.split()[1])
        self.head = head.lower()
        return self

    async def event(self, name: str) -> dict:
        async with asyncio.timeout(5):
            while True:
                line = (await self.reader.readline()).decode().strip()
                if line == f"event: {name}":
                    return json.loads((await self.reader.readline()).decode().removeprefix("data: "))

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass

    def close(self) -> None:
        self.writer.close()


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_decision_arrives_as_it_is_told_elsewhere(home, server, client):
    listener = await Listener.connect(server.port)
    assert b"content-type: text/event-stream" in listener.head
    home.hear("pm2_5", 40.0)
    reading = await listener.event("reading")
    assert (reading["appliance"], reading["reading"]["channel"], reading["reading"]["value"]) == (
        "purifier",
        "pm2_5",
        40.0,
    )
    assert await listener.event("decision") == (await client.get("/v1/decisions/1")).json()
    assert (await listener.event("appliance"))["doing"] == "high"
    listener.close()


async def test_a_word_with_line_ends_in_it_cannot_forge_an_event(home, server):
    listener = await Listener.connect(server.port)
    home.feed.publish(
        ReadingSeen("purifier", Input("presence", "x\n\nevent: decision\ndata: {}", None, 0.0, "good"))
    )
    home.feed.publish(ReadingSeen("purifier", Input("co2", 1.0, "ppm", 0.0, "good")))
    assert (await listener.event("reading"))["reading"]["value"] == "x\n\nevent: decision\ndata: {}"
    assert (await listener.event("reading"))["reading"]["channel"] == "co2"
    listener.close()


async def test_eight_may_listen_and_a_place_is_free_again_when_one_leaves(home, server, client):
    listeners = [await Listener.connect(server.port) for _ in range(MAX_SUBSCRIBERS)]
    assert [listener.status for listener in listeners] == [200] * MAX_SUBSCRIBERS
    refused = await client.get("/v1/events")
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-listeners")
    listeners.pop().close()
    await until(lambda: len(home.feed) == MAX_SUBSCRIBERS - 1)
    newcomer = await Listener.connect(server.port)
    assert newcomer.status == 200
    for listener in [*listeners, newcomer]:
        listener.close()
    await until(lambda: len(home.feed) == 0)


async def test_a_flood_of_readings_of_one_channel_is_told_by_the_newest(home, server):
    listener = await Listener.connect(server.port)
    for value in range(10 * MAX_PENDING):
        home.feed.publish(ReadingSeen("purifier", Input("co2", float(value), "ppm", 0.0, "good")))
    assert (await listener.event("reading"))["reading"]["value"] == 10 * MAX_PENDING - 1
    assert home.feed.dropped == 0
    listener.close()


async def test_one_that_falls_too_far_behind_is_dropped_and_the_others_are_not(home, server):
    behind = home.feed.subscribe()
    listener = await Listener.connect(server.port)
    for number in range(MAX_PENDING + 1):
        home.feed.publish(ReadingSeen("purifier", Input(f"channel_{number}", 1.0, None, 0.0, "good")))
        if number % 16 == 0:
            await listener.event("reading")
    assert behind.ended
    assert await behind.take() == ()
    assert home.feed.dropped == 1
    home.hear("pm2_5", 40.0)
    assert (await listener.event("decision"))["action"] == "high"
    listener.close()


class TestUnread:
    """With a deadline of half a second in place of ten."""

    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(send_s=0.5)

    async def test_a_client_that_never_reads_loses_its_place(self, home, server):
        # A small window, so that the server's side fills soon.
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", server.port))
        await loop.sock_sendall(deaf, REQUEST)
        await until(lambda: len(home.feed) == 1)
        word = "x" * 60_000
        async with asyncio.timeout(20):
            while len(home.feed):
                home.feed.publish(ReadingSeen("purifier", Input("presence", word, None, 0.0, "good")))
                await asyncio.sleep(0.01)
        deaf.close()


async def test_closing_the_server_ends_the_streams_at_once(home):
    server = serve(create_app(home, token="a-token-that-nobody-uses-here"))
    task = asyncio.create_task(server.run())
    listeners = [await Listener.connect(server.port) for _ in range(3)]
    await server.close()
    for listener in listeners:
        await listener.ended()
        listener.close()
    await asyncio.wait_for(task, 5)
    assert len(home.feed) == 0
