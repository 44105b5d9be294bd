"""Owns the note of which retained messages are being looked at, so that one that ends the process is not looked at for ever.

The broker hands a retained message out again at every start: what ends the process then, ends it at the next start, too. Other messages
are not handed out twice, sessions being clean. Never in here: what a message means, or why the process ended.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.core.payloads.message import Message

log = logging.getLogger(__name__)

TRIES = 2
"""A message during which the process ended so often is left alone."""
MAX_SUSPECTS = 4096
"""Of so many messages it is remembered that the process ended with them; as many as one wake-up has."""


class _Note(msgspec.Struct):
    """What the file holds: the digests that are being looked at, and how often the process ended with one."""

    now: list[str] = []
    ended: dict[str, int] = {}


class Quarantine:
    """The note of one state folder. A disk that does not take it costs the protection, and nothing else.

    It is written before a message is looked at and emptied afterwards, without a sync: it has to outlive the process, not the power.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "looking_at"
        note = _Note()
        try:
            note = msgspec.json.decode(self._path.read_bytes(), type=_Note)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as broken:
            log.warning("%s: which message ended the last run is not known: %s", self._path, broken)
        self._ended = dict(list(note.ended.items())[-MAX_SUSPECTS:])
        for digest in note.now[:MAX_SUSPECTS]:
            self._ended[digest] = self._ended.get(digest, 0) + 1
        self._told: set[str] = set()
        self.left_alone = 0
        """How often a message was left alone."""
        if note.now:
            self._write([])

    def split(self, messages: Sequence[Message]) -> Iterator[list[Message]]:
        """Yield `messages` in their order, as one batch, or in several where something in it ended the process before: that one
        then comes alone, or not at all.
        """
        if not self._ended:
            yield list(messages)
            return
        batch: list[Message] = []
        for message in messages:
            ended = self._ended.get(_digest(message), 0) if message.retained else 0
            if not ended:
                batch.append(message)
                continue
            if batch:
                yield batch
                batch = []
            if ended < TRIES:
                yield [message]
            else:
                self._leave_alone(message)
        if batch:
            yield batch

    @contextmanager
    def looking_at(self, messages: Sequence[Message]) -> Iterator[None]:
        """Note the retained ones of `messages` for as long as this lasts."""
        digests = [_digest(message) for message in messages if message.retained]
        if not digests:
            yield
            return
        self._write(digests)
        try:
            yield
        finally:
            # Whoever got here, also by an exception, has outlived it.
            for digest in digests:
                self._ended.pop(digest, None)
            self._write([])

    def _leave_alone(self, message: Message) -> None:
        self.left_alone += 1
        digest = _digest(message)
        if digest not in self._told:
            self._told.add(digest)
            log.warning(
                "the retained message at %r ended this program %d times and is left alone: "
                "remove it at the broker (mosquitto_pub -r -n -t TOPIC)",
                message.topic[:200],
                self._ended[digest],
            )

    def _write(self, now: list[str]) -> None:
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(file, msgspec.json.encode(_Note(now, self._ended)))
            finally:
                os.close(file)
        except OSError as broken:
            log.debug("%s: %s", self._path, broken)


def _digest(message: Message) -> str:
    return hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=12).hexdigest()
