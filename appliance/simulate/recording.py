"""Owns the form of a recording: what a home sent, as lines of JSON that `appliance decode` reads.

Never in here: files, or what is in the messages.
"""

from collections.abc import Iterator

import msgspec

from appliance.core.payloads.message import Message
from appliance.simulate.home import Home

CHUNK_S = 600.0


def record(home: Home, seconds: float) -> Iterator[str]:
    """Let `seconds` pass in `home`; yield each message as one JSON object, announcements first.

    Keys: `at` (seconds since the start of the home), `topic`, `payload` (text), `retain`.
    """
    for message in home.announce():
        yield _line(home.elapsed, message)
    end = home.elapsed + seconds
    while home.elapsed < end:
        for at, message in home.advance_timed(min(CHUNK_S, end - home.elapsed)):
            yield _line(at, message)


def _line(at: float, message: Message) -> str:
    line = {
        "at": round(at, 3),
        "topic": message.topic,
        "payload": message.payload.decode(),
        "retain": message.retained,
    }
    return msgspec.json.encode(line).decode()
