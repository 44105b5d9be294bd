"""Owns one connection: what of it may still come, how long that may take, and that answers leave in the order of their questions.

Never in here: what a request asks for.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Protocol, cast

from appliance.adapters.edge.server.exchange import Exchange, Tally
from appliance.adapters.edge.server.limits import Limits
from appliance.adapters.edge.server.parsing import NotHttp, parser_for

HEARD = {
    name.encode(): name
    for name in (
        "authorization", "content-encoding", "content-length", "expect", "inference-header-content-length", "origin",
        "sec-fetch-site", "transfer-encoding",
    )
}  # fmt: skip
"""The headers that mean something here."""
LINGER_S, LINGER_BYTES = 2.0, 1 << 20
"""Who is refused while it still sends is listened to for so long, and what comes is thrown away: cut off at once, it may lose the answer."""


class Place(Tally, Protocol):
    """The server, as a connection sees it."""

    limits: Limits
    connections: "set[Connection]"

    def answer(self, exchange: Exchange, target: bytes, headers: Mapping[str, str], body: bytes) -> None: ...
    def refuse(self, reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._transport: asyncio.Transport | None = None
        self._parser = parser_for(self, place.limits.head)
        self._waiting: deque[Exchange] = deque()
        self._url, self._headers, self._body = b"", {}, []  # type: tuple[bytes, dict[str, str], list[bytes]]
        self._head_bytes = self._head_size = self._size = 0
        self._in_head = True
        self._deaf = 0
        """More than 0: nothing that comes counts any more; so many bytes came and were thrown away, and one."""
        self.reading_since: float | None = None
        self.idle_since = monotonic()
        self._stalled_since: float | None = None

    # ------------------------------------------------------------ the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place; where there is none, that of whoever is longest without a whole request."""
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's has asyncio's methods, not its class
        others = self.place.connections
        if len(others) >= self.place.limits.connections:
            idle = min((one for one in others if one.evictable), key=lambda one: one.idle_since, default=None)
            self.place.refuse("crowded_out" if idle is not None else "connections")
            if idle is None:
                others.add(self)
                self._turn_away(503, "too many clients are connected")
                return
            idle.abort()
        others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; answers that are under way go nowhere."""
        del exc
        self.place.connections.discard(self)
        self._transport = None
        self._forget_body()
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._deaf:
            self._deaf += len(data)
            if self._deaf > LINGER_BYTES:
                self.abort()
            return
        if self.reading_since is None:
            self.reading_since = monotonic()
        in_head, self._head_bytes = self._in_head, self._head_bytes + len(data)
        try:
            self._parser.feed_data(data)
        except NotHttp as broken:
            if not self._deaf:
                self.place.refuse("not_http")
                self._turn_away(400, f"this is not HTTP/1.1: {broken}")
            return
        if in_head and self._in_head and self._head_bytes > self.place.limits.head and not self._deaf:
            self._too_large_a_head()

    def eof_received(self) -> bool:
        """Let answers under way still go out to who will send no more."""
        transport = self._transport
        # A TLS connection has no half that stays open.
        if not self._waiting or self._deaf or transport is None or transport.get_extra_info("sslcontext"):
            return False
        self._waiting[-1].keep = False
        self._deaf = 1
        return True

    def pause_writing(self) -> None:
        """Start the clock on a client that does not take its answers, and read no more of it."""
        self._stalled_since = monotonic()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Stop that clock."""
        self._stalled_since = None
        if self._transport is not None and len(self._waiting) < self.place.limits.pipelined:
            self._transport.resume_reading()

    # ------------------------------------------------------------ the parser's calls

    def on_message_begin(self) -> None:
        """Start with a new request."""
        self._url, self._headers, self._body, self._in_head = b"", {}, [], True
        self._head_size = 0
        if self.reading_since is None:
            self.reading_since = monotonic()

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header that means something; said twice it means neither."""
        self._head_size += len(name) + len(value)
        known = HEARD.get(name.lower())
        if known is not None:
            told = value.decode("latin-1").strip()
            self._headers[known] = f"{self._headers[known]}, {told}" if known in self._headers else told

    def on_headers_complete(self) -> None:
        """Judge the head before any body comes."""
        self._in_head, self._head_bytes = False, 0
        headers = self._headers
        length = headers.get("content-length")
        if self._deaf:
            return
        if self._head_size + len(self._url) > self.place.limits.head:
            self._too_large_a_head()
        elif "transfer-encoding" in headers and length is not None:
            # A server in front that goes by the length reads another request in what follows (RFC 9112, 6.3).
            self.place.refuse("framing")
            self._turn_away(400, "the body has both a length and chunks")
        elif length is not None and (not length.isdigit() or int(length) > self.place.limits.body):
            self._too_large_a_body()
        elif headers.get("expect", "").lower() == "100-continue" and not self._waiting:
            assert self._transport is not None
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, unless all bodies together are too large."""
        if self._deaf:
            return
        self._size += len(body)
        self.place.bodies += len(body)
        self._body.append(body)
        if self._size > self.place.limits.body:
            self._too_large_a_body()
        elif self.place.bodies > self.place.limits.bodies:
            self.place.refuse("bodies")
            self._turn_away(503, "too many requests are being read")

    def on_message_complete(self) -> None:
        """Hand on a whole request."""
        if self._deaf:
            return
        self._in_head, self._head_bytes = True, 0
        self.reading_since, self.idle_since = None, monotonic()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        parser = self._parser
        exchange = Exchange(
            self.place, self.flush, parser.get_method().decode("latin-1"), self._size, self.idle_since, keep=parser.should_keep_alive()
        )  # fmt: skip
        self._body, self._size = [], 0
        self._waiting.append(exchange)
        if len(self._waiting) == self.place.limits.pipelined and self._transport is not None:
            self._transport.pause_reading()
        self.place.answer(exchange, self._url, self._headers, body)

    # ------------------------------------------------------------ answers, and the end

    @property
    def evictable(self) -> bool:
        """Whether it holds a place and no whole request."""
        return not self._waiting

    @property
    def busy(self) -> bool:
        """Whether an answer is due, or has not been taken."""
        transport = self._transport
        return transport is not None and (bool(self._waiting) or transport.get_write_buffer_size() > 0)

    def flush(self) -> None:
        """Send the answers whose turn it is."""
        transport = self._transport
        if transport is None:
            return
        waiting = self._waiting
        was = len(waiting)
        while waiting and waiting[0].answer is not None:
            exchange = waiting.popleft()
            transport.write(exchange.answer)  # type: ignore[arg-type]  # mypy forgets the line above
            if not exchange.keep:
                waiting.clear()
                self._end()
                return
        self.idle_since = monotonic()
        if was >= self.place.limits.pipelined > len(waiting) and self._stalled_since is None:
            transport.resume_reading()

    def look(self, now: float) -> None:
        """End it where it takes too long; called about once a second."""
        limits = self.place.limits
        if self._stalled_since is not None and now - self._stalled_since > limits.send_s:
            self.place.refuse("untaken")
            self.abort()
        elif self._deaf:
            if not self._waiting and now - self.idle_since > LINGER_S:
                self.abort()
        elif self.reading_since is not None:
            if now - self.reading_since > limits.receive_s:
                self.place.refuse("too_slow")
                self._turn_away(408, f"the request was not whole after {limits.receive_s:g} seconds")
        elif not self._waiting and now - self.idle_since > limits.idle_s:
            self.close()

    def close(self) -> None:
        """End it once what was written has gone."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self.place.connections.discard(self)
            self._transport.abort()

    def _too_large_a_head(self) -> None:
        self.place.refuse("head")
        self._turn_away(431, f"the head is larger than {self.place.limits.head} bytes")

    def _too_large_a_body(self) -> None:
        self.place.refuse("body")
        self._turn_away(413, f"the body is larger than {self.place.limits.body} bytes")

    def _turn_away(self, status: int, message: str) -> None:
        """Answer with an error after the answers that are due, and hear no more."""
        self._forget_body()
        self._deaf = 1
        exchange = Exchange(self.place, self.flush, "", 0, monotonic(), keep=False)
        self._waiting.append(exchange)
        exchange.refuse(status, message)

    def _forget_body(self) -> None:
        self.place.bodies -= self._size
        self._body, self._size, self.reading_since = [], 0, None

    def _end(self) -> None:
        """Close; who still sends is left a moment to read why."""
        transport = self._transport
        assert transport is not None
        if not self._deaf or not transport.can_write_eof():
            self._deaf = 1
            transport.close()
            return
        self.idle_since = monotonic()
        transport.write_eof()
        if self._stalled_since is None:
            transport.resume_reading()
