"""Owns one HTTP exchange with the edge: a request with a deadline, an answer with bounds, over a connection that is kept.

httpx and httpcore are imported here and in `streams` alone, and only where an edge is configured. Never in here: what an answer means.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Mapping

import httpcore
import httpx

from appliance.adapters.edge.failing import Unanswered
from appliance.adapters.edge.streams import Backend, Meter
from appliance.adapters.edge.terms import EdgeSettings
from appliance.errors import ConfigError

MOST_HEADERS = 8 << 10
"""Bytes of the answer's head, and what the read that goes beyond it brings: 4 KiB at most."""
MOST_BODY = 64 << 10
MOST_CHUNKS = 256
"""Pieces of one body: more are an attempt to keep us busy."""
TRIES = 3
PAUSE_S = (0.005, 0.03)
"""Between two tries, times 2 for each: uniformly, so that homes which were thrown out together don't come back together."""
IDLE_S = 300.0
"""A connection that nobody used for so long is not used again."""
BUSY = frozenset({429, 502, 503, 504})


class Exchange:
    """The connection to one edge. One task uses it; after any failure the next exchange begins with a new connection."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self.meter = Meter()
        self.retries = 0
        self._client: httpx.AsyncClient | None = None
        self._kept = False
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "appliance"}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token}"
        self._headers = headers
        self._where = "{}:{}".format(*settings.address)

    async def fetch(
        self,
        path: str,
        deadline_s: float,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers, their names in small letters, of the answer to a POST of `content` with `headers`, or to a GET
        where that is None. `deadline_s` is on the loop's clock.

        Raises:
            Unanswered: there is none, or one that is not to be looked at.
        """
        loop = asyncio.get_running_loop()
        tries = 0
        failure: Unanswered | None = None
        while True:
            tries += 1
            try:
                async with asyncio.timeout_at(deadline_s):
                    return await self._once(path, content, headers or {}, deadline_s - loop.time())
            except TimeoutError:
                # Where it failed before, that is the more telling reason.
                failure = failure or Unanswered("late", f"the edge {self._where} does not answer in time")
                raise failure from None
            except Unanswered as told:
                failure = told
            finally:
                if self._client is not None and not self._kept:
                    await self.close()
            pause = random.uniform(*PAUSE_S) * 2.0**tries  # noqa: S311  jitter
            if not failure.again or tries == TRIES or loop.time() + pause >= deadline_s:
                raise failure
            self.retries += 1
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _once(
        self, path: str, content: bytes | None, headers: Mapping[str, str], left_s: float
    ) -> tuple[bytes, dict[str, str]]:
        self._kept = False
        if self._client is None:
            transport = _OneConnection(self._settings, self.meter)
            self._client = httpx.AsyncClient(
                transport=transport,
                trust_env=False,
                follow_redirects=False,
                timeout=None,  # noqa: S113  the exchange as a whole has its deadline
                headers=self._headers,
            )
            self._transport = transport
        self._transport.backend.patience_s = left_s
        self.meter.allow(MOST_HEADERS)
        request = self._client.build_request(
            "GET" if content is None else "POST",
            f"{self._settings.url.rstrip('/')}{path}",
            content=content,
            headers=headers,
        )
        try:
            answer = await self._client.send(request, stream=True)
            try:
                self._look_at(answer)
                body = await self._body(answer)
            finally:
                await answer.aclose()
        except ssl.SSLError as broken:
            said = getattr(broken, "verify_message", None) or broken.reason or str(broken)
            raise Unanswered("tls", f"the edge {self._where}: {said}") from None
        except ConfigError as broken:
            # It was there at the start: a certificate is being renewed, which must not end the daemon.
            raise Unanswered("tls", f"the edge {self._where}: {broken.message}") from None
        except (
            httpx.HTTPError,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
        ) as broken:
            full = self.meter.full
            reason = "too_large" if full else "broken"
            raise Unanswered(reason, f"the edge {self._where}: {str(broken)[:200]}", again=not full) from None
        except TimeoutError:
            raise Unanswered("late", f"the edge {self._where} does not answer in time") from None
        except ConnectionRefusedError:
            raise Unanswered("refused", f"nobody listens at {self._where}") from None
        except OSError as broken:
            raise Unanswered("unreachable", f"the edge {self._where}: {broken}") from None
        self._kept = True
        return body, dict(answer.headers.items())

    def _look_at(self, answer: httpx.Response) -> None:
        status = answer.status_code
        encoding = answer.headers.get("content-encoding", "identity")
        if encoding.strip().lower() != "identity":
            raise Unanswered("encoded", f"the edge {self._where} compresses, which was not asked for")
        if 300 <= status < 400:
            raise Unanswered("redirect", f"the edge {self._where} sends us elsewhere, where we don't go")
        if status in BUSY:
            raise Unanswered(
                "busy",
                f"the edge {self._where} is busy (HTTP {status})",
                wait_s=_seconds(answer.headers.get("retry-after")),
                again=True,
            )
        if status in (401, 403):
            raise Unanswered(
                "forbidden",
                f"the edge {self._where} does not let us in (HTTP {status}): see [edge] token_file",
            )
        if status == 404:
            raise Unanswered("unknown_model", f"the edge {self._where} does not serve it", whose="model")
        if 400 <= status < 500:
            raise Unanswered(
                "row_refused", f"the edge {self._where} refuses the row (HTTP {status})", whose="row"
            )
        if status != 200:
            raise Unanswered("status", f"the edge {self._where} answers HTTP {status}")

    async def _body(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        chunks = 0
        self.meter.allow(MOST_BODY + MOST_HEADERS)  # chunks have headers of their own
        async for chunk in answer.aiter_raw():
            body += chunk
            chunks += 1
            if len(body) > MOST_BODY or chunks > MOST_CHUNKS:
                raise Unanswered("too_large", f"the edge {self._where} answers with too much")
        return bytes(body)


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 9 else 0.0


class _OneConnection(httpx.AsyncBaseTransport):
    """One kept connection, over our own streams."""

    def __init__(self, settings: EdgeSettings, meter: Meter) -> None:
        self.backend = Backend(settings, meter)
        self._connection: httpcore.AsyncHTTPConnection | None = None
        # Never used: our streams are encrypted where they are dialed; without it httpcore reads all certificates once more.
        self._unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        connection = self._connection
        if connection is None or not connection.is_available() or connection.has_expired():
            await self.aclose()
            connection = self._connection = httpcore.AsyncHTTPConnection(
                asked.url.origin, ssl_context=self._unused, keepalive_expiry=IDLE_S, network_backend=self.backend
            )  # fmt: skip
        answer = await connection.handle_async_request(asked)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()
