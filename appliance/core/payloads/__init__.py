"""The dialects of devices: one a file. `Decoder` asks each whether a message is its own."""

from collections.abc import Sequence

from appliance.core.payloads.message import Catalogue, Decoded, Dialect, Message
from appliance.errors import UnknownFormat

MAX_TOPICS = 4096
"""Of so many topics it is remembered who claims them; a flood of topics costs time, not memory."""


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
