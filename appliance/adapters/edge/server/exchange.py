"""Owns one request's answer: its bytes, once.

Never in here: when it leaves (connection), or what it says (answering).
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

import msgspec

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Tally(Protocol):
    """The server, as an answer sees it."""

    bodies: int
    """Bytes of bodies that are read or answered now."""
    date: bytes
    stopping: bool

    def answered(self, status: int) -> None: ...


class Exchange:
    """One request and its answer, which `reply` gives, once."""

    __slots__ = ("_flush", "_size", "_tally", "answer", "began", "keep", "method")

    def __init__(
        self, tally: Tally, flush: Callable[[], None], method: str, size: int, began: float, *, keep: bool
    ) -> None:
        self._tally, self._flush, self._size = tally, flush, size
        self.method, self.keep, self.began = method, keep, began
        self.answer: bytes | None = None

    def reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer."""
        assert self.answer is None
        tally = self._tally
        tally.bodies -= self._size
        tally.answered(status)
        if tally.stopping:
            self.keep = False
        told = [b"HTTP/1.1 %d %b\r\ndate: %b\r\n" % (status, _REASONS[status], tally.date)]
        told += [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items()]
        told.append(b"content-length: %d\r\n" % len(body))
        told.append(b"\r\n" if self.keep else b"connection: close\r\n\r\n")
        if self.method != "HEAD":
            told.append(body)
        self.answer = b"".join(told)
        self._flush()

    def refuse(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with an error, as the protocol words it."""
        body = msgspec.json.encode({"error": message})
        self.reply(status, body, {"content-type": "application/json", **(headers or {})})
