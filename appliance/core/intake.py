"""Owns the step from messages to events: decode, fold the catalogue, count what gave nothing.

Never in here: what an event leads to. A broken message is counted by its reason and forgotten; it stops nothing.
"""

from collections import Counter
from collections.abc import Iterable

from appliance.core.events import AvailabilityChanged, Declared, Event, ReadingArrived, StateReported
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Catalogue, Message
from appliance.errors import PayloadError

MAX_REASONS = 64
"""So many different reasons are counted; later ones count as "other"."""


class Intake:
    """The fold of all declarations so far, and the counts. Not safe for threads."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.catalogue = Catalogue()
        self.dropped: Counter[str] = Counter()
        self.messages = 0

    def events(self, messages: Iterable[Message]) -> list[Event]:
        """Return what `messages` say, in their order. Never raises for what a sender did."""
        events: list[Event] = []
        for message in messages:
            self.messages += 1
            try:
                decoded = self._decoder.decode(message, self.catalogue)
            except PayloadError as broken:
                self.count(broken.reason)
                continue
            for reason, times in decoded.dropped.items():
                self.count(reason, times)
            if decoded.declarations:
                self.catalogue = self.catalogue.fold(decoded.declarations)
                events.append(Declared(decoded.declarations))
            if decoded.readings:
                events.append(
                    ReadingArrived(
                        decoded.device,
                        decoded.readings,
                        message.retained or message.late,
                        decoded.last_seen,
                    )
                )
            if decoded.states:
                events.append(StateReported(decoded.device, decoded.states, message.retained))
            if decoded.available is not None:
                events.append(AvailabilityChanged(decoded.device, decoded.available, message.retained))
        return events

    def count(self, reason: str, times: int = 1) -> None:
        """Count something that gave no reading."""
        if reason not in self.dropped and len(self.dropped) >= MAX_REASONS:
            reason = "other"
        self.dropped[reason] += times
