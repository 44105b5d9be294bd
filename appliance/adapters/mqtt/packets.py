"""Owns the one kind of packet that makes up nearly all traffic: PUBLISH, of QoS 0 and 1 in, of QoS 0 out.

Where a packet ends is seen before it is taken, so one that is too large is never held in memory. Every other kind is paho's.
Never in here: a socket, or what a message means.
"""

from functools import lru_cache
from typing import NamedTuple

from appliance.core.payloads.message import Message

PUBLISH = 0x30
RETAIN = 0x01
QOS_1 = 0x02
QOS_2 = 0x04
"""Bits of a PUBLISH's first byte, by MQTT 3.1.1, 3.3.1."""
PUBACK = b"\x40\x02"
"""Acknowledges the PUBLISH whose number follows (3.4)."""
LONGEST_HEAD = 5
"""Bytes of a packet's fixed header, at most (2.2.3)."""


class Head(NamedTuple):
    """A packet's fixed header: its first byte, where its body begins, and where the packet ends."""

    first: int
    body: int
    end: int


def head(data: bytes, at: int) -> Head | None:
    """Return the fixed header that begins at `at`, None where more of it must come.

    Raises:
        ValueError: it is no MQTT.
    """
    room = len(data) - at
    if room < 2:
        return None
    follows = data[at + 1]
    if follows < 0x80:
        return Head(data[at], at + 2, at + 2 + follows)
    follows &= 0x7F
    for place in range(2, LONGEST_HEAD):
        if place == room:
            return None
        byte = data[at + place]
        follows |= (byte & 0x7F) << 7 * (place - 1)
        if byte < 0x80:
            body = at + place + 1
            return Head(data[at], body, body + follows)
    raise ValueError("a packet without a length")


def message(data: bytes, begins: Head) -> tuple[Message, bytes]:
    """Return what a whole PUBLISH of QoS 0 or 1 says, and the acknowledgement that it wants (empty: none).

    Raises:
        UnicodeDecodeError: its topic is no text.
        ValueError: it is shorter than what must be in it.
    """
    first, body, end = begins
    named = body + 2
    topic_ends = _topic_ends(data, body) if named <= end else end + 1
    said = topic_ends + 2 if first & QOS_1 else topic_ends
    if said > end:
        raise ValueError("a PUBLISH that is shorter than its topic")
    # Between the topic and what is said lies the packet's number, where it has one.
    acknowledge = PUBACK + data[topic_ends:said] if said > topic_ends else b""
    return Message(data[named:topic_ends].decode(), data[said:end], first & RETAIN == RETAIN), acknowledge


def acknowledgement(data: bytes, begins: Head) -> tuple[bytes, int]:
    """Return what acknowledges a PUBLISH that is not taken (empty: nothing does), and up to where its bytes must be here for that.

    A broker sends no more while too many wait for theirs.
    """
    first, body, end = begins
    if not first & QOS_1:
        return b"", body
    named = body + 2
    if len(data) < named:
        return b"", named
    topic_ends = _topic_ends(data, body)
    said = topic_ends + 2
    return (b"", said) if len(data) < said <= end else (PUBACK + data[topic_ends:said], said)


def _topic_ends(data: bytes, body: int) -> int:
    return body + 2 + (data[body] << 8 | data[body + 1])


def publish(topic: str, payload: bytes, *, retain: bool) -> bytes:
    """Return the PUBLISH of QoS 0. `topic` must be one that a broker takes."""
    named = _named(topic)
    follows = len(named) + len(payload)
    length = bytearray()
    while follows > 0x7F:
        length.append(follows & 0x7F | 0x80)
        follows >>= 7
    length.append(follows)
    return b"%c%b%b%b" % (PUBLISH | RETAIN if retain else PUBLISH, bytes(length), named, payload)


@lru_cache(maxsize=4096)
def _named(topic: str) -> bytes:
    encoded = topic.encode()
    return len(encoded).to_bytes(2) + encoded
