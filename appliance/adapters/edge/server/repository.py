"""Owns the protocol's repository extension: what lies on the shelf, loading and unloading; and one thread for the disk.

Never in here: reading a model (shelf), or asking one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from appliance.adapters.edge.server.exchange import Exchange
from appliance.adapters.edge.server.shelf import NotThere, Shelf
from appliance.adapters.edge.tensors import WireError
from appliance.adapters.edge.wire import JSON
from appliance.errors import ModelError

MAX_LOADS = 8
"""Loads and looks at the disk that wait for each other."""

T = TypeVar("T")
logger = logging.getLogger(__name__)


class _Index(msgspec.Struct):
    ready: bool = False


class _Load(msgspec.Struct):
    parameters: dict[str, Any] = {}


class Repository:
    """The shelf, as it is seen and changed from outside; changed only where `changes`. `bug` answers what failed by a fault of ours;
    `changed` hears when other models are served."""

    def __init__(
        self, shelf: Shelf, bug: Callable[[Exchange], None], changed: Callable[[], None], *, changes: bool
    ) -> None:
        self._shelf, self._bug, self._changed, self._changes = shelf, bug, changed, changes
        self._disk = ThreadPoolExecutor(1, "edge-shelf")
        self._waiting = 0

    def close(self) -> None:
        """Wait for no thread any more."""
        self._disk.shutdown(wait=False, cancel_futures=True)

    def answer(self, exchange: Exchange, path: Sequence[bytes], body: bytes) -> None:
        """Answer a request for v2/repository/`path`, once the disk has. Raises WireError."""
        match path:
            case [b"index"]:
                only(exchange, "POST")
                ready = _decoded(body, _Index).ready
                self._ask(
                    exchange,
                    lambda: self._shelf.index(ready=ready),
                    lambda told: tell(exchange, told, methods=("POST",)),
                )
            case [b"models", name, b"load" | b"unload" as action]:
                only(exchange, "POST")
                if not self._changes:
                    raise WireError(403, "models are changed from outside only where the server has a token")
                self._change(exchange, name.decode("latin-1"), action, body)
            case _:
                raise WireError(404, "the repository has nothing of this name")

    def _change(self, exchange: Exchange, name: str, action: bytes, body: bytes) -> None:
        parameters = _decoded(body, _Load).parameters
        if action == b"load":
            if any(key == "config" or key.startswith("file:") for key in parameters):
                raise WireError(400, "a model comes from the shelf only, as it lies there")
            self._ask(exchange, lambda: self._shelf.load(name), lambda _: self._done(exchange))
        elif self._shelf.unload(name):
            logger.info("%s is served no more", name)
            self._done(exchange)
        else:
            raise WireError(404, f"no model {name[:100]!r} is served here")

    def _done(self, exchange: Exchange) -> None:
        self._changed()
        tell(exchange, {}, methods=("POST",))

    def _ask(self, exchange: Exchange, question: Callable[[], T], answer: Callable[[T], None]) -> None:
        """Let the thread for the disk run `question`, then `answer` with what it returned."""
        if self._waiting >= MAX_LOADS:
            raise WireError(503, "models are being loaded: ask again later")
        self._waiting += 1

        def ended(running: "asyncio.Future[T]") -> None:
            self._waiting -= 1
            try:
                answer(running.result())
            except NotThere as missing:
                exchange.refuse(404, missing.message)
            except ModelError as broken:
                exchange.refuse(400, self._shelf.told(broken))
            except asyncio.CancelledError:
                exchange.refuse(503, "the server stops")
            except Exception:  # noqa: BLE001  whatever it is, the client gets an answer, and others go on
                self._bug(exchange)

        asyncio.get_running_loop().run_in_executor(self._disk, question).add_done_callback(ended)


def tell(
    exchange: Exchange, told: object, status: int = 200, methods: tuple[str, ...] = ("GET", "HEAD")
) -> None:
    """Answer one of `methods` with `told` as JSON. Raises WireError (405)."""
    only(exchange, *methods)
    exchange.reply(status, msgspec.json.encode(told), {"content-type": JSON})


def only(exchange: Exchange, *methods: str) -> None:
    """Raise WireError (405) where the request has none of `methods`."""
    if exchange.method not in methods:
        raise WireError(405, f"only {' or '.join(methods)} means something here")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
        raise WireError(400, f"the body: {str(broken)[:200]}") from None
