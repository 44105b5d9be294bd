"""Owns a socket that reads 64 KiB at once and joins the sends of one wake-up.

paho reads a message in three calls and writes it in one; over this object those calls cost no system call. Never in here:
MQTT, or waiting.
"""

import contextlib
import socket
import ssl
import struct

BLOCK = 64 << 10
"""Bytes read in one system call, and not again before these are taken; also what bounds the messages of one wake-up."""
MAX_UNSENT = 4 << 20
"""Bytes that wait for a slow broker; beyond that a send blocks, which paho hands on to its caller."""


class BlockwiseSocket:
    """A connected, non-blocking socket between two buffers. Has what paho asks of a socket, and `fill` and `flush`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0.0)
        self._sock = sock
        self.data = b""
        """What was received last; nobody has taken it from `at` on."""
        self.at = 0
        self._granted = 0
        self.ended = False
        """Whether the peer has closed, or paho is done."""
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0

    # ------------------------------------------------------------ for the event loop

    @property
    def buffered(self) -> int:
        """Bytes received that nobody has taken yet."""
        return len(self.data) - self.at

    @property
    def hidden(self) -> bool:
        """Whether more was received than the event loop can see: TLS decrypts whole records."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        return self._unsent_bytes

    def fill(self, wanted: int = 0) -> None:
        """Read what is there, one block, unless a block (or `wanted` bytes, where that is more) waits already.

        Raises OSError where the connection is broken.
        """
        waits = len(self.data) - self.at
        if waits >= max(BLOCK, wanted):
            return  # the rest stays with the operating system, which then slows down the sender
        try:
            data = self._sock.recv(BLOCK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not data:
            self.ended = True
            return
        if isinstance(self._sock, ssl.SSLSocket):
            # TLS decrypts whole records: what is left of them raises no event of the operating system.
            while self._sock.pending() and len(data) < BLOCK:
                data += self._sock.recv(BLOCK)
        self.data = self.data[self.at :] + data if waits else data
        self.at = 0

    def answer(self, data: bytes) -> None:
        """Keep an acknowledgement for the next `flush`, also where too much waits for others: it is few bytes, and without it the broker
        soon sends nothing more. BlockingIOError where twice as much waits.
        """
        if self._unsent_bytes >= 2 * MAX_UNSENT:
            raise BlockingIOError
        self._unsent.append(data)
        self._unsent_bytes += len(data)

    def flush(self) -> bool:
        """Send what waits, in one call; return whether all of it went. Raises OSError where the connection is broken."""
        while self._unsent:
            data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._unsent = [data]
                return False
            self._unsent = [data[sent:]] if sent < len(data) else []
            self._unsent_bytes -= sent
        return True

    def shut(self, *, orderly: bool = False) -> None:
        """Close. What waits is lost, also what the operating system holds, unless `orderly`: over a network that comes back, it
        would go on sending commands of long ago.
        """
        if not orderly:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    # ------------------------------------------------------------ for paho

    def grant(self, end: int) -> None:
        """Let paho receive what lies before `end`: one packet, and not the beginning of the next."""
        self._granted = end

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of what was granted; BlockingIOError where nothing is left, b"" after the end."""
        at = self.at
        if at >= self._granted:
            if self.ended and at >= len(self.data):
                return b""
            raise BlockingIOError
        data = self.data[at : min(at + size, self._granted)]
        self.at += len(data)
        if self.at == self._granted:
            self._granted = 0
        return data

    def send(self, data: bytes | bytearray) -> int:
        """Keep `data` for the next `flush`; BlockingIOError where too much waits already."""
        if self._unsent_bytes >= MAX_UNSENT:
            raise BlockingIOError
        self._unsent.append(bytes(data))
        self._unsent_bytes += len(data)
        return len(data)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001  the shape of a socket
        """Stay non-blocking, whatever is asked."""

    def pending(self) -> int:
        """Return the bytes that are here without a system call."""
        return max(self._granted - self.at, 0)

    def close(self) -> None:
        """Note that paho is done with it; the loop still watches the descriptor, so its session closes it (`shut`)."""
        self.ended = True
