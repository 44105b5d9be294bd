"""Owns the client that both servers are asked with: raw sockets, epoll, requests that were made beforehand; and what it saw.

Each of its connections asks, reads the whole answer, and asks again. Never in here: which server, or what is said of the figures.
"""

import re
import select
import socket
import time
from collections.abc import Sequence

import msgspec

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
GIVE_UP_S = 30.0


class Seen(msgspec.Struct, frozen=True):
    """What came of asking for a while: answers, seconds, each answer's latency in seconds (sorted), errors, and the client's own CPU share."""

    answers: int
    seconds: float
    latencies: tuple[float, ...]
    errors: int
    busy: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    def quantile(self, share: float) -> float:
        """Return a quantile of the latencies in milliseconds."""
        return 1e3 * self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def ask(host: str, port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Seen:
    """Ask with `clients` connections for `seconds`, going round in `requests`. Raises OSError where nobody listens or answers."""
    poll = select.epoll()
    connections: dict[int, socket.socket] = {}
    for _ in range(clients):
        made = socket.create_connection((host, port), GIVE_UP_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)
        connections[made.fileno()] = made
        poll.register(made, select.EPOLLIN)
    due = dict.fromkeys(connections, 0)  # bytes of an answer that are still to come; 0: its head is
    heard = dict.fromkeys(connections, b"")
    began = dict.fromkeys(connections, 0.0)
    latencies: list[float] = []
    errors = turn = 0
    clock = time.perf_counter
    used, start = time.process_time(), clock()
    ends = start + seconds
    for number, connection in connections.items():
        began[number] = clock()
        connection.sendall(requests[turn % len(requests)])
        turn += 1
    now = start
    try:
        while now < ends:
            ready = poll.poll(GIVE_UP_S)
            if not ready:
                raise OSError("no answer in 30 seconds")
            for number, _ in ready:
                connection = connections[number]
                piece = connection.recv(65536)
                if not piece:
                    raise OSError("the server closed a connection")
                if due[number]:
                    due[number] -= len(piece)
                    if due[number]:
                        continue
                else:
                    told = heard[number] + piece
                    head = told.find(b"\r\n\r\n")
                    if head < 0:
                        heard[number] = told
                        continue
                    length = _LENGTH.search(told, 0, head + 2)
                    if length is None:
                        raise OSError("an answer without its length")
                    heard[number] = b""
                    if not told.startswith(b"HTTP/1.1 200"):
                        errors += 1
                    due[number] = head + 4 + int(length[1]) - len(told)
                    if due[number]:
                        continue
                now = clock()
                latencies.append(now - began[number])
                began[number] = now
                connection.send(requests[turn % len(requests)])
                turn += 1
    finally:
        for connection in connections.values():
            connection.close()
        poll.close()
    took = clock() - start
    return Seen(len(latencies), took, tuple(sorted(latencies)), errors, (time.process_time() - used) / took)
