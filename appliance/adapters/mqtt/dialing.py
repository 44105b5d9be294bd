"""Owns where the broker is, and getting a connected socket to it, with TLS where asked for.

Never in here: MQTT, or trying again.
"""

import asyncio
import socket
import ssl
from functools import partial

import msgspec

from appliance.adapters.aside import aside
from appliance.adapters.tls import Tls
from appliance.errors import ConfigError

CONNECT_S = 5.0
"""So long may a broker take to accept, and to shake hands; each."""
ANSWER_S = 10.0
"""So long may it take to say who it lets in, and what it lets him hear; each: a bad link takes 2 s each way, and stalls."""
KEEPS_S = 0.2
"""Who keeps a connection on which nothing is said for so long is no broker on its way out, whose end is known at once."""
REACHED_S = 1.0
"""So long may one that just closed a connection take to accept another: it is near, or it is away."""


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
    """Return a connected socket. Raises OSError, of which ssl.SSLError is one, and ConfigError for a bad TLS file."""
    return await aside(partial(_connect, address), socket.socket.close, "dial")


async def is_there(address: Address) -> bool:
    """Return whether somebody at `address` takes a connection and keeps it: False within `REACHED_S` and `KEEPS_S` where not.

    Nothing is said on it, so it costs no session of anybody. A broker that was killed may still have its listener open while it
    ends what it had, and what it takes then ends with it.
    """
    try:
        async with asyncio.timeout(REACHED_S):
            sock = await dial(address)
    except (OSError, ConfigError):
        return False
    with sock:
        await asyncio.sleep(KEEPS_S)
        sock.setblocking(False)
        try:
            return bool(sock.recv(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False


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
