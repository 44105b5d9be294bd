"""Owns what people say over MQTT: `<prefix>/<appliance>/set`, `accept`, `dismiss`, `acknowledge`.

A broken or retained message changes nothing. Never in here: what a word does, or the bounds on words (people).
"""

import logging
from collections import Counter
from collections.abc import Sequence

import msgspec

from appliance.core.clock import Instant
from appliance.core.conditions import duration_ns
from appliance.core.events import Event
from appliance.core.payloads.message import Message
from appliance.daemon.people import People
from appliance.errors import ApplianceError, ConfigError, Malformed, TooManyWords

log = logging.getLogger(__name__)

MAX_SAID = 512
"""Bytes of one message of a person."""
VERBS = ("set", "accept", "dismiss", "acknowledge")
COUNTED = frozenset({ConfigError.__name__, TooManyWords.__name__})
BACK = "auto-control"
"""The word that hands an appliance back to its rules."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON form of `set`; the short one is the bare action. `open_ended`: until they say so."""

    action: str
    span: str | None = msgspec.field(name="for", default=None)
    until: str | None = None
    open_ended: bool = False


class Hearing:
    """The words of people on `prefix`. `dropped` counts what was not understood, by reason."""

    def __init__(self, prefix: str, people: People) -> None:
        self.prefix = prefix
        self.dropped: Counter[str] = Counter()
        self._people = people

    @property
    def refused(self) -> int:
        """How many words, by any door, could not be taken."""
        # What people refuse, they count; what did not get so far is counted here.
        here = sum(count for reason, count in self.dropped.items() if reason not in COUNTED)
        return self._people.refused + here

    def subscriptions(self) -> tuple[str, ...]:
        """Return the topic filters to hear."""
        return tuple(f"{self.prefix}/+/{verb}" for verb in VERBS)

    def mine(self, message: Message) -> bool:
        """Return whether `message` is a person's."""
        return message.topic.startswith(f"{self.prefix}/")

    def events(self, messages: Sequence[Message], now: Instant) -> list[Event]:
        """Return what those of `messages` say that are a person's. Never raises for what a sender did."""
        events = []
        for message in messages:
            parts = message.topic[len(self.prefix) + 1 :].split("/")
            if len(parts) != 2 or parts[1] not in VERBS:
                continue
            if message.retained:
                # Said once, it would be said again at every start: a trap, not a wish.
                self._drop("retained", message, "publish it without retain")
                continue
            try:
                events.append(self._event(parts[0], parts[1], message, now))
            except ApplianceError as wrong:
                self._drop(type(wrong).__name__, message, f"{wrong.message}; {wrong.hint}")
            except Exception as broken:  # noqa: BLE001  a word that breaks us must not cost the messages beside it
                self._drop("unforeseen", message, repr(broken))
        return events

    def _event(self, appliance: str, verb: str, message: Message, now: Instant) -> Event:
        if len(message.payload) > MAX_SAID:
            raise Malformed(f"more than {MAX_SAID} bytes", hint="say less")
        try:
            text = message.payload.decode().strip()
        except UnicodeDecodeError:
            raise Malformed("it is no text", hint="write UTF-8") from None
        if verb in ("accept", "dismiss"):
            return self._people.answer(appliance, text or None, "mqtt", now, accepted=verb == "accept")
        if verb == "acknowledge":
            return self._people.acknowledge(appliance, text or None, "mqtt", now)
        if not text.startswith("{"):
            if text == BACK:
                return self._people.hand_back(appliance, "mqtt", now)
            return self._people.override(appliance, text, "mqtt", now)
        try:
            wish = msgspec.json.decode(text, type=Wish)
        except msgspec.MsgspecError as broken:
            raise Malformed(str(broken), hint='write {"action": "high", "for": "2 h"}') from None
        return self._people.override(
            appliance,
            wish.action,
            "mqtt",
            now,
            for_ns=None if wish.span is None else duration_ns(wish.span, where="for"),
            until=wish.until,
            open_ended=wish.open_ended,
        )

    def _drop(self, reason: str, message: Message, why: str) -> None:
        # Each reason is said when it is new: a sender in a loop must not fill a log.
        level = logging.WARNING if not self.dropped[reason] else logging.DEBUG
        self.dropped[reason] += 1
        log.log(level, "%s was not understood: %s", message.topic[:128], why)
