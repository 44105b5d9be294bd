"""The dialects of devices: one a file. `Decoder` asks each whether a message is its own."""

import re
from collections.abc import Sequence

from appliance.core.payloads.message import Catalogue, Decoded, Dialect, Message
from appliance.errors import UnknownFormat

MAX_TOPIC = 256
"""The longest topic that is listened to, in characters; it holds the names of devices."""
MAX_TOPICS = 4096
"""Of so many topics it is remembered who claims them; a flood of topics costs time, not memory."""


_NOT_IN_A_TOPIC = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


class Decoder:
    """The dialects in the order in which they are asked; remembers who claimed a topic."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._dialects = tuple(dialects)
        self._claimed: dict[str, Dialect] = {}

    def decode(self, message: Message, catalogue: Catalogue) -> Decoded:
        """Return what `message` says.

        Raises:
            UnknownFormat: no dialect claims its topic.
            Malformed: one does, but the message is broken.
        """
        claimant = self._claimed.get(message.topic)
        if claimant is not None:
            decoded = claimant.decode(message, catalogue)
            if decoded is not None:
                return decoded
        if len(message.topic) > MAX_TOPIC or _NOT_IN_A_TOPIC.search(message.topic):
            raise UnknownFormat(
                f"{message.topic[:64]!r}: no topic to listen to",
                hint=f"use at most {MAX_TOPIC} characters, and no control characters",
            )
        for dialect in self._dialects:
            decoded = dialect.decode(message, catalogue)
            if decoded is not None:
                if len(self._claimed) < MAX_TOPICS:
                    self._claimed[message.topic] = dialect
                return decoded
        raise UnknownFormat(
            f"{message.topic[:200]}: no dialect speaks so",
            hint="declare it under [plain.NAME]; see docs/configuration.md",
        )
