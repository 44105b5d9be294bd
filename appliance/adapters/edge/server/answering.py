"""Owns what the server says to a request: the resources of the Open Inference Protocol v2, and metrics.

Never in here: sockets, or how a model runs. Whatever is asked, the answer is the protocol's: a status, and {"error": ...} where it is none.
"""

import hmac
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import msgspec
from numpy.typing import NDArray

from appliance import __version__
from appliance.adapters.edge.metadata import ServerMetadata
from appliance.adapters.edge.server.batching import Batcher
from appliance.adapters.edge.server.caching import Answers
from appliance.adapters.edge.server.connection import Connection
from appliance.adapters.edge.server.counting import MEDIA_TYPE, Counts
from appliance.adapters.edge.server.exchange import Exchange
from appliance.adapters.edge.server.limits import Limits
from appliance.adapters.edge.server.models import Served
from appliance.adapters.edge.server.repository import Repository, only, tell
from appliance.adapters.edge.server.shelf import Shelf
from appliance.adapters.edge.tensors import WireError
from appliance.adapters.edge.wire import InferRequest, Output, decode_request, encode_response

OPEN = frozenset({b"/v2/health/live", b"/v2/health/ready"})
"""What is told without a token: probes have none."""
SERVER = ServerMetadata("appliance-edge", __version__, ("binary_tensor_data", "model_repository"))
TOLD_BUGS = 20

Arrays = dict[str, NDArray[Any]]
logger = logging.getLogger(__name__)


class Site:
    """All that answers. Only the loop uses it; made on it."""

    def __init__(
        self, shelf: Shelf, limits: Limits, token: str | None, *, repository_without_token: bool
    ) -> None:
        self.limits = limits
        self.counts = Counts()
        self.connections: set[Connection] = set()
        self.bodies = 0
        self.date = b""
        self.stopping = False
        self._shelf = shelf
        self._token = None if token is None else token.encode()
        self._repository = Repository(
            shelf, self._bug, self._forget, changes=repository_without_token or token is not None
        )
        self._cache = Answers(limits.cache_entries, limits.cache_bytes)
        self._threads = ThreadPoolExecutor(limits.threads, "edge-model")
        self._bugs = 0
        self._batchers: dict[tuple[str, str], Batcher] = {}

    def close(self) -> None:
        """Wait for no thread any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._repository.close()

    def refuse(self, reason: str) -> None:
        """Count a refusal."""
        self.counts.refuse(reason)

    def answered(self, status: int) -> None:
        """Count an answer."""
        self.counts.status(status)

    def answer(self, exchange: Exchange, target: bytes, headers: Mapping[str, str], body: bytes) -> None:
        """Answer now, or once a model or the disk has."""
        try:
            self._answer(exchange, target, headers, body)
        except WireError as refused:
            exchange.refuse(refused.status, refused.message)
        except Exception:  # noqa: BLE001  whatever it is, the client gets an answer, and others go on
            self._bug(exchange)

    def _answer(self, exchange: Exchange, target: bytes, headers: Mapping[str, str], body: bytes) -> None:
        path = target.partition(b"?")[0]
        if not path.startswith(b"/"):
            # The form for proxies: http://host/path.
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        path = path.rstrip(b"/") or b"/"
        if self.stopping and path != b"/v2/health/live":
            self.refuse("stopping")
            raise WireError(503, "the server stops")
        if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
            # No page speaks this protocol; one that lies elsewhere could have models loaded and unloaded.
            self.refuse("origin")
            raise WireError(403, "pages of browsers are not answered")
        if self._token is not None and path not in OPEN and not self._knows(headers.get("authorization")):
            self.refuse("token")
            exchange.refuse(401, "this needs the server's bearer token", {"www-authenticate": "Bearer"})
            return
        if "content-encoding" in headers and headers["content-encoding"].lower() != "identity":
            raise WireError(415, "bodies are taken as they are, without compression")
        match path.split(b"/")[1:]:
            case [b"v2"]:
                tell(exchange, SERVER)
            case [b"v2", b"health", b"live"]:
                tell(exchange, {"live": True})
            case [b"v2", b"health", b"ready"]:
                ready = next(iter(self._shelf), None) is not None
                tell(exchange, {"ready": ready}, 200 if ready else 503)
            case [b"metrics"]:
                only(exchange, "GET", "HEAD")
                exchange.reply(200, self.counts.text(self._gauges()), {"content-type": MEDIA_TYPE})
            case [b"v2", b"models", name, b"versions", version, *rest] if len(rest) < 2:
                self._model(exchange, name, version.decode("latin-1"), rest, headers, body)
            case [b"v2", b"models", name, *rest] if len(rest) < 2:
                self._model(exchange, name, None, rest, headers, body)
            case [b"v2", b"repository", *rest]:
                self._repository.answer(exchange, rest, body)
            case _:
                raise WireError(404, "there is nothing of this name here")

    def _knows(self, authorization: str | None) -> bool:
        assert self._token is not None
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)

    def _model(
        self, exchange: Exchange, name: bytes, version: str | None, rest: list[bytes],
        headers: Mapping[str, str], body: bytes,
    ) -> None:  # fmt: skip
        named = name.decode("latin-1")
        served = self._shelf.find(named, version)
        if served is None:
            self.refuse("unknown_model")
            told = f"no model {named[:100]!r}" + ("" if version is None else f" in version {version[:20]!r}")
            raise WireError(404, f"{told} is served here")
        match rest:
            case [b"infer"]:
                only(exchange, "POST")
                self._infer(exchange, served, headers, body)
            case []:
                told_of = msgspec.structs.replace(served.metadata, versions=self._shelf.versions(named))
                tell(exchange, told_of)
            case [b"ready"]:
                tell(exchange, {"name": served.name, "ready": True})
            case _:
                raise WireError(404, "a model has nothing of this name")

    # ------------------------------------------------------------ asking a model

    def _infer(self, exchange: Exchange, served: Served, headers: Mapping[str, str], body: bytes) -> None:
        counts = self.counts.model(served.name, served.version)
        try:
            asked = decode_request(body, headers)
            served.check(asked.inputs, [one.name for one in asked.wanted])
            key = self._cache.key(served.digest, asked.inputs)
            found = None if key is None else self._cache.find(key)
            if found is not None:
                self._say(exchange, served, asked, found)
                return
            batcher = self._batchers.get((served.name, served.version))
            if batcher is None or batcher.served is not served:
                batcher = Batcher(served, self.limits, self._threads, counts)
                self._batchers[served.name, served.version] = batcher

            def done(said: Arrays | WireError) -> None:
                try:
                    if isinstance(said, WireError):
                        counts.failed += 1
                        exchange.refuse(said.status, said.message)
                        return
                    if key is not None:
                        self._cache.keep(key, said)
                    self._say(exchange, served, asked, said)
                except Exception:  # noqa: BLE001  whatever it is, the client gets an answer, and others go on
                    self._bug(exchange)

            batcher.ask(asked.inputs, done, alone=len(self.connections) == 1)
        except WireError:
            counts.failed += 1
            raise

    def _say(self, exchange: Exchange, served: Served, asked: InferRequest, said: Arrays) -> None:
        if asked.wanted:
            outputs = [
                Output(one.name, served.datatypes[one.name], said[one.name], one.binary)
                for one in asked.wanted
            ]
        else:
            outputs = [
                Output(name, served.datatypes[name], said[name], asked.binary) for name in served.outputs
            ]
        body, headers = encode_response(served.name, served.version, asked.id, outputs)
        exchange.reply(200, body, headers)
        counts = self.counts.model(served.name, served.version)
        counts.answered += 1
        counts.seconds.add(monotonic() - exchange.began)

    # ------------------------------------------------------------ words

    def _gauges(self) -> list[tuple[str, str, str, float]]:
        waiting = sum(one.rows for one in self._batchers.values())
        return [
            ("appliance_edge_connections", "gauge", "Connections that are open.", len(self.connections)),
            ("appliance_edge_body_bytes", "gauge", "Bytes of bodies being read or answered.", self.bodies),
            ("appliance_edge_waiting_rows", "gauge", "Rows that wait for a model.", waiting),
            ("appliance_edge_models", "gauge", "Models that are served, by version.", len(list(self._shelf))),
            ("appliance_edge_cache_entries", "gauge", "Answers that are kept.", len(self._cache)),
            ("appliance_edge_cache_hits_total", "counter", "Answers from the cache.", self._cache.hits),
            ("appliance_edge_cache_misses_total", "counter", "Answers not in the cache.", self._cache.misses),
            ("appliance_edge_bugs_total", "counter", "Requests that failed by a fault of ours.", self._bugs),
        ]

    def _forget(self) -> None:
        """Let go of models that are served no more, once those are answered who asked before."""
        self._batchers = {
            key: batcher
            for key, batcher in self._batchers.items()
            if self._shelf.find(*key) is batcher.served
        }

    def _bug(self, exchange: Exchange) -> None:
        self._bugs += 1
        if self._bugs <= TOLD_BUGS:
            logger.exception(  # noqa: LOG004  called where one is being handled
                "a request failed by a fault of ours (%d so far)", self._bugs
            )
        if exchange.answer is None:
            exchange.refuse(500, "the server failed; its log says how")
