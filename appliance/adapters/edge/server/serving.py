"""Owns the life of the edge server: listening, the clock that ends what takes too long, and the end that lets work under way finish.

Never in here: what is served.
"""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from email.utils import formatdate
from ipaddress import ip_address
from pathlib import Path
from time import monotonic

from appliance.adapters.edge.server.answering import Site
from appliance.adapters.edge.server.connection import Connection
from appliance.adapters.edge.server.limits import Limits
from appliance.adapters.edge.server.shelf import Shelf
from appliance.errors import EdgeError

BACKLOG = 1024
LOOK_S = 1.0
SEND_BUFFER = 256 * 1024
"""Bytes that the kernel keeps for a client that does not read; its own default grows to megabytes."""
SPARE_FILES = 64

logger = logging.getLogger(__name__)


class EdgeServer:
    """A shelf that is served. `start` listens, `run` serves until `stop`, and then until what is under way is answered."""

    def __init__(
        self, models: Path, limits: Limits, *, token: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._limits = limits
        self._shelf = Shelf(models, limits.max_batch)
        self._token, self._tls = token, tls
        self._stop = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self.site: Site | None = None
        self.port = 0
        """The TCP port that it got."""

    async def start(self, host: str, port: int) -> None:
        """Load the models, then listen on `host` and `port` (0: a free one).

        Raises:
            ModelError: the folder cannot be read.
            EdgeError: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._shelf.load_all)
        _allow_files(self._limits.connections + SPARE_FILES)
        local = is_loopback(host)
        site = Site(self._shelf, self._limits, self._token, repository_without_token=local)
        site.date = formatdate(usegmt=True).encode()
        if not local and self._token is None:
            logger.warning("%s is no loopback address, and there is no token: everybody there may ask", host)
        if next(iter(self._shelf), None) is None:
            logger.warning("no model is served: put a bundle on the shelf, and load it")
        try:
            self._listener = await loop.create_server(
                lambda: Connection(site), sock=_listening(host, port), backlog=BACKLOG, ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else self._limits.receive_s,
            )  # fmt: skip
        except OSError as broken:
            site.close()
            raise EdgeError(
                f"cannot listen on {host} port {port}: {broken.strerror or broken}",
                hint="choose another host or port; 0 takes any free port",
            ) from broken
        self.site = site
        self.port = self._listener.sockets[0].getsockname()[1]

    async def run(self) -> None:
        """Serve until `stop`; then refuse what is new (503) until what is under way is answered, `drain_s` at most."""
        assert self.site is not None
        assert self._listener is not None
        looking = asyncio.create_task(self._look(), name="edge-clock")
        try:
            await self._stop.wait()
            self.site.stopping = True
            ends = monotonic() + self._limits.drain_s
            while any(one.busy for one in self.site.connections):
                if monotonic() > ends:
                    logger.warning("some requests were not answered in %g s", self._limits.drain_s)
                    break
                await asyncio.sleep(0.02)
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            self._listener.close()
            for one in tuple(self.site.connections):
                one.close()
            await asyncio.sleep(0)
            for one in tuple(self.site.connections):
                one.abort()
            self.site.close()

    def stop(self) -> None:
        """End: at the first call let work under way finish."""
        self._stop.set()

    async def _look(self) -> None:
        assert self.site is not None
        while True:
            self.site.date = formatdate(usegmt=True).encode()
            now = monotonic()
            for one in tuple(self.site.connections):
                one.look(now)
            await asyncio.sleep(LOOK_S)


async def serve(
    models: Path, host: str, port: int, limits: Limits, *, token: str | None = None,
    tls: ssl.SSLContext | None = None, ready: Callable[[EdgeServer], None] = lambda _: None,
) -> None:  # fmt: skip
    """Serve `models` until SIGTERM or SIGINT; `ready` is called once it listens. Raises ModelError, EdgeError."""
    server = EdgeServer(models, limits, token=token, tls=tls)
    await server.start(host, port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    ready(server)
    await server.run()


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        with contextlib.suppress(OSError):
            return all(ip_address(one[4][0]).is_loopback for one in socket.getaddrinfo(host, None))
        return False


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    # The protocol is named because asyncio sets TCP_NODELAY only then: else answers wait 40 ms for an ACK.
    listening = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _allow_files(wanted: int) -> None:
    """Ask for as many open files as connections need, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
