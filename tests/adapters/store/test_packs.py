"""What is packed comes back bit by bit, short packs are continued, and what earlier versions left as rows is read beside packs."""

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.adapters.store import Kind, Store, history, packs, readonly, retention, schema, spans
from appliance.adapters.store.packs import Columns, Pack, pack
from appliance.core.clock import SECOND, Instant
from appliance.core.readings import Quality, Reading
from appliance.errors import StoreError
from tests.adapters.store.conftest import WALL, Keeper, as_rows, instant

AIR = "zigbee2mqtt/air"
ODD: tuple[float | str, ...] = (
    12.5, 12, 1, 0, "on", "", -0.0, 0.0, 1e30, 5e-324, 1.7976931348623157e308, -(1 << 63), (1 << 63) - 1, 0.1 + 0.2, "x" * 1024,
    1e15, 123_456_789.123, -7.25, 2.0**53 + 2, 21.43, 71.234, "µg ☂",
)  # fmt: skip


def packed(boot: int, rows: list[tuple[int, int, int, float | str, int, str | None, int]]) -> bytes:
    return pack(boot, Columns(*zip(*rows, strict=True)))


def hear(store: Store, second: float, value: object, metric: str = "pm2_5", boot: str = "boot-1") -> None:
    reading = Reading(AIR, metric, value, "µg/m³")
    store.readings([(reading, Quality.GOOD, None)], retained=False, resent=False, at=instant(second, boot))


def lying(folder: Path) -> list[tuple[int, int]]:
    """Return the first number and the rows of each pack."""
    raw = sqlite3.connect(folder / schema.READINGS)
    found = raw.execute("SELECT first, rows FROM packs ORDER BY first").fetchall()
    raw.close()
    return found


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_packed_comes_back_as_what_it_was(seed: int) -> None:
    chance = random.Random(seed)
    kinds: list[Callable[[], float | str]] = [
        lambda: chance.choice(ODD),
        lambda: round(chance.gauss(20, 5), chance.randrange(7)),
        chance.random,
        lambda: chance.randrange(-(1 << 63), 1 << 63),
        lambda: chance.choice(["on", "off"]),
    ]
    chosen = chance.sample(kinds, chance.randrange(1, len(kinds) + 1))
    wild = chance.random() < 0.3
    boottime, rows = 10**15, []
    for _ in range(chance.choice([1, 2, 7, 300, packs.ROWS])):
        boottime += chance.choice([0, 10**8 + chance.randrange(10**5)])
        wall = chance.randrange(-(1 << 62), 1 << 62) if wild else boottime + WALL + chance.randrange(300)
        rows.append(
            (
                chance.randrange(1, 40), boottime, wall, chance.choice(chosen)(), chance.randrange(3),
                chance.choice([None, None, "frozen", "a jump"]), chance.randrange(16),
            )
        )  # fmt: skip
    back = Pack(7, packed(3, rows))
    assert repr(list(zip(*back.columns(), strict=True))) == repr(rows), "not the same, type and sign and all"
    assert [(row[0], row[2]) for row in back.numbered()] == [(7 + place, 3) for place in range(len(rows))]
    for streams in ([3], [1, 2], range(40)):
        asked = [(row[2], row[4], row[3]) for row in rows if row[0] in streams]
        assert repr(list(zip(*back.series(streams), strict=True))) == repr(asked)
    assert back.of([1, 2]) == [place for place, row in enumerate(rows) if row[0] in {1, 2}]


def test_a_steady_sensor_takes_a_few_bytes_a_reading() -> None:
    chance = random.Random(1)
    rows = [
        (1 + place % 10, place * 10**8 + chance.randrange(10**5), WALL + place * 10**8, round(chance.gauss(20, 0.3), 1), 0, None, 0)
        for place in range(3000)
    ]  # fmt: skip
    assert len(packed(1, rows)) < 8 * 3000, "as rows of a table they take 44 bytes each"


@pytest.mark.parametrize("seed", range(40))
def test_a_pack_that_was_damaged_is_said_to_be_and_never_read_as_something_else(seed: int) -> None:
    chance = random.Random(seed)
    rows = [(1, place, WALL + place, 20.5 + place % 3, 0, None, 0) for place in range(200)]
    blob = bytearray(packed(1, rows))
    if seed % 4 == 0:
        del blob[chance.randrange(len(blob)) :]
    else:
        blob[chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
    try:
        read = Pack(5, bytes(blob)).columns()
    except sqlite3.DatabaseError:
        pass
    else:
        # One of the bits that fill up the last byte: nothing rests on it.
        assert seed % 4
        assert list(zip(*read, strict=True)) == rows


def test_a_short_pack_is_continued_and_a_long_one_a_far_one_or_another_boots_is_not(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    for second in range(40):
        hear(store, second, chance := 20 + second % 7)
        if second % 10 == 9:
            assert keeper.flush(store) is None
    assert lying(tmp_path) == [(1, 41)]
    hear(store, 40, chance, boot="boot-2")
    assert keeper.flush(store) is None
    hear(store, 4000, 1, boot="boot-2")
    assert keeper.flush(store) is None
    assert lying(tmp_path) == [(1, 41), (42, 1), (43, 1)]
    noise = random.Random(2)
    for step in range(2 * packs.ROWS + 5):
        hear(store, 4000 + step / 100, noise.random(), boot="boot-2")
    assert keeper.flush(store) is None
    hear(store, 4100, 1, boot="boot-2")
    assert keeper.flush(store) is None
    assert lying(tmp_path)[2:] == [(43, packs.ROWS), (43 + packs.ROWS, packs.ROWS), (43 + 2 * packs.ROWS, 7)]
    heard = [row.value for row in store.queries.events() if row.kind is Kind.READING]
    assert heard[:40] == [20 + second % 7 for second in range(40)]
    noise.seed(2)
    assert heard[42:-1] == [noise.random() for _ in range(2 * packs.ROWS + 5)]
    assert [row.seq for row in store.queries.events()] == list(range(1, len(heard) + 2))


def test_a_last_pack_that_is_broken_holds_up_nothing_that_is_heard_later(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    hear(store, 1, 1.0)
    assert keeper.flush(store) is None
    raw = sqlite3.connect(tmp_path / schema.READINGS)
    with raw:
        raw.execute("UPDATE packs SET blob = x'01789c00'")
    raw.close()
    hear(store, 2, 2.0)
    assert keeper.flush(store) is None
    assert store.queries.latest(AIR, "pm2_5").value == 2.0
    with pytest.raises(StoreError, match="can't be read"):
        list(store.queries.events())


def test_what_an_earlier_version_left_as_rows_is_read_and_goes_on_in_packs(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    for second in range(100):
        hear(store, second, float(second))
        hear(store, second, "on" if second % 2 else "off", "mode")
    keeper.now = instant(100)
    store.close()
    as_rows(tmp_path)
    raw = sqlite3.connect(tmp_path / schema.READINGS)
    with raw:
        raw.execute("DROP TABLE packs")
        raw.execute("PRAGMA user_version = 4")
    raw.close()
    before = keeper.open(tmp_path / "nobody")
    before.queries = type(before.queries)(tmp_path)
    assert len(before.queries.raw()) == 202, "a file that no daemon of this version wrote to is not read"
    store = keeper.open(tmp_path)
    for second in range(100, 150):
        hear(store, second, float(second))
    assert keeper.flush(store) is None
    ask = store.queries
    assert [row.value for row in ask.events() if row.metric == "pm2_5"] == [float(one) for one in range(150)]
    assert [row.seq for row in ask.events()] == list(range(1, 254))
    points = ask.readings(AIR, "pm2_5", instant(0).wall_ns, instant(150).wall_ns, 15)
    assert [(point.value, point.low, point.high) for point in points] == [
        (10 * one + 4.5, 10.0 * one, 10.0 * one + 9) for one in range(15)
    ]
    assert ask.readings(AIR, "mode", instant(0).wall_ns, instant(100).wall_ns, 1)[0].value == "on"
    assert (ask.latest(AIR, "pm2_5").value, ask.latest(AIR, "mode").value) == (149.0, "on")
    assert [row.value for row in ask.heard_since(instant(98.5)) if row.metric == "pm2_5"] == [
        float(second) for second in range(99, 150)
    ]


def test_old_rows_are_forgotten_before_packs_and_packs_whole(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    day = 86_400
    for step in range(5000):
        hear(store, step / 1000, step)
    store.close()
    as_rows(tmp_path)
    keeper.now = instant(50 * day)
    store = keeper.open(tmp_path, readings_days=3650)
    for number in (50, 99):
        for step in range(packs.ROWS + 100):
            hear(store, number * day + step / 1000, step)
        assert keeper.flush(store) is None
    keeper.now = instant(99 * day)
    store.close()
    raw = sqlite3.connect(tmp_path / schema.READINGS, isolation_level=None)
    left = []
    while retention.forget_readings(raw, retention.Limits(readings_days=10), instant(100 * day).wall_ns):
        left.append(spans.oldest(raw))
        assert raw.execute("SELECT MIN(first) FROM batches").fetchone()[0] <= left[-1]
    raw.close()
    assert len(left) >= 3
    assert left == sorted(set(left))
    assert {row.at.wall_ns // (day * SECOND) - WALL // (day * SECOND) for row in store.queries.events()} == {
        99
    }


def test_a_question_over_too_many_packs_is_ended_though_sqlite_hardly_works(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    hear(store, 1, 1.0)
    assert keeper.flush(store) is None

    def again_and_again() -> None:
        with readonly.read_only(tmp_path / schema.READINGS, 0.05) as connection:
            ends = time.monotonic() + 20
            while time.monotonic() < ends:
                list(spans.packs(connection, 1, 100))

    with pytest.raises(StoreError, match="longer than 0"):
        again_and_again()


def test_boots_that_change_within_a_batch_have_packs_of_their_own(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for boot in ("boot-1", "boot-2", "boot-1"):
        for second in range(3):
            hear(store, second, second, boot=boot)
    assert keeper.flush(store) is None
    assert lying(tmp_path) == [(1, 4), (5, 3), (8, 3)]
    assert [row.at.boot_id for row in store.queries.events()] == [
        "boot-1", *["boot-1"] * 3, *["boot-2"] * 3, *["boot-1"] * 3,
    ]  # fmt: skip
    assert [row.at for row in store.queries.heard_since(Instant("boot-2", 0, 0))] == [
        instant(second, "boot-2") for second in range(3)
    ]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_history_that_is_read_in_slices_has_each_row_once(
    size: int, tmp_path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = keeper.open(tmp_path)
    for number in range(60):
        hear(store, number // 6 * 4000 + number, number, boot=f"boot-{number // 6}")
        if number % 6 == 5:
            assert keeper.flush(store) is None
    assert len(lying(tmp_path)) > 5
    monkeypatch.setattr(history, "SLICE", size)
    until = instant(60_000).wall_ns
    [point] = store.queries.readings(AIR, "pm2_5", instant(0).wall_ns, until, 1)
    assert (point.value, point.low, point.high) == (sum(range(60)) / 60, 0, 59)
