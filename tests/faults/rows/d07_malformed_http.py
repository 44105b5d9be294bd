"""D7: heads without an end, ten thousand headers, broken chunks, and requests hidden in what another server would read otherwise.

Promise: refused with 4xx or hung up on, never 5xx; what is hidden is never answered; memory does not grow with the head.
"""

import asyncio

from tests.faults.fuzz_http import log_faults
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.wire import JSON, Answer, ask, say

ROW = Row("D7", "malformed HTTP and smuggling", "0 of 5xx; nothing hidden answered", minutes=1)
HIDDEN = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
GET = "GET /v1/appliances HTTP/1.1\r\nhost: localhost\r\n"
POST = f"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\n"
BODY = b'{"appliance":"fan","readings":[]}'

HEADS = (
    GET.encode() + b"x: " + b"a" * (1 << 20) + b"\r\n\r\n", GET.encode() + b"a" * (1 << 20), b"G" * (1 << 20), b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
    GET.encode() + b"".join(b"x%d: y\r\n" % number for number in range(10_000)) + b"\r\n", GET.encode() + b"x: y\r\n" * 10_000 + b"\r\n",
    GET.encode() + b" folded: y\r\n\r\n", GET.encode() + b"x : y\r\n\r\n", GET.encode() + b"x\r\n\r\n", GET.encode() + b": y\r\n\r\n",
    GET.encode() + b"x: a\x00b\r\n\r\n", GET.encode() + b"x: a\rb\r\n\r\n", b"GET  /  HTTP/1.1\r\nhost: localhost\r\n\r\n", b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nhost: localhost\r\n\r\n", b"GET / x HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00" * 5000, b"\xff" * 5000, b"\r" * 5000, b"HELO x\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n", b"CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip
"""Each is to be refused."""

CHUNKS = (
    b"zz\r\n{}\r\n0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n", b"+2\r\n{}\r\n0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b" 2\r\n{}\r\n0\r\n\r\n", b"2 \r\n{}\r\n0\r\n\r\n\r\n",
    b"2_0\r\n{}\r\n0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"2\r\n{}\r\rx0\r\n\r\n", b"fffffffffffffffffffff\r\n{}", b"2\xb2\r\n{}\r\n0\r\n\r\n", b"\r\n\r\n",
    b"2;" + b"a" * (1 << 20) + b"\r\n{}\r\n", b"0\r\n" + b"x: y\r\n" * 100_000 + b"\r\n", b"0\r\n" + b"x" * (1 << 20), b"0\r\n: y\r\n\r\n",
)  # fmt: skip
"""Bodies in chunks that are none, or have no end."""


def hidden() -> list[bytes]:
    """Return requests in whose body, as one of two readings has it, another one is hidden."""
    inside = BODY + HIDDEN
    length, short = f"content-length: {len(inside)}", f"content-length: {len(BODY)}"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    framings = (
        f"{short}\r\n{length}", f"{length}\r\n{short}", f"content-length: {len(BODY)}, {len(inside)}", f"content-length: +{len(inside)}",
        f"content-length: {len(inside)} {len(BODY)}", f"content-length: {len(inside):#x}", f"content-length : {len(inside)}", "content-length: ١",
        f"content-length: {len(inside)}\r\ncontent-length:", f"content-length: 0{'0' * 30}{len(inside)}x", f"content-length:\x0b{len(inside)}",
    )  # fmt: skip
    codings = (
        "transfer-encoding: xchunked", "transfer-encoding : chunked", "transfer-encoding: chunked, identity", "transfer-encoding: identity, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity", "transfer-encoding:\x0bchunked", 'transfer-encoding: "chunked"',
        "transfer-encoding: chunked, chunked", "transfer-encoding: gzip, chunked", "x: y\r\n transfer-encoding: chunked", "transfer-encoding: chunked\x00",
    )  # fmt: skip
    whole = [f"{POST}{framing}\r\n\r\n".encode() + inside for framing in framings]
    whole += [f"{POST}{coding}\r\n{length}\r\n\r\n".encode() + chunk + HIDDEN for coding in codings]
    # Both at once, rightly written: RFC 9112 (6.3) lets chunks win, and wants the connection closed after it.
    whole += [
        f"{POST}transfer-encoding: chunked\r\n{framing}\r\n\r\n".encode() + chunk + HIDDEN
        for framing in (length, short, "content-length: 0")
    ]
    return whole


async def _all(port: int) -> tuple[list[Answer], list[Answer]]:
    chunked = f"{POST}transfer-encoding: chunked\r\n\r\n".encode()
    malformed = (*HEADS, *(chunked + chunk for chunk in CHUNKS))
    refused = await asyncio.gather(*(say(port, one, wait_s=15, until_closed=True) for one in malformed))
    return refused, await asyncio.gather(*(say(port, one, wait_s=15, until_closed=True) for one in hidden()))


def run(lab: Lab, size: Size) -> list[Figure]:
    del size
    daemon = lab.home()
    asyncio.run(say(daemon.port, ask("/healthz")))
    resting = daemon.rss_mib()
    daemon.reset_peak()
    refused, smuggled = asyncio.run(_all(daemon.port))
    answered = [answer for answer in refused if answer.status and not 400 <= answer.status < 500]
    return [
        at_least("malformed requests", len(refused), "", len(HEADS) + len(CHUNKS)),
        exactly(
            f"neither 4xx nor hung up on{answered[0].raw[:80] if answered else ''}", len(answered), "", 0
        ),
        exactly("left waiting", sum(not answer.closed for answer in refused), "", 0),
        at_least("requests with another one hidden", len(smuggled), "", 20),
        exactly("hidden ones answered", sum(b'"uptime_s"' in answer.raw for answer in smuggled), "", 0),
        exactly("answers of 5xx", sum(answer.status >= 500 for answer in (*refused, *smuggled)), "", 0),
        at_most("memory grew by", daemon.peak_mib() - resting, "MiB", 5),
        exactly("lines of the log that tell of an error", len(log_faults(daemon.log())), "", 0),
        exactly("an answer afterwards", asyncio.run(say(daemon.port, ask("/healthz"))).status, "", 200),
    ]
