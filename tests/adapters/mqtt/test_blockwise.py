"""The socket between paho and the broker: what waits, and what still may where much does."""

import socket

import pytest

from appliance.adapters.mqtt.blockwise import MAX_UNSENT, BlockwiseSocket


def test_an_acknowledgement_goes_out_after_what_waits_and_is_not_refused_where_nothing_else_may_wait() -> (
    None
):
    """Refused, it ended the session of whoever hears what he says himself, on a link that can't keep up."""
    near, far = socket.socketpair()
    with near, far:
        sock = BlockwiseSocket(near)
        sock.send(bytes(MAX_UNSENT))
        with pytest.raises(BlockingIOError):
            sock.send(b"more")
        sock.answer(b"\x40\x02\x00\x01")
        heard = bytearray()
        while not sock.flush():
            heard += far.recv(1 << 20)
        while len(heard) < MAX_UNSENT + 4:
            heard += far.recv(1 << 20)
        assert heard[-4:] == b"\x40\x02\x00\x01"


def test_acknowledgements_do_not_wait_without_a_bound() -> None:
    near, far = socket.socketpair()
    with near, far:
        sock = BlockwiseSocket(near)
        for _ in range(2):
            sock.answer(bytes(MAX_UNSENT))
        with pytest.raises(BlockingIOError):
            sock.answer(b"one more")
