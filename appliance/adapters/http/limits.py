"""Owns what is refused before any resource sees it: foreign hosts and origins, big bodies, writing untokened.

Never in here: what a resource refuses; or time (a slow client is `protocol`'s). Everything is judged by the
request's path, method and headers as they came, never by a URL put together from them.
"""

import logging
import re
from email.utils import formatdate
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.adapters.http.headers import COMMON
from appliance.adapters.http.problems import Refused, problem
from appliance.adapters.http.tokens import Answer, Tokens

MAX_BODY = 64 * 1024
"""Bytes of a request's body, counted as they come."""

LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})

VERSIONS = frozenset({"1.0", "1.1"})

TOKENLESS = frozenset({("POST", "/v1/decide")})
"""It writes nothing. Whatever else is not a safe method needs the token, known to us or not."""

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::[0-9]{1,5})?", re.ASCII)

logger = logging.getLogger(__name__)


class Refusals:
    """How often what was refused, by reason. The reasons are our own words, so there are few."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, reason: str) -> None:
        """Count one more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1


class Gate:
    """The ASGI middleware that refuses, and that puts the common headers on every answer."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], tokens: Tokens, refusals: Refusals) -> None:
        self._app = app
        self._hosts = hosts
        self._tokens = tokens
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem, or hand on."""
        if scope["type"] != "http":
            return
        send = _with_common_headers(send)
        refusal = self._refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, self._counting(receive), send)

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        method: str = scope["method"]
        path: str = scope["path"]
        if scope["http_version"] not in VERSIONS or (
            "transfer-encoding" in headers and "content-length" in headers
        ):
            # A server in front that goes by the length reads another request in what follows (RFC 9112, 6.3).
            self._refusals.count("framing")
            return problem(
                400,
                "not-http",
                "This is not HTTP/1.1, or its body has both a length and chunks.",
                headers={"connection": "close"},
            )
        host = self._host(headers)
        if host is None:
            self._refusals.count("host")
            return problem(
                421,
                "bad-host",
                "This server does not answer to the name in the Host header.",
                hint="Use the address that the daemon prints, or add the name to its allowed hosts.",
            )
        if not path.startswith("/") or "\x00" in path:
            self._refusals.count("target")
            return problem(400, "bad-target", "The request's target is not a path.")
        if not _same_origin(headers, host, writes=method not in SAFE_METHODS, path=path):
            self._refusals.count("origin")
            return problem(403, "cross-origin", "Pages of other origins may not use this interface.")
        if method in SAFE_METHODS and _has_body(headers):
            # Nobody would read it: beside the event stream it could go on for as long as the stream does.
            self._refusals.count("body")
            return problem(
                400, "body-unasked", f"A {method} request has no body here.", headers={"connection": "close"}
            )
        if int(headers.get("content-length", "0")) > MAX_BODY:
            self._refusals.count("body")
            return problem(413, _TOO_LARGE, _TOO_LARGE_DETAIL)
        if method not in SAFE_METHODS and (method, path) not in TOKENLESS:
            refusal = self._without_token(scope, headers)
            if refusal is not None:
                return refusal
        if method in BODY_METHODS and _media_type(headers) != "application/json":
            self._refusals.count("media")
            return problem(
                415, "not-json", "The body must be JSON.", hint="Send content-type: application/json."
            )
        return None

    def _host(self, headers: Headers) -> str | None:
        """Return the Host header where it is one of ours, in small letters, with its port."""
        given = headers.getlist("host")
        if len(given) != 1:
            return None
        host = given[0].lower()
        match = _HOST.fullmatch(host)
        return host if match is not None and match[1] in self._hosts else None

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        client = scope.get("client")
        address = client[0] if client else "unknown"
        answer = self._tokens.ask(address, headers.get("authorization"))
        match answer:
            case Answer.GRANTED:
                return None
            case Answer.LOCKED:
                self._refusals.count("locked")
                return problem(
                    429,
                    "locked-out",
                    "Too many wrong tokens came from this address.",
                    hint="Wait a minute.",
                    headers={"retry-after": "60"},
                )
            case Answer.MISSING | Answer.WRONG:
                if answer is Answer.WRONG:
                    logger.warning("a wrong token for writing, from %s, was refused", address)
                self._refusals.count("token")
                return problem(
                    401,
                    "token-needed",
                    "Writing needs the token of this home.",
                    hint="Send authorization: Bearer TOKEN; `appliance token` prints the token.",
                    headers={"www-authenticate": "Bearer"},
                )

    def _counting(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > MAX_BODY:
                    self._refusals.count("body")
                    raise Refused(413, _TOO_LARGE, _TOO_LARGE_DETAIL)
            return message

        return counted


_TOO_LARGE = "body-too-large"
_TOO_LARGE_DETAIL = f"The body is larger than {MAX_BODY // 1024} KiB."


def _same_origin(headers: Headers, host: str, *, writes: bool, path: str) -> bool:
    """Return whether a browser, if it is one, speaks for a page of ours.

    Reading is judged too: a foreign page cannot see the answer, but it could hold all places of the event
    stream. Only a link to the page itself may come from elsewhere. Both headers are judged: browsers leave
    Sec-Fetch-Site out where the page came over plain HTTP from another name than localhost (W3C Fetch
    Metadata, 2), and Origin out where they read from their own page.
    """
    if not writes and not path.startswith("/v1/"):
        return True
    # One of ours says each once; of two, who knows which one the next server on the way believes.
    sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
    if any(site not in {"same-origin", "none"} for site in sites):
        return False
    return all(origin.lower() in {f"http://{host}", f"https://{host}"} for origin in origins)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or int(headers.get("content-length", "0")) > 0


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _with_common_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in COMMON.items():
                headers.setdefault(name, value)
            headers["date"] = formatdate(usegmt=True)
        await send(message)

    return sent
