"""A18: ten times the history that may be kept. Promise: it shrinks to its limit while control, and whoever asks, hardly notice."""

import random
import time
import urllib.request
from pathlib import Path

from appliance.adapters.store import schema
from appliance.adapters.store.journal import Entry, Journal, Kind
from appliance.core.clock import SECOND, Instant
from appliance.core.readings import Quality
from tests.faults.control import PACE_S, follow, missed, percentile
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row(
    "A18", "ten times the history that may be kept", "file <= limit + 10 %; queries p95 < 300 ms", minutes=10
)
LIMIT_MB = 16
"""The least that a config may allow."""


def run(lab: Lab, size: Size) -> list[Figure]:
    lab.config = lab.config.replace('folder = "state"', f'folder = "state"\nmax_mb = {LIMIT_MB}')
    daemon = lab.daemon(start=False)
    preload(daemon.state, (size.of(10, 3) * LIMIT_MB) << 20)
    file = daemon.state / schema.READINGS
    before = file.stat().st_size / (LIMIT_MB << 20)
    lab.controlled(daemon.start())
    took: list[float] = []
    asked: list[float] = []
    ends = time.monotonic() + size.of(400, 60)
    while len(took) < 8 or (time.monotonic() < ends and file.stat().st_size > (LIMIT_MB << 20) * 1.1):
        began = time.monotonic()
        took.append(follow(lab, 2.0))
        for path in ("/v1/decisions?limit=50", "/v1/readings?appliance=fan&channel=pm2_5"):
            asked.append(answers(f"http://127.0.0.1:{daemon.port}{path}"))
        time.sleep(max(0.0, began + PACE_S - time.monotonic()))
    after = file.stat().st_size / (LIMIT_MB << 20)
    return [
        Figure("at first", before, "times the limit", "told", holds=before > 1.5),
        at_most("at last", after, "times the limit", 1.1),
        at_most("an answer, p95", percentile(asked, 0.95) * 1e3, "ms", size.of(300, 2000)),
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        at_most("followed after", max(took), "s", 2.0),
    ]


def answers(url: str) -> float:
    began = time.monotonic()
    with urllib.request.urlopen(url, timeout=20) as answer:
        answer.read()
    return time.monotonic() - began


def preload(state: Path, size: int) -> None:
    """Make a history of some weeks whose readings take so many bytes."""
    clock = Instant("earlier", 0, time.time_ns() - 14 * 86_400 * SECOND)
    journal = Journal(state, lambda: clock)
    state.mkdir(mode=0o700, exist_ok=True)
    number = 0
    chance = random.Random(18)  # what follows a pattern would take hardly any room
    while number == 0 or journal.path.stat().st_size < size:
        batch = [
            Entry(
                Kind.READING, "zigbee2mqtt/air", "pm25", "\u00b5g/m\u00b3", clock.plus(one * SECOND // 40), 30 * chance.random(),
                int(Quality.GOOD), chance.randbytes(32).hex(), 0,
            )
            for one in range(number, number + 20_000)
        ]  # fmt: skip
        journal.append(batch, None)
        number += len(batch)
        journal.use().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.close()
