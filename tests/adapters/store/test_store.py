"""What is handed in comes back as it was, in its order, and says so only when it is on disk."""

import ctypes
import ctypes.util
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from appliance.adapters.store import Kind, Store, queue, schema
from appliance.adapters.store.file import CACHE_KIB, File
from appliance.core.clock import Instant
from appliance.core.events import Memory
from appliance.core.readings import Quality, Reading
from tests.adapters.conftest import ROOT, until_sync
from tests.adapters.store.conftest import Keeper, decision, instant, memory


def hear(
    store: Store,
    value: object,
    *,
    at: Instant,
    metric: str = "pm2_5",
    unit: str | None = "µg/m³",
    retained: bool = False,
) -> None:
    reading = Reading("zigbee2mqtt/air", metric, value, unit)
    store.readings([(reading, Quality.GOOD, None)], retained=retained, resent=False, at=at)


def test_a_decision_comes_back_as_it_was_with_its_count(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    store.record(decision(1))
    store.record(decision(2, appliance="heater", action=None))
    store.repeat(1, instant(5))
    store.repeat(1, instant(9))
    assert keeper.flush(store) is None
    store.close()
    again = keeper.open(tmp_path)
    kept = again.queries.decision(1)
    assert kept.decision == decision(1)
    assert (kept.count, kept.last_at, kept.recorded) == (3, instant(9), True)
    assert again.restored.next_id == 3
    assert again.restored.loss is None
    assert again.restored.last["fan"] == kept
    assert again.restored.last["heater"].decision.action is None


def test_a_memory_comes_back_byte_for_byte(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    store.remember("fan", Memory())
    store.remember("fan", memory(3))
    store.remember("heater", memory(4))
    store.close()
    back = keeper.open(tmp_path).restored.memories
    assert {name: msgspec.json.encode(one) for name, one in back.items()} == {
        "fan": msgspec.json.encode(memory(3)),
        "heater": msgspec.json.encode(memory(4)),
    }


def test_one_memory_that_cannot_be_read_costs_nobody_else_theirs(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    store.remember("fan", memory())
    store.remember("heater", memory())
    store.record(decision(7))
    store.close()
    with sqlite3.connect(tmp_path / schema.DECISIONS) as raw:
        raw.execute("UPDATE memories SET memory = '{' WHERE appliance = 'heater'")
    raw.close()
    again = keeper.open(tmp_path)
    assert again.restored.memories == {"fan": memory()}
    assert again.restored.next_id == 8
    assert again.health().state == "ok"


def test_three_boots_keep_their_order_whatever_the_wall_clock_does(tmp_path: Path, keeper: Keeper) -> None:
    walls = (5_000, 1_000, 3_000)  # the second boot has no clock yet, the third is set
    for number, wall in enumerate(walls, 1):
        keeper.now = Instant(f"boot-{number}", number, wall)
        store = keeper.open(tmp_path)
        store.record(decision(store.restored.next_id, at=keeper.now))
        hear(store, float(number), at=keeper.now)
        store.close()
    store = keeper.open(tmp_path)
    assert [kept.decision.at.boot_id for kept in store.queries.decisions()] == ["boot-3", "boot-2", "boot-1"]
    heard = [row for row in store.queries.events() if row.kind is Kind.READING]
    assert [(row.at, row.value) for row in heard] == [
        (Instant(f"boot-{n}", n, wall), float(n)) for n, wall in enumerate(walls, 1)
    ]
    assert store.queries.verify() is None


def test_done_is_told_when_the_decision_is_in_the_file_and_not_before(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    seen: list[object] = []

    def done(error: Exception | None) -> None:
        raw = sqlite3.connect(tmp_path / schema.DECISIONS)
        seen.append((error, raw.execute("SELECT COUNT(*) FROM decisions").fetchone()[0]))
        raw.close()

    store.record(decision(1), done)
    assert keeper.confirm(store) is None
    assert seen == [(None, 1)]
    assert store.kept(1).recorded


def test_whoever_is_told_of_commits_may_fail_and_nothing_stops(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    told: list[int] = []

    def failing(numbers: list[int]) -> None:
        told.extend(numbers)
        raise RuntimeError("the loop is closed")

    store.on_commit = failing
    for number in (1, 2):
        store.record(decision(number), lambda error: 1 / 0)
        assert keeper.confirm(store) is None
    until_sync(lambda: told == [1, 2])
    assert store.alive()


def test_what_can_never_be_recorded_is_counted_and_holds_up_nobody(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    answers: list[Exception | None] = []
    store.record(decision(1))
    store.record(msgspec.structs.replace(decision(2), because="half a pair: \ud800"), answers.append)
    store.record(decision(3))
    assert keeper.confirm(store) is None
    store.record(msgspec.structs.replace(decision(1), action="low"), answers.append)  # its number is taken
    assert keeper.confirm(store) is None
    assert [kept.decision.id for kept in store.queries.decisions()] == [3, 1]
    assert store.queries.decision(1).decision.action == "high"
    assert store.health().decisions_lost == 2
    assert [isinstance(answer, Exception) for answer in answers] == [True, True]
    assert store.queries.verify() is None


def test_repeats_from_many_threads_are_all_counted_once(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    store.record(decision(1))
    keeper.confirm(store)

    def again() -> None:
        for _ in range(2000):
            store.repeat(1, instant(1))

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert keeper.flush(store) is None
    assert keeper.flush(store) is None
    assert store.queries.decision(1).count == store.kept(1).count == 8001


def test_values_come_back_as_what_they_were(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    values = [12.5, 12, True, False, "on", "", -0.0, 10**30]
    for number, value in enumerate(values):
        hear(store, value, at=instant(number), retained=number == 1)
    assert keeper.flush(store) is None
    rows = [row for row in store.queries.events() if row.kind is Kind.READING]
    assert [(row.value, type(row.value)) for row in rows] == [
        (value, type(value)) for value in values[:-1]
    ] + [(1e30, float)]
    assert [row.retained for row in rows] == [number == 1 for number in range(len(values))]
    assert [row.at for row in rows] == [instant(number) for number in range(len(values))]


def test_what_is_no_number_and_no_word_is_dropped_counted_and_kills_nothing(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    for value in (float("nan"), float("inf"), 10**400, "\ud800" + "x" * 5000, 1.0):
        hear(store, value, at=instant())
    assert keeper.flush(store) is None
    assert store.health().readings_dropped == 3
    assert [row.value for row in store.queries.events() if row.kind is Kind.READING] == ["?" + "x" * 255, 1.0]


def test_states_availability_and_marks_come_back_among_the_readings_in_order(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    store.state(Reading("zigbee2mqtt/fan", "fan_state", "on", None), retained=True, at=instant(1))
    hear(store, 3.0, at=instant(2))
    store.availability("zigbee2mqtt/fan", available=False, retained=False, at=instant(3))
    store.mark("link", "down", instant(4))
    store.close()
    rows = keeper.open(tmp_path).queries.raw()
    assert [(row.kind, row.device, row.metric, row.value) for row in rows] == [
        (Kind.MARK, "", "daemon", "start"),
        (Kind.STATE, "zigbee2mqtt/fan", "fan_state", "on"),
        (Kind.READING, "zigbee2mqtt/air", "pm2_5", 3.0),
        (Kind.AVAILABILITY, "zigbee2mqtt/fan", "available", False),
        (Kind.MARK, "", "link", "down"),
        (Kind.MARK, "", "daemon", "stop"),
    ]
    assert [row.retained for row in rows] == [False, True, False, False, False, False]


def test_where_too_much_waits_old_readings_go_first_and_new_decisions_last(
    tmp_path: Path, keeper: Keeper
) -> None:
    (tmp_path / "file").write_text("no folder")
    store = keeper.open(tmp_path / "file" / "state")  # no disk: everything waits
    late: list[Exception | None] = []
    for number in range(1, queue.MAX_DECISIONS + 5):
        store.record(decision(number), late.append if number < 5 else None)
    for number in range(queue.MAX_READINGS + 9):
        hear(store, number, at=instant(number))
    waiting = store.waiting("zigbee2mqtt/air", "pm2_5")
    assert len(waiting) <= queue.MAX_READINGS
    assert (waiting[-1][1], waiting[0][1]) == (queue.MAX_READINGS + 8, 9)
    health = store.health()
    assert health.readings_dropped == 10  # and the mark of the start
    assert (health.waiting, health.decisions_lost) == (queue.MAX_DECISIONS, 4)
    assert [isinstance(error, Exception) for error in late] == [True] * 4
    ring = store.ring()
    assert [kept.decision.id for kept in (ring[0], ring[-1])] == [5, queue.MAX_DECISIONS + 4]
    assert not any(kept.recorded for kept in ring)


def test_after_the_end_whoever_asks_is_told_so(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    store.close()
    assert "ended" in str(keeper.confirm(store))
    assert "ended" in str(keeper.flush(store))


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path, keeper: Keeper) -> None:
    keeper.open(tmp_path).close()
    path = tmp_path / schema.DECISIONS
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    before = path.read_bytes()
    store = keeper.open(tmp_path)
    assert "newer version" in store.health().reason
    store.record(decision(1))
    store.close()
    assert path.read_bytes() == before


def test_nobody_else_on_the_machine_may_read_the_files(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path / "state")
    store.record(decision(1))
    keeper.flush(store)
    assert len(list((tmp_path / "state").iterdir())) >= 4
    for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("made", [False, True], ids=["import", "second start"])
def test_sqlite_utils_is_not_imported_where_nothing_is_made(
    tmp_path: Path, keeper: Keeper, made: bool
) -> None:
    if made:
        keeper.open(tmp_path).close()
    start = "Store(Path(sys.argv[1]), lambda: Instant('b', 1, 1)).start()" if made else "Store"
    code = f"import sys\nfrom pathlib import Path\nfrom appliance.adapters.store import Store\nfrom appliance.core.clock import Instant\n{start}\nprint('sqlite_utils' in sys.modules)"
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert child.stdout == "False\n"


def test_what_is_written_does_not_stay_in_memory(tmp_path: Path) -> None:
    """SQLite keeps pages that it wrote, by its own choice 2 MB of each file: a growth that takes half an hour looks like a leak."""
    library = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
    library.sqlite3_memory_used.restype = ctypes.c_int64
    file = File(tmp_path, schema.READINGS, "NORMAL", instant)
    try:
        file.use()
        before = library.sqlite3_memory_used()
        if not before:
            pytest.skip("Python brings a SQLite of its own, which can't be asked")
        with file.transaction() as connection:
            connection.execute("CREATE TABLE filler (content)")
        for _ in range(64):
            with file.transaction() as connection:
                connection.execute("INSERT INTO filler VALUES (randomblob(65536))")
        assert library.sqlite3_memory_used() - before < (CACHE_KIB + 256) << 10
    finally:
        file.close()
