"""Owns what the edge server may cost: sizes, numbers and times.

Never in here: enforcing them.
"""

import msgspec

MIB = 1 << 20


class Limits(msgspec.Struct, frozen=True):
    """Bytes, rows, numbers, and seconds where a name ends in `_s`.

    `max_batch`: rows of several requests that go through a model together; `max_delay_s`: how long the first of them may wait for others;
    `queue_rows`: rows that wait for one model, more are refused (503); `body`: of one request (413); `bodies`: of all requests that are
    being read or answered (503); `head`: of a request's head (431); `connections`: beyond, whoever is longest without a whole request goes;
    `pipelined`: requests of one connection that are not answered yet, then it is read no further; `receive_s`: from a request's first byte
    to its last (408); `idle_s`: between two requests; `send_s`: for which an answer may stay untaken; `cache_entries`: answers that are
    kept (0: none), `cache_bytes` what a request may have to be kept; `threads`: models that run at the same time; `drain_s`: what is under
    way at the end has so long.
    """

    max_batch: int = 64
    max_delay_s: float = 0.0
    queue_rows: int = 8192
    body: int = MIB
    bodies: int = 64 * MIB
    head: int = 16 * 1024
    connections: int = 1024
    pipelined: int = 32
    receive_s: float = 10.0
    idle_s: float = 75.0
    send_s: float = 10.0
    cache_entries: int = 4096
    cache_bytes: int = 4096
    threads: int = 2
    drain_s: float = 10.0
