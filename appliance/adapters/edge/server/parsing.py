"""Owns which parser of HTTP/1.1 reads requests: httptools where it is installed, else h11 in its place, with the same calls.

Never in here: what a request means, or when it is too large or too late.
"""

from typing import Any, Protocol

try:
    import httptools
except ImportError:
    httptools = None


class Heard(Protocol):
    """Who is told what a parser finds, in httptools' words."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class Parser(Protocol):
    """What a parser offers. `feed_data` raises NotHttp."""

    def feed_data(self, data: bytes) -> None: ...
    def get_method(self) -> bytes: ...
    def should_keep_alive(self) -> bool: ...


class NotHttp(Exception):
    """What came is not HTTP/1.1."""


class Httptools:
    """httptools' parser, whose several errors become one."""

    __slots__ = ("_parser", "get_method", "should_keep_alive")

    def __init__(self, heard: Heard) -> None:
        self._parser: Any = httptools.HttpRequestParser(heard)
        self.get_method, self.should_keep_alive = self._parser.get_method, self._parser.should_keep_alive

    def feed_data(self, data: bytes) -> None:
        """Tell what `data` holds."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as broken:
            # Ours, not the client's: it came through the parser.
            raise broken.__context__ or broken from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as broken:
            raise NotHttp(str(broken)[:100]) from None


class H11:
    """h11 as a mere parser: each request counts as answered once it is whole, so that the next can be read."""

    __slots__ = ("_connection", "_h11", "_heard", "_method")

    def __init__(self, heard: Heard, head: int) -> None:
        import h11  # noqa: PLC0415  not needed where httptools is there

        self._h11, self._heard, self._method = h11, heard, b""
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=head)

    def get_method(self) -> bytes:
        """Return the method of the request whose head came last."""
        return self._method

    def should_keep_alive(self) -> bool:
        """Return whether another request may follow."""
        return self._connection.our_state is not self._h11.MUST_CLOSE

    def feed_data(self, data: bytes) -> None:
        """Tell what `data` holds."""
        h11, heard, connection = self._h11, self._heard, self._connection
        try:
            connection.receive_data(data)
            while True:
                event = connection.next_event()
                match event:
                    case h11.Request():
                        self._method = event.method
                        heard.on_message_begin()
                        heard.on_url(event.target)
                        for name, value in event.headers:
                            heard.on_header(name, value)
                        heard.on_headers_complete()
                    case h11.Data():
                        heard.on_body(bytes(event.data))
                    case h11.EndOfMessage():
                        connection.send(
                            h11.Response(status_code=200, headers=[(b"content-length", b"0")], reason=b"")
                        )
                        connection.send(h11.EndOfMessage())
                        heard.on_message_complete()
                        if connection.our_state is not h11.DONE:
                            return
                        connection.start_next_cycle()
                    case _:
                        if connection.their_state is h11.IDLE and connection.trailing_data[0]:
                            heard.on_message_begin()
                        return
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as broken:
            raise NotHttp(str(broken)[:100]) from None


def parser_for(heard: Heard, head: int) -> Parser:
    """Return a parser that tells `heard` what it finds; h11 itself refuses heads of more than `head` bytes."""
    return H11(heard, head) if httptools is None else Httptools(heard)
