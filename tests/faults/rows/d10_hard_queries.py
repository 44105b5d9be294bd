"""D10: queries that are code, patterns or giants, and a history of millions of rows. Promise: a text is only ever a text, what is out
of bounds is refused, a query that takes long is ended within a second, and control goes on meanwhile.
"""

import asyncio
import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.wire import JSON, Answer, ask, bearer, json_body, latencies, p95, say

ROW = Row("D10", "SQL, patterns and giants in queries", "only ever text; ended within 1 s", minutes=2)
LONGEST_S = 1.0
SLACK_S = 0.5
"""For the way there and back, and a busy machine."""
TEXTS = (
    "' OR 1=1 --", "'; DROP TABLE decisions; --", "fan' --", "fan%", "%", "_an", "f*n", "fan\x00", "fan/*", "fan' UNION SELECT blob FROM snapshots --",
    'fan" OR ""="', "fan) OR (1=1", "NEAR(fan)", "fan OR heater", "\\", "fan\\", "fan;ATTACH DATABASE 'x' AS y", "${fan}", "{{7*7}}", "char(102,97,110)",
)  # fmt: skip
BOUNDS = (
    "limit=0",
    "limit=-1",
    "limit=201",
    "limit=999999999999999999999",
    "limit=1e3",
    "limit=NaN",
    "cursor=-1",
    "cursor=0",
    "cursor=1%20OR%201=1",
)
PATTERNS = (
    "(a+)+" + "a" * 150,
    "((((((((" * 25,
    "not " * 50,
    "a" * 200,
    "1" * 200,
    " " * 200,
    "pm2_5 < 5 and " * 14,
    "-" * 200,
    "07:00" * 40,
)


DAY_NS = 86_400 * 10**9


def fill(state: Path, readings: int, decisions: int) -> None:
    """Put a long history before what a daemon, which has ended, wrote: yesterday's dust, and decisions of the fan."""
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    with closing(sqlite3.connect(state / "readings.sqlite3")) as file, file:
        stream, wall = file.execute(
            "SELECT streams.id, low - ? FROM streams, batches WHERE metric = 'pm2_5' ORDER BY first",
            (DAY_NS,),
        ).fetchone()
        file.execute("INSERT INTO boots VALUES (77, 'yesterday')")
        file.execute("INSERT INTO batches VALUES (?, 77, 0, ?, ?)", (-readings, wall, wall + readings))
        file.execute(
            f"{many} INSERT INTO readings SELECT i - ?, ?, 77, i, ? + i, i % 900, 0, NULL, 0 FROM n",
            (readings, readings + 1, stream, wall),
        )
    with closing(sqlite3.connect(state / "decisions.sqlite3")) as file, file:
        file.execute("INSERT INTO boots VALUES (77, 'yesterday')")
        file.execute(
            f"{many} INSERT INTO decisions SELECT -i, 77, i, ? - i, 'fan', 'off', 'x', '{{}}', x'00', 1, 77, i, ? - i FROM n",
            (decisions, wall, wall),
        )


def empty(state: Path) -> None:
    """Take the decisions out again that nobody made."""
    with closing(sqlite3.connect(state / "decisions.sqlite3")) as file, file:
        file.execute("DELETE FROM decisions WHERE id < 1")


async def _texts(port: int, token: str) -> tuple[list[Answer], list[Answer], list[Answer]]:
    """Return what came of texts that are meant as code, of numbers out of bounds, and of conditions that are hard to read."""
    found = []
    for text in TEXTS:
        told = quote(text)
        for path in (
            f"/v1/decisions?appliance={told}", f"/v1/decisions?action={told}", f"/v1/readings?appliance=fan&channel={told}",
            f"/v1/readings?appliance={told}&channel=pm2_5", f"/v1/appliances/{told}/why", f"/v1/appliances/fan/why?at={told}",
            f"/v1/decisions?cursor={told}", f"/v1/decisions/{told}", f"/v1/appliances/fan/why-not/{told}",
        ):  # fmt: skip
            found.append(await say(port, ask(path)))
    bounds = [await say(port, ask(f"/v1/decisions?{bound}")) for bound in BOUNDS]
    bounds += [
        await say(port, ask(f"/v1/readings?appliance=fan&channel=pm2_5&points={points}"))
        for points in (0, -1, 1001, 10**30)
    ]
    hard = [
        await say(
            port,
            ask(
                "/v1/appliances/fan/override",
                JSON,
                bearer(token),
                method="PUT",
                body=json_body({"action": "low", "until": text}),
            ),
        )
        for text in PATTERNS
    ]
    hard += [await say(port, ask(f"/v1/appliances/fan/why?at={quote(text[:64])}")) for text in PATTERNS]
    return found, bounds, hard


async def _long(port: int) -> tuple[list[Answer], list[Answer], list[float]]:
    """Return what came of questions that read all of the history: one by one, and many at once; and how long others waited meanwhile."""
    span = "since=1970-01-01T00:00:00Z&until=2100-01-01T00:00:00Z"
    now = time.time()
    week = f"since={now - 7 * 86_400:.0f}&until={now:.0f}"
    paths = (
        f"/v1/readings?appliance=fan&channel=pm2_5&{week}&points=1000", f"/v1/readings?appliance=fan&channel=pm2_5&{week}&points=1",
        f"/v1/readings?appliance=fan&channel=pm2_5&{span}&points=1000", "/v1/decisions?appliance=fan&action=turbo", f"/v1/decisions?action=turbo&{span}",
    )  # fmt: skip
    alone = [await say(port, ask(path), wait_s=10) for path in paths]
    ends = threading.Event()
    others = asyncio.create_task(asyncio.to_thread(latencies, port, "/v1/appliances", ends))
    crowd = await asyncio.gather(*(say(port, ask(path), wait_s=30) for path in paths * 4))
    ends.set()
    return alone, crowd, await others


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    lab.until(
        lambda: (
            list(daemon.state.glob("readings.sqlite3"))
            and daemon.ask("/v1/readings?appliance=fan&channel=pm2_5")["points"]
        )
    )
    daemon.stop()
    fill(daemon.state, size.of(3_000_000, 500_000), size.of(2_000_000, 200_000))
    daemon.start()
    lab.until(lambda: lab.ready(daemon))
    found, bounds, hard = asyncio.run(_texts(daemon.port, daemon.token))
    alone, crowd, others = asyncio.run(_long(daemon.port))
    lab.air.says(10.0)
    control = lab.took(lambda: lab.fan.doing == "off", 10)
    lab.air.says(50.0)
    daemon.stop()
    empty(daemon.state)
    told = [json.loads(answer.body) for answer in found if answer.status == 200]
    return [
        at_least("texts that are meant as code", len(found), "", 9 * len(TEXTS)),
        exactly(
            "of them answered with anything", sum(bool(one.get("decisions", True)) for one in told), "", 0
        ),
        exactly(
            "numbers out of bounds refused with 422",
            sum(answer.status == 422 for answer in bounds),
            "",
            len(bounds),
        ),
        exactly(
            "conditions and moments refused",
            sum(answer.status in (404, 422, 429) for answer in hard),
            "",
            len(hard),
        ),
        exactly(
            "5xx for a text",
            sum(not 200 <= answer.status < 500 for answer in (*found, *bounds, *hard)),
            "",
            0,
        ),
        at_most(
            "the longest text took",
            max(answer.seconds for answer in (*found, *bounds, *hard)),
            "s",
            LONGEST_S,
        ),
        at_most(
            "a question to all of the history ended within",
            max(answer.seconds for answer in alone),
            "s",
            LONGEST_S + SLACK_S,
        ),
        Figure(
            "of them ended by the clock, with 503",
            sum(answer.status == 503 for answer in alone),
            f"of {len(alone)}",
            "reported",
            holds=True,
        ),
        exactly(
            "of 20 at once, without a word", sum(answer.status not in (200, 503) for answer in crowd), "", 0
        ),
        Figure(
            "the last of 20 at once answered after",
            max(answer.seconds for answer in crowd),
            "s",
            "reported",
            holds=True,
        ),
        Figure("others answered meanwhile within, p95", p95(others), "ms", "reported", holds=True),
        at_most("a reading led to its command after", control, "s", 5),
    ]
