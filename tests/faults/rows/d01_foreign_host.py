"""D1: a foreign page points its own name at this machine (DNS rebinding), or a malformed Host is to move the path that is judged.

Promise: nobody is answered who calls the server by a name that is not its own.
"""

import asyncio
import random
import string
from collections.abc import Iterator

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly
from tests.faults.wire import JSON, Answer, ask, say

ROW = Row("D1", "a foreign or malformed Host", "0 of 1,000 answered", minutes=1)
OWN = ("localhost", "127.0.0.1", "[::1]")
LETTERS = string.ascii_letters + string.digits + "-._@#/\\?%:[],;'\"()\t \x7f\xe9"


def foreign(dice: random.Random, count: int) -> Iterator[str]:
    """Yield `count` Host headers that are not ours, and often look like ours."""
    fixed = (
        "", " ", "evil.example", "localhost.evil.example", "evil-localhost", "localhost.", "localhost..", "127.0.0.1.nip.example", "127.1",
        "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "[::1", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[::1]x",
        "localhost:", "localhost:x", "localhost:80:80", "localhost:-1", "localhost@evil.example", "evil.example@localhost", "localhost/v1",
        "localhost?x", "localhost#x", "localhost/../x", "localhost%00", "localhost%2eevil", "localhost\x7f", "local host", "localhost, evil.example",
        "evil.example#localhost", "evil.example:8321", "http://localhost", "//localhost", "loc\xe0lhost", "xn--localhost-", "a" * 300, "[" * 60,
    )  # fmt: skip
    yield from fixed[:count]
    for _ in range(count - len(fixed)):
        own = dice.choice(OWN)
        noise = "".join(dice.choices(LETTERS, k=dice.randint(1, 12)))
        host = dice.choice(
            (noise, own + noise, noise + own, own[:3] + noise + own[3:], f"{noise}.example", f"{own}:{noise}")
        )
        name, _, port = host.rpartition(":")
        ours = host.lower().strip() in OWN or (name.lower().strip() in OWN and port.strip().isdigit())
        yield "evil.example" if ours else host


async def _all(port: int, count: int) -> tuple[list[Answer], list[Answer]]:
    read, written = [], []
    for host in foreign(random.Random(1), count):
        read.append(await say(port, ask("/v1/appliances", host=host)))
        # A path in the Host must not make an address that needs no token out of one that does.
        put = ask(
            "/v1/appliances/fan/override",
            JSON,
            method="PUT",
            host=f"localhost/v1/decide?{host}",
            body=b'{"action":"low"}',
        )
        written.append(await say(port, put))
    for target in ("http://evil.example/v1/appliances", "//evil.example/v1/appliances", "evil.example:80"):
        read.append(await say(port, ask(target, host="evil.example")))
        read.append(await say(port, ask("/v1/appliances", "host: evil.example")))
        read.append(
            await say(port, ask("/v1/appliances", "x-forwarded-host: localhost", host="evil.example"))
        )
    return read, written


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    read, written = asyncio.run(_all(daemon.port, size.of(1000, 150)))
    own = [
        asyncio.run(say(daemon.port, ask("/v1/appliances", host=host))).status
        for host in (*OWN, "localhost:8321")
    ]
    return [
        at_least("foreign names", len(read), "", size.of(1000, 150)),
        exactly("answered", sum(answer.status < 400 for answer in read if answer.status), "", 0),
        exactly(
            "written through a path in the name",
            sum(answer.status < 400 for answer in written if answer.status),
            "",
            0,
        ),
        exactly(
            "without an answer, or 5xx",
            sum(not 400 <= answer.status < 500 for answer in (*read, *written)),
            "",
            0,
        ),
        exactly("own names answered", own.count(200), "", len(own)),
    ]
