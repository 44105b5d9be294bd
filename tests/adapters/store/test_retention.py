"""What is old or too much is forgotten from the old end, and nothing else is."""

import random
import sqlite3
from pathlib import Path

from appliance.adapters.store import Store, packs, retention, schema
from appliance.adapters.store.schema import READINGS
from appliance.core.clock import Instant
from appliance.core.readings import Quality, Reading
from tests.adapters.conftest import until_sync
from tests.adapters.store.conftest import DAY, Keeper, decision, instant

AIR = "zigbee2mqtt/air"


def day(number: float) -> Instant:
    return instant(number * 86_400)


def hear(store: Store, at: Instant, count: int) -> None:
    """Let a noisy sensor be heard, of which no pack is small."""
    chance = random.Random(count)
    for step in range(count):
        reading = Reading(AIR, "pm2_5", chance.random(), "µg/m³")
        store.readings(
            [(reading, Quality.GOOD, None)], retained=False, resent=False, at=at.plus(step * 7919**2 % 10**9)
        )


def days_left(store: Store) -> list[int]:
    return sorted(
        {round((row.at.wall_ns - day(0).wall_ns) / DAY) for row in store.queries.events() if row.device}
    )


def test_at_the_start_what_is_too_old_is_forgotten_and_the_chain_goes_on(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    for number in range(1, 1001):
        store.record(decision(number, at=day(number / 10)))
    for number in (0, 50, 99):
        hear(store, day(number), 9000)
        assert keeper.flush(store) is None
    store.close()
    keeper.now = day(100)
    again = keeper.open(tmp_path, decisions_days=5, readings_days=60)
    until_sync(lambda: days_left(again) == [50, 99])
    until_sync(lambda: again.queries.decision(949) is None)
    assert again.queries.decision(950) is not None
    again.record(decision(1001, at=day(100)))
    assert keeper.confirm(again) is None
    assert again.queries.verify() is None


def test_the_newest_decision_stays_however_old_it_is(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for number in (1, 2, 3):
        store.record(decision(number))
    store.close()
    keeper.now = day(5000)
    again = keeper.open(tmp_path)
    until_sync(lambda: again.queries.decision(2) is None)
    assert again.queries.decision(3) is not None
    assert again.restored.next_id == 4
    again.record(decision(4))
    assert keeper.confirm(again) is None
    assert again.queries.verify() is None


def test_what_a_wrong_clock_dated_long_ago_takes_nothing_newer_with_it(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    long_ago = -20_000
    for number, when in enumerate((10, 95, long_ago, 99), 1):
        store.record(decision(number, at=day(when)))
        hear(store, day(when), 10)
        assert keeper.flush(store) is None
    store.close()
    keeper.now = day(100)
    again = keeper.open(tmp_path, decisions_days=30, readings_days=30)
    until_sync(lambda: again.queries.decision(1) is None and 10 not in days_left(again))
    hear(again, day(100), 1)
    assert keeper.flush(again) is None
    assert days_left(again) == [long_ago, 95, 99, 100]
    assert [kept.decision.id for kept in again.queries.decisions()] == [4, 3, 2]
    assert again.queries.verify() is None


def test_too_large_a_file_shrinks_to_its_limit_from_the_old_end(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for number in range(16):
        hear(store, day(number), 40_000)
        assert keeper.flush(store) is None
    store.close()
    path = tmp_path / READINGS
    before = path.stat().st_size
    assert before > 4 << 20
    keeper.now = day(17)
    again = keeper.open(tmp_path, max_mb=2)
    raw = sqlite3.connect(path)
    until_sync(lambda: raw.execute("PRAGMA page_count").fetchone()[0] * schema.PAGE <= 2.2 * (1 << 20))
    raw.close()
    left = days_left(again)
    assert 3 <= len(left) < 10
    assert left[-1] == 15
    again.close()
    assert path.stat().st_size <= 2.2 * (1 << 20)


def test_however_small_the_limit_the_newest_batch_stays_and_numbers_go_on(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    for number in (1, 2):
        hear(store, day(number), 100)
        assert keeper.flush(store) is None
    last = store.queries.latest(AIR, "pm2_5").seq
    store.close()
    again = keeper.open(tmp_path, max_mb=0)
    hear(again, day(3), 1)
    assert keeper.flush(again) is None
    assert again.queries.latest(AIR, "pm2_5").seq > last


def test_forgetting_goes_in_small_steps(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for _ in range(10):
        hear(store, day(0), packs.ROWS)
        keeper.flush(store)
    hear(store, day(99), 1)
    store.close()
    connection = sqlite3.connect(tmp_path / READINGS, isolation_level=None)
    count = "SELECT SUM(rows) FROM packs"
    before = connection.execute(count).fetchone()[0]
    steps = 0
    while retention.forget_readings(connection, retention.Limits(), day(100).wall_ns):
        steps += 1
        after = connection.execute(count).fetchone()[0]
        assert 0 < before - after <= retention.STEP_PACKED + packs.ROWS
        before = after
    assert steps in {3, 4}  # of four packs each
    assert before == 2
    connection.close()
