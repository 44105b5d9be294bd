"""What a link hands on and takes: whole, in order, and past whatever is broken; each test names what would go unnoticed."""

import asyncio
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from appliance.adapters.mqtt.blockwise import BLOCK, BlockwiseSocket
from appliance.adapters.mqtt.link import valid_topic
from appliance.errors import ConfigError
from tests.adapters.conftest import ROOT, Broker, free_port, until
from tests.adapters.mqtt.conftest import Ear, listening


async def test_messages_come_in_order_and_one_wake_up_is_one_batch_with_one_instant(broker: Broker) -> None:
    async with listening(Ear(broker.port)) as ear:
        for number in range(500):
            assert ear.link.publish(f"t/{number % 3}", str(number).encode())
        await until(lambda: len(ear.messages) == 500)
    assert [int(payload) for payload in ear.payloads] == list(range(500))
    assert len(ear.batches) < 250, "each message woke the loop by itself"
    stamps = [at.boottime_ns for _, at in ear.batches]
    assert stamps == sorted(set(stamps)), "two wake-ups share an instant, or time ran back"
    assert {at.boot_id for _, at in ear.batches} == {ear.batches[0][1].boot_id}


async def test_an_exception_in_the_core_is_counted_and_silences_nothing(broker: Broker) -> None:
    async with listening(Ear(broker.port)) as ear:
        ear.fails = True
        broker.publish("t/a", "1")
        await until(lambda: ear.link.failures == 1)
        ear.fails = False
        broker.publish("t/a", "2")
        await until(lambda: ear.payloads == [b"2"])
        assert ear.link.sessions == 1, "one broken message cost the connection"
    assert ear.link.failures == 1, "the count went with its session"


async def test_whoever_is_told_of_a_change_may_fail_and_the_link_goes_on(broker: Broker) -> None:
    ear = Ear(broker.port)
    ear.link._on_change = lambda up, why: 1 / 0
    async with listening(ear):
        broker.publish("t/a", "1")
        await until(lambda: ear.payloads == [b"1"])
        assert ear.link.failures == 1


async def test_a_retained_message_is_not_taken_for_a_fresh_one(broker: Broker) -> None:
    broker.publish("t/kept", "1", "-r")
    async with listening(Ear(broker.port)) as ear:
        await until(lambda: ear.messages)
        broker.publish("t/fresh", "2")
        await until(lambda: len(ear.messages) == 2)
    assert [(message.payload, message.retained) for message in ear.messages] == [(b"1", True), (b"2", False)]


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_burst_of_ten_thousand_arrives_whole_with_the_shipped_broker_config(
    silent_broker: Broker, qos: int, deaf: bool
) -> None:
    """Mosquitto's own limit of 1,000 waiting messages loses most of such a burst without a word. `deaf`: we take nothing
    until all of it was sent.
    """
    lines = (ROOT / "deploy" / "mosquitto.conf").read_text().splitlines()
    elsewhere = ("listener", "persistence", "autosave")
    silent_broker.conf = "\n".join(line for line in lines if not line.startswith(elsewhere)) + "\n"
    silent_broker.start()
    async with listening(Ear(silent_broker.port)) as ear:
        command = ["mosquitto_pub", "-p", str(silent_broker.port), "-t", "t/burst", "-q", str(qos), "-l"]
        burst = "".join(f"{number}\n" for number in range(10_000)).encode()
        if deaf:
            subprocess.run(command, input=burst, check=True)  # holds up the loop, and with it the link
        else:
            sender = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
            await sender.communicate(burst)
        await until(lambda: len(ear.messages) >= 10_000, 60)
    assert [int(payload) for payload in ear.payloads] == list(range(10_000))


async def test_the_shipped_broker_config_starts_as_it_is(silent_broker: Broker) -> None:
    """A word that Mosquitto does not know ends it at once, with a home left uncontrolled."""
    shipped = (ROOT / "deploy" / "mosquitto.conf").read_text()
    assert "\nlistener 1883 127.0.0.1\n" in shipped, "by default it listens on this machine only"
    silent_broker.conf = shipped.replace("listener 1883", f"listener {free_port()}")
    silent_broker.conf += f"persistence_location {silent_broker.folder}/\n"
    silent_broker.start()
    async with listening(Ear(silent_broker.port)):
        pass


async def test_too_large_a_payload_is_dropped_and_counted_unless_expected(broker: Broker) -> None:
    async with listening(Ear(broker.port)) as ear:
        broker.publish("t/small", b"x" * (64 << 10))
        broker.publish("t/small", b"x" * ((64 << 10) + 1))
        broker.publish("t/large", b"y" * 700_000)
        broker.publish("t/large", b"z" * ((4 << 20) + 1))
        broker.publish("t/end", "end")
        await until(lambda: ear.messages and ear.messages[-1].topic == "t/end")
    assert [len(payload) for payload in ear.payloads] == [64 << 10, 700_000, 3]
    assert ear.link.dropped == 2


@pytest.fixture
def torrent() -> Iterator[tuple[int, int]]:
    """A broker's port, and how many messages of eight bytes it pours out, as fast as they are taken."""
    count = 100_000
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def pour() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)  # CONNECT
                connection.sendall(b"\x20\x02\x00\x00")
                subscribe = connection.recv(4096)
                connection.sendall(b"\x90\x04" + subscribe[2:4] + b"\x01\x01")
                connection.sendall(b"\x30\x06\x00\x03t/a1" * count)
                while connection.recv(4096):
                    pass

        pouring = threading.Thread(target=pour)
        pouring.start()
        yield listener.getsockname()[1], count
        pouring.join(10)


async def test_a_torrent_of_tiny_messages_waits_at_the_sender_and_not_in_memory(
    torrent: tuple[int, int],
) -> None:
    """One block holds more of them than one wake-up deals with: reading on regardless piles them up, and stalls the loop."""
    port, count = torrent
    waiting = [0]
    ear = Ear(port)
    deliver = ear.link._deliver_to

    def measured(messages, at) -> None:
        deliver(messages, at)
        waiting.append(ear.link._session._socket.buffered)

    ear.link._deliver_to = measured
    async with listening(ear):
        await until(lambda: len(ear.messages) == count, 60)
    assert max(len(messages) for messages, _ in ear.batches) <= 4096
    assert max(waiting) <= 2 * BLOCK


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_broker_that_takes_nothing_is_told_and_costs_no_memory(broker: Broker, qos: int) -> None:
    async with listening(Ear(broker.port, "ear", "nothing")) as ear:
        broker.freeze()
        sent = 0
        while ear.link.publish("t/a", b"x" * 10_000, qos=qos):
            sent += 1
            assert sent < 5000, "what a frozen broker does not take piles up without end"
            await asyncio.sleep(0)
        broker.thaw()
        await until(lambda: ear.link.publish("t/a", b"x", qos=qos))
        assert ear.link.sessions == 1


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\x00", "a\u2028b", "x" * 300, "a\nb", "\ud800"])
async def test_a_topic_that_no_broker_takes_is_refused_before_it_is_sent(broker: Broker, topic: str) -> None:
    with pytest.raises(ConfigError) as refused:
        valid_topic(topic)
    assert refused.value.hint
    async with listening(Ear(broker.port)) as ear:
        with pytest.raises(ConfigError):
            ear.link.publish(topic, b"")
        assert ear.link.connected


async def test_paho_still_asks_for_its_socket_where_we_give_it_ours(broker: Broker) -> None:
    """The one private hook: should paho rename it, it would open a socket of its own, and this fails."""
    async with listening(Ear(broker.port)) as ear:
        assert isinstance(ear.link._session._client.socket(), BlockwiseSocket)
