"""What of MQTT we read and write ourselves: whole packets only, whatever a block cuts them into."""

import pytest
from hypothesis import given, strategies as st

from appliance.adapters.mqtt import packets
from appliance.core.payloads.message import Message
from tests.adapters.conftest import Broker, until
from tests.adapters.mqtt.conftest import Ear, listening

TOPICS = st.text(st.characters(codec="utf-8", exclude_characters="\x00+#"), min_size=1, max_size=60)


@given(TOPICS, st.binary(max_size=300), st.booleans(), st.integers(0, 400))
def test_a_packet_that_a_block_cuts_is_taken_whole_or_not_at_all(topic, payload, retain, cut) -> None:
    before, packet = b"\xd0\x00", packets.publish(topic, payload, retain=retain)
    data = before + packet
    begins = packets.head(data, 2)
    assert begins is not None
    assert begins.end == len(data)
    assert packets.message(data, begins) == (Message(topic, payload, retain), b"")
    part = packets.head(data[: 2 + cut], 2)
    assert part is None or part.end == len(data)


@given(st.binary(min_size=1, max_size=40))
def test_what_is_no_packet_raises_what_the_session_expects_and_never_reads_beyond_the_end(data) -> None:
    try:
        begins = packets.head(data, 0)
        if begins is not None and begins.end <= len(data):
            said, acknowledge = packets.message(data + b"beyond", begins)
            assert len(said.topic.encode()) + len(said.payload) <= begins.end - begins.body
            assert len(acknowledge) in (0, 4)
    except ValueError:
        pass


@pytest.mark.parametrize("length", [0, 100, 127, 128, 16_383, 16_384, 2_097_152])
def test_lengths_around_each_more_byte_come_out_as_they_went_in(length) -> None:
    data = packets.publish("t", b"x" * length, retain=False)
    begins = packets.head(data, 0)
    assert begins is not None
    assert (begins.end, len(packets.message(data, begins)[0].payload)) == (len(data), length)


async def test_large_messages_that_nobody_takes_do_not_stall_those_after_them(broker: Broker) -> None:
    """A broker sends no more of QoS 1 while twenty wait for their acknowledgement, also of those that are let go of."""
    async with listening(Ear(broker.port)) as ear, listening(Ear(broker.port, "other")) as other:
        for _ in range(25):
            await until(lambda: other.link.publish("t/large", b"x" * (4_300_000), qos=1))
        await until(lambda: other.link.publish("t/after", b"heard", qos=1))
        await until(lambda: any(message.topic == "t/after" for message in ear.messages), 60)
        assert ear.link.dropped == 25
        assert ear.link.sessions == 1
