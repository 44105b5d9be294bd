"""A hundred thousand broken messages: no crash, and never a number that is none."""

import math

import pytest

from appliance.core.payloads.message import Catalogue, Message
from appliance.errors import PayloadError
from tests.core.payloads.mutation import DECODER, NASTY, TOPICS, mutated

CASES = 100_000


def survive(message: Message, catalogue: Catalogue) -> int:
    try:
        decoded = DECODER.decode(message, catalogue)
    except PayloadError:
        return 0
    for reading in (*decoded.readings, *decoded.states):
        assert not isinstance(reading.value, float) or math.isfinite(reading.value)
        assert len(reading.metric) < 128
    for reading in decoded.readings:
        assert isinstance(reading.value, float | int)
        assert not isinstance(reading.value, bool)
    return len(decoded.readings)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_corpus_of_nasty_payloads_gives_no_reading_that_is_none(topic) -> None:
    for payload in NASTY:
        survive(Message(topic, payload), Catalogue())


def test_a_hundred_thousand_mutated_messages_crash_nothing() -> None:
    readings = sum(survive(message, catalogue) for message, catalogue in mutated(CASES))
    assert readings > CASES / 20
