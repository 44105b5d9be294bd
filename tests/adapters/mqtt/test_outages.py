"""A broker that is late, dies, freezes, is none, or throws us out: the link comes back by itself, and says what is wrong."""

import asyncio
import os
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from appliance.adapters.mqtt import Address
from appliance.adapters.mqtt.dialing import is_there
from tests.adapters.conftest import Broker, free_port, until
from tests.adapters.mqtt.conftest import Ear, elsewhere, listening


async def test_a_broker_that_comes_late_is_found_and_nothing_old_is_sent_then(
    silent_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(Ear(silent_broker.port), up=False) as ear:
        await until(lambda: "no broker" in caplog.text)
        assert not ear.link.publish("t/a", b"of the time without a broker")
        silent_broker.start()
        await until(lambda: ear.link.connected)
        assert ear.link.publish("t/a", b"new")
        await until(lambda: ear.messages)
    assert ear.payloads == [b"new"]


async def test_a_broker_that_was_killed_is_heard_again(
    broker: Broker, record_property, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "appliance")  # where a reason that was said already is said again
    async with listening(Ear(broker.port)) as ear:
        took, descriptors = [], []
        for number in range(4):
            broker.kill()
            await until(lambda: not ear.link.connected)
            caplog.clear()
            await until(
                lambda: "refused" in caplog.text
            )  # tried while it is away, as in an update of the broker
            broker.start()
            took.append(round(await until(lambda: ear.link.connected), 2))
            broker.publish("t/a", str(number))
            await until(lambda number=number: ear.payloads[-1:] == [str(number).encode()])
            descriptors.append(len(os.listdir("/proc/self/fd")))
    record_property("back in control after, s", took)
    print("back in control after, s:", took)
    assert max(took) < 10  # promised: 5; the rest is slack for a busy machine
    assert [up for up, _ in ear.changes] == [True, False] * 5
    assert descriptors[-1] <= descriptors[0], "each session leaves a descriptor behind"


async def test_a_broker_that_restarts_again_and_again_is_not_taken_for_a_war_over_our_name(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Each session is short then, as in such a war; who waits as in one is back in control seconds late."""
    async with listening(Ear(broker.port)) as ear:
        for _ in range(4):
            broker.kill()
            await until(lambda: not ear.link.connected)
            broker.start()
            await until(lambda: ear.link.connected)
        assert ear.link.sessions == 5
    assert "another program" not in caplog.text


async def test_who_takes_no_connection_or_ends_it_at_once_is_away_and_who_keeps_it_is_there() -> None:
    """A broker that is killed, or a container's proxy whose broker is, may still take connections that end with it."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        assert not await is_there(Address("127.0.0.1", server.sockets[0].getsockname()[1], "ear"))
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", keeper.getsockname()[1], "ear")
        assert not await is_there(address)
        keeper.listen()
        assert await is_there(address)


async def test_a_frozen_broker_is_noticed(broker: Broker, record_property) -> None:
    """Nobody closes such a connection: without a heartbeat, commands would go nowhere for ever."""
    async with listening(Ear(broker.port)) as ear:
        broker.freeze()
        took = await until(lambda: not ear.link.connected, 25)
        record_property("noticed after, s", took)
        assert took < 20  # promised: 15
        assert "half-open" in ear.changes[1][1]
        broker.thaw()
        await until(lambda: ear.link.connected)
        broker.publish("t/a", "1")
        await until(lambda: ear.payloads == [b"1"])


async def test_a_broker_that_is_down_all_night_does_not_fill_the_log(
    silent_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closer:
        closer.bind(("127.0.0.1", silent_broker.port))
        closer.listen()
        closer.setblocking(False)
        async with listening(Ear(silent_broker.port), up=False):
            for number in range(4):
                connection, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(closer), 15)
                # With an end or with a reset: which of them is chance.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
                connection.close()
            await until(lambda: "closed the connection" in caplog.text)
    assert caplog.text.count("no broker") == 1


async def test_reasons_that_take_turns_all_night_do_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        await reader.read(4096)  # CONNECT
        if tries % 2:
            writer.write(b"\x20\x02\x00\x05")  # not authorized
            await writer.drain()
        tries += 1
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, listening(Ear(server.sockets[0].getsockname()[1]), up=False):
        await until(lambda: tries == 5, 30)
    assert "refuses us" in caplog.text
    assert caplog.text.count("no broker") == 2, "each reason is said once"


async def test_a_quiet_link_whose_heartbeat_is_not_let_through_stays_up(silent_broker: Broker) -> None:
    """Where an access list allows no more than a status and commands, only pings tell a quiet broker from a frozen one."""
    allowed = silent_broker.folder / "acl"
    allowed.write_text("topic readwrite t/#\ntopic read ear/#\ntopic write ear/status\n")
    silent_broker.conf += f"acl_file {allowed}\n"
    silent_broker.start()
    async with listening(Ear(silent_broker.port, keepalive_s=60)) as ear:
        heard_s = ear.link._session.heard_s
        with pytest.raises(TimeoutError):  # time itself is what is measured
            await until(lambda: not ear.link.connected, 15)
        assert ear.link._session.heard_s > heard_s, "the silence was not long enough to tell"


async def test_a_name_that_is_none_is_told_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Python refuses some names with an error that is none of the network's."""
    async with listening(Ear(free_port(), host="a" * 70 + ".home"), up=False):
        await until(lambda: "is no host name" in caplog.text)


async def test_what_is_no_broker_is_tried_again_with_pauses() -> None:
    """An HTTP server on the port: no crash, no tight loop, and it is said."""
    at: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        at.append(time.monotonic())
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, listening(Ear(server.sockets[0].getsockname()[1]), up=False) as ear:
        await until(lambda: len(at) == 2, 30)
        assert not ear.link.connected
    assert at[1] - at[0] >= 0.4


async def test_who_accepts_and_never_answers_is_left_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        async with listening(Ear(mute.getsockname()[1]), up=False):
            await until(lambda: "does not answer" in caplog.text)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes no connection and refuses none, as a host that is switched off."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        yield port
        for one in waiting:
            one.close()


def test_the_process_ends_while_a_host_that_is_switched_off_is_dialled(black_hole: int) -> None:
    """A dialling thread of the loop's pool would be waited for."""

    async def leave() -> None:
        async with listening(Ear(black_hole), up=False):
            await asyncio.sleep(0.2)  # it dials; nothing tells from outside

    began = time.monotonic()
    asyncio.run(leave())
    assert time.monotonic() - began < 4  # the dialling takes 5


async def test_leaving_says_offline_and_so_does_being_killed(broker: Broker) -> None:
    async with listening(Ear(broker.port, "left")):
        # Asking holds up our own loop: what the link has not sent by then comes with the next.
        await until(lambda: broker.retained("left/status") == b"online")
    assert broker.retained("left/status") == b"offline"
    process = elsewhere(broker.port, "killed")
    assert broker.retained("killed/status") == b"online"
    process.kill()
    process.wait()
    process.stdout.close()
    await until(lambda: broker.retained("killed/status") == b"offline")


async def test_leaving_a_frozen_broker_takes_no_longer_than_a_goodbye(broker: Broker) -> None:
    async with listening(Ear(broker.port)) as ear:
        broker.freeze()
        while ear.link.publish("t/a", b"x" * 100_000):
            await asyncio.sleep(0)
    assert not ear.link.connected  # `listening` gives it 5 s


async def test_a_war_over_our_name_is_fought_slowly_and_said_once(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Two daemons with one client id throw each other out: without a pause, hundreds of times a second."""
    async with listening(Ear(broker.port, "same")) as one, listening(Ear(broker.port, "same")) as two:
        await asyncio.sleep(12)  # time itself is what is measured
        sessions = one.link.sessions + two.link.sessions
    assert 3 <= sessions < 14
    assert caplog.text.count("no broker") <= 4, "each says both reasons once"
    assert "another program may use our client id 'same'" in caplog.text
