"""Owns the listening: uvicorn as a task of the daemon's own loop, with no signal handlers of its own.

Never in here: what is served.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from appliance.adapters.http.limits import Refusals
from appliance.adapters.http.protocol import LimitedConfig, LimitedProtocol, Limits
from appliance.errors import LinkError

SEND_BUFFER = 256 * 1024
"""Bytes that the kernel keeps for a client that does not read; its own default grows to megabytes."""

BACKLOG = 128
"""Connections that the kernel holds until they are accepted."""

AT_A_GO = 8
"""Connections that are accepted before those that came earlier are read: so who asks is heard before a crowd that comes
at once, and does not ask, takes all places and pushes them out."""


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers and its ten wake-ups a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept. asyncio takes one number for what the kernel holds and for what is accepted at a go."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)

    async def main_loop(self) -> None:
        """Wait to be stopped: what uvicorn's own loop does, dates and counted restarts, is not used."""
        await self.stop.wait()


class Server:
    """An application that listens. Made by `serve`; `run` is a task, `close` ends it.

    `port` is the TCP port that it got, `url` is where a browser on this machine finds the page.
    """

    def __init__(self, app: FastAPI, listener: socket.socket, limits: Limits) -> None:
        self._app = app
        self._listener = listener
        refusals = getattr(app.state, "refusals", None)
        config = LimitedConfig(
            app,
            http=LimitedProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # What clients send wrong is counted; it must not fill a log.
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=AT_A_GO,
            timeout_keep_alive=limits.idle_s,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=limits.head,
        )
        config.limits = limits
        config.refusals = refusals if isinstance(refusals, Refusals) else Refusals()
        self._uvicorn = _Uvicorn(config)
        host, self.port = listener.getsockname()[:2]
        # What listens on all addresses is found on this machine by the loopback one.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
        self.url = f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    async def run(self) -> None:
        """Serve until `close` is called. A cancelled server drops its connections at once."""
        try:
            await self._uvicorn.serve(sockets=[self._listener])
        finally:
            for connection in tuple(self._uvicorn.server_state.connections):
                connection.transport.abort()
            self._listener.close()

    async def close(self) -> None:
        """Stop listening, end the streams, let answers under way finish for a second. Returns at once."""
        end_streams = getattr(self._app.state, "end_streams", None)
        if end_streams is not None:
            end_streams()
        self._uvicorn.stop.set()


def serve(app: FastAPI, host: str = "127.0.0.1", port: int = 0, *, limits: Limits | None = None) -> Server:
    """Return a server that listens on `host` and `port` (0: a free one) at once, and answers once it runs.

    Raises:
        LinkError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then: else answers wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise LinkError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            hint="choose another host or port in the [http] settings; 0 takes any free port",
        ) from error
    listener.setblocking(False)
    return Server(app, listener, limits or Limits())
