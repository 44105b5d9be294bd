"""Owns bytes to and from the edge: dialed aside, encrypted, counted as they go over the wire, and no more of them than an answer may have.

Never in here: HTTP, or trying again.
"""

import asyncio
import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable

import httpcore

from appliance.adapters.aside import aside
from appliance.adapters.edge.terms import EdgeSettings, own
from appliance.adapters.tls import Tls

READ = 4096
"""Bytes of one read: the loop takes a breath between two, whatever the edge sends."""
TICKETS = 32 << 10
"""Bytes that a handshake may take."""


class Meter:
    """What went over the wire, encryption included, TCP's and IP's own headers not; and how much may still come.

    The thread that dials counts until the socket is handed over, the loop after that.
    """

    def __init__(self) -> None:
        self.out = 0
        self.came = 0
        self._until = 0

    def allow(self, more: int) -> None:
        """Let so many bytes come from here on."""
        self._until = self.came + more

    def add(self, other: "Meter") -> None:
        """Count what another one did; what may still come stays as it is."""
        self.out += other.out
        self.came += other.came
        self._until += other.came

    @property
    def full(self) -> bool:
        """Whether more came than may."""
        return self.came >= self._until


class Stream(httpcore.AsyncNetworkStream):
    """A connected socket, without buffers of its own: what is not read stays in the edge's machine."""

    def __init__(self, sock: socket.socket, meter: Meter, tls: "Encryption | None") -> None:
        self._socket = sock
        self._meter = meter
        self._tls = tls
        self._loop = asyncio.get_running_loop()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  its interface
        """Return what came, nothing at the end. Raises httpcore.ReadError; also where more came than may."""
        del timeout  # the caller's deadline ends it
        if self._tls is None:
            return await self._receive(max_bytes)
        while True:
            try:
                plain = self._tls.object.read(max_bytes)
            except ssl.SSLWantReadError:
                raw = await self._receive(READ)
                if raw:
                    self._tls.incoming.write(raw)
                else:
                    self._tls.incoming.write_eof()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as broken:
                raise httpcore.ReadError(str(broken)) from None
            else:
                await self._send(self._tls.outgoing.read())
                return plain

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  its interface
        """Send all of it. Raises httpcore.WriteError."""
        del timeout
        if self._tls is None:
            await self._send(buffer)
            return
        try:
            self._tls.object.write(buffer)
        except ssl.SSLError as broken:
            raise httpcore.WriteError(str(broken)) from None
        await self._send(self._tls.outgoing.read())

    async def aclose(self) -> None:
        """Close it at once."""
        self._socket.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  its interface
    ) -> "Stream":
        """Return itself: hands were shaken where it was dialed."""
        del ssl_context, server_hostname, timeout
        return self

    def get_extra_info(self, info: str) -> object:
        """Return whether it is "is_readable", which is the end of an idle connection; None for anything else."""
        if info != "is_readable":
            return None
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(0))
        except (OSError, ValueError):
            return True

    async def _receive(self, most: int) -> bytes:
        if self._meter.full:
            raise httpcore.ReadError("it is too large")
        await asyncio.sleep(0)  # sock_recv does not wait where something is there: control goes first
        try:
            raw = await self._loop.sock_recv(self._socket, min(most, READ))
        except OSError as broken:
            raise httpcore.ReadError(str(broken)) from None
        self._meter.came += len(raw)
        return raw

    async def _send(self, data: bytes) -> None:
        if not data:
            return
        self._meter.out += len(data)
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as broken:
            raise httpcore.WriteError(str(broken)) from None


class Encryption:
    """TLS between two memories, so that what goes over the wire can be counted."""

    def __init__(self, tls: Tls, host: str) -> None:
        context = tls.context()
        context.set_alpn_protocols(["http/1.1"])
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)

    def shake_hands(self, sock: socket.socket, meter: Meter, left_s: Callable[[], float]) -> None:
        """*thread*: agree on keys. Raises OSError, of which ssl.SSLError is one."""
        began = meter.came
        while True:
            try:
                self.object.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(sock, meter, left_s)
                sock.settimeout(left_s())
                raw = sock.recv(READ)
                meter.came += len(raw)
                if not raw:
                    raise ConnectionResetError("it closed the connection in the handshake") from None
                if meter.came - began > TICKETS:
                    raise ConnectionAbortedError("its handshake has no end") from None
                self.incoming.write(raw)
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush(sock, meter, left_s)  # why we go
                raise
            else:
                self._flush(sock, meter, left_s)
                return

    def _flush(self, sock: socket.socket, meter: Meter, left_s: Callable[[], float]) -> None:
        data = self.outgoing.read()
        meter.out += len(data)
        sock.settimeout(left_s())
        sock.sendall(data)


class Backend(httpcore.AsyncNetworkBackend):
    """Dials the edge of `settings`, and nobody else."""

    def __init__(self, settings: EdgeSettings, meter: Meter) -> None:
        self._settings = settings
        self._meter = meter
        self.patience_s = 5.0
        """So long may dialing take, handshake included."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  its interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> Stream:
        """Return the stream, encrypted already where it shall be. Raises OSError, of which ssl.SSLError is one, and ConfigError."""
        del timeout, local_address, socket_options
        meter = Meter()
        try:
            sock, tls = await aside(
                lambda: self._dial(host, port, meter), lambda dialed: dialed[0].close(), "dial-edge"
            )
        finally:
            self._meter.add(meter)
        sock.setblocking(False)
        return Stream(sock, self._meter, tls)

    async def sleep(self, seconds: float) -> None:
        """Sleep, as the interface wants it."""
        await asyncio.sleep(seconds)

    def _dial(self, host: str, port: int, meter: Meter) -> tuple[socket.socket, Encryption | None]:
        end = time.monotonic() + self.patience_s

        def left_s() -> float:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("it does not answer in time")
            return left

        failed: OSError = ConnectionError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if not self._settings.encrypted and not own(str(address[0])):
                failed = ConnectionError(
                    f"{host} is {address[0]}: not of the own network, and http: is not encrypted"
                )
                continue
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(left_s())
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if not self._settings.encrypted:
                    return sock, None
                tls = Encryption(self._settings.tls or Tls(section="edge.tls"), host)
                tls.shake_hands(sock, meter, left_s)
            except OSError as broken:
                sock.close()
                failed = broken
            except BaseException:
                sock.close()
                raise
            else:
                return sock, tls
        raise failed
