"""Owns the connection: how many there are, how long one may take to ask, and to take the answer.

Never in here: what a request means. uvicorn's own protocol keeps half-sent requests for ever, so this one
does not.
"""

import asyncio
from http import HTTPStatus

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from appliance.adapters.http.headers import COMMON
from appliance.adapters.http.limits import Refusals
from appliance.adapters.http.problems import Problem, body


class Limits(msgspec.Struct, frozen=True):
    """What a connection may cost.

    `receive_s`: seconds from the first byte (or the connecting) to the end of a request; `send_s`: seconds
    for which a client may leave an answer untaken; `idle_s`: seconds between two requests; `connections`: how
    many at once; `head`: bytes of a request's head; `unwanted`: bytes of a body that are still taken, and
    thrown away, after it was answered: a client that is cut off while it sends may lose the answer that tells
    it why.
    """

    receive_s: float = 10.0
    send_s: float = 10.0
    idle_s: int = 5
    connections: int = 128
    head: int = 16 * 1024
    unwanted: int = 1024 * 1024


class LimitedConfig(uvicorn.Config):
    """uvicorn's configuration, with our limits beside."""

    limits: Limits
    refusals: Refusals


class LimitedProtocol(H11Protocol):
    """One connection. Where no place is left, the one that is longest without a whole request goes."""

    config: LimitedConfig
    waits_since: float | None = None
    _unwanted: int = 0
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, make a place for it, or turn it away."""
        super().connection_made(transport)
        self._await_request()
        if len(self.connections) > self.config.limits.connections:
            waiting = [
                other
                for other in self.connections
                if isinstance(other, LimitedProtocol) and other.waits_since is not None and other is not self
            ]
            if waiting:
                self.config.refusals.count("crowded_out")
                min(waiting, key=lambda other: other.waits_since or 0.0).transport.abort()
            else:
                self._refuse(503, "too-many-connections", "Too many clients are connected.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timers."""
        self._request_came()
        self._cancel_stalled()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Hand on what came, in pieces: h11 measures a head only while it is incomplete."""
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY:
            self._unwanted += len(data)
            if self._unwanted > self.config.limits.unwanted:
                self.transport.abort()
                return
        piece = self.config.limits.head
        for start in range(0, len(data), piece):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + piece])
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._await_request()
        else:
            self._request_came()

    def on_response_complete(self) -> None:
        """Count the connection as waiting again."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            # The next request's head came along with the last request, and no byte of its body may ever come.
            self._await_request()
        elif self.conn.their_state is h11.IDLE and self.waits_since is None:
            # Until the next byte comes it is uvicorn's keep-alive timer that ends it.
            self.waits_since = self.loop.time()

    def pause_writing(self) -> None:
        """Start the clock on a client that does not take its answer."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.config.limits.send_s, self._give_up)

    def resume_writing(self) -> None:
        """Stop that clock."""
        self._cancel_stalled()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the signature is uvicorn's
        """Answer what is not HTTP, or has too large a head."""
        self._refuse(
            400,
            "not-http",
            f"This is not an HTTP request, or its head is over {self.config.limits.head // 1024} KiB.",
        )

    def _await_request(self) -> None:
        if self._deadline is None:
            self.waits_since = self.loop.time()
            self._deadline = self.loop.call_later(self.config.limits.receive_s, self._too_late)

    def _request_came(self) -> None:
        self.waits_since = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self._refuse(
            408, "too-slow", f"The request was not whole after {self.config.limits.receive_s:g} seconds."
        )

    def _give_up(self) -> None:
        self._stalled = None
        self.config.refusals.count("untaken")
        self.transport.abort()

    def _cancel_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Tell the problem where an answer is still due, and close. The status goes into the count."""
        self.config.refusals.count(code.replace("-", "_"))
        if self.cycle is not None and not self.cycle.response_complete:
            # Whoever still works at this request hears that nobody waits for the answer: it is given here.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        phrase = HTTPStatus(status).phrase
        told = body(Problem(title=phrase, status=status, code=code, detail=detail))
        headers = {
            **COMMON,
            "content-type": "application/problem+json",
            "content-length": str(len(told)),
            "connection": "close",
        }
        try:
            answer = self.conn.send(
                h11.Response(status_code=status, headers=list(headers.items()), reason=phrase)
            )
            answer = (answer or b"") + (self.conn.send(h11.Data(data=told)) or b"")
            self.conn.send(h11.EndOfMessage())
        except h11.LocalProtocolError:
            # An answer is under way already: there is nothing more to say.
            self.transport.abort()
            return
        self.transport.write(answer)
        self.transport.close()
