"""Owns where the broker is, and getting a connected socket to it, with TLS where asked for.

Never in here: MQTT, or trying again.
"""

import asyncio
import contextlib
import socket
import ssl
import threading

import msgspec

from appliance.errors import ConfigError

CONNECT_S = 5.0
"""So long may a broker take to accept, and to shake hands; each."""
ANSWER_S = 10.0
"""So long may it take to say who it lets in, and what it lets him hear; each: a bad link takes 2 s each way, and stalls."""


class Tls(msgspec.Struct, frozen=True):
    """How the link is encrypted: whom to trust, who we are."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return the context: TLS 1.2 or later, names checked, unless `insecure`. Raises ConfigError for a bad file."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as broken:  # ssl.SSLError is one
            raise ConfigError(
                f"[mqtt.tls]: {broken}", hint="give PEM files that this user can read"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Address(msgspec.Struct, frozen=True):
    """Where the broker is, and who we are there. Of `keepalive_s` 10 s are used at most, see `PING_S` of the session."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None
    keepalive_s: int = 10


async def dial(address: Address) -> socket.socket:
    """Return a connected socket. Raises OSError, of which ssl.SSLError is one, and ConfigError for a bad TLS file.

    In a thread of its own, not the loop's pool: a name server or a host that says nothing must not hold up the end of
    the process, which waits for the pool.
    """
    loop = asyncio.get_running_loop()
    connected: asyncio.Future[socket.socket] = loop.create_future()

    def settle(sock: socket.socket | None, broken: Exception | None) -> None:
        if broken is not None and not connected.done():
            connected.set_exception(broken)
        elif sock is not None and not connected.done():
            connected.set_result(sock)
        elif sock is not None:
            sock.close()  # nobody waits for it any more

    def work() -> None:
        sock, failed = None, None
        try:
            sock = _connect(address)
        except Exception as broken:  # noqa: BLE001  it is raised where somebody waits for it
            failed = broken
        try:
            loop.call_soon_threadsafe(settle, sock, failed)
        except RuntimeError:  # the loop has ended meanwhile
            with contextlib.suppress(OSError):
                if sock is not None:
                    sock.close()

    threading.Thread(target=work, name="dial", daemon=True).start()
    return await connected


def _connect(address: Address) -> socket.socket:
    """Return a connected socket. Blocks for seconds."""
    try:
        sock = socket.create_connection((address.host, address.port), timeout=CONNECT_S)
    except UnicodeError:
        # Python's own refusal of a name that DNS can't spell (an empty or too long label); it is no OSError.
        raise OSError(f"{address.host[:64]!r} is no host name") from None
    try:
        # Without it a command waits for the acknowledgement that the next reading carries.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls is not None:
            sock = address.tls.context().wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise
    return sock
