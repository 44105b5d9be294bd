"""Owns a socket that reads 64 KiB at once and joins the sends of one wake-up.

paho reads a message in three calls and writes it in one; over this object those calls cost no system call. Never in here:
MQTT, or waiting.
"""

import socket
import ssl

BLOCK = 64 << 10
"""Bytes read in one system call, and not again before these are taken; also what bounds the messages of one wake-up."""
MAX_UNSENT = 4 << 20
"""Bytes that wait for a slow broker; beyond that a send blocks, which paho hands on to its caller."""


class BlockwiseSocket:
    """A connected, non-blocking socket between two buffers. Has what paho asks of a socket, and `fill` and `flush`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0.0)
        self._sock = sock
        self._received = memoryview(b"")
        self._ended = False
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0

    # ------------------------------------------------------------ for the event loop

    @property
    def buffered(self) -> int:
        """Bytes received that nobody has taken yet; 1 where the peer has closed, so that somebody notices."""
        return len(self._received) or int(self._ended)

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        return self._unsent_bytes

    def fill(self) -> None:
        """Read what is there, one block, unless a block waits already. Raises OSError where the connection is broken."""
        if len(self._received) >= BLOCK:
            return  # the rest stays with the operating system, which then slows down the sender
        try:
            data = self._sock.recv(BLOCK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not data:
            self._ended = True
            return
        if isinstance(self._sock, ssl.SSLSocket):
            # TLS decrypts whole records: what is left of them raises no event of the operating system.
            while self._sock.pending() and len(data) < BLOCK:
                data += self._sock.recv(BLOCK)
        self._received = memoryview(bytes(self._received) + data) if self._received else memoryview(data)

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

    def shut(self) -> None:
        """Close; what waits is lost."""
        self._sock.close()

    # ------------------------------------------------------------ for paho

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of what was received; BlockingIOError where nothing is left, b"" after the end."""
        if not self._received:
            if self._ended:
                return b""
            raise BlockingIOError
        data = bytes(self._received[:size])
        self._received = self._received[size:]
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
        return self.buffered

    def close(self) -> None:
        """Note that paho is done with it; the loop still watches the descriptor, so its session closes it (`shut`)."""
        self._ended = True
