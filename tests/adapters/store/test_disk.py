"""The disk fails: control goes on, health says so, and what waits is written when it is back. What is lost is noticed."""

import shutil
import sqlite3
from pathlib import Path

from appliance.adapters.store import Queries, Store, journal, queue, schema
from appliance.adapters.store.file import REPLACED_MOST
from appliance.adapters.store.losses import Loss
from appliance.core.readings import Quality, Reading
from tests.adapters.conftest import until_sync
from tests.adapters.store.conftest import Disk, Keeper, decision, instant, memory


def ids(store: Store) -> list[int]:
    return [kept.decision.id for kept in store.queries.decisions(limit=500)]


def recovered(store: Store) -> bool:
    health = store.health()
    return health.state == "ok" and health.waiting == 0


def hear(store: Store, seconds: float, value: float = 1.0) -> None:
    air = Reading("zigbee2mqtt/air", "pm2_5", value, "µg/m³")
    store.readings([(air, Quality.GOOD, None)], retained=False, resent=False, at=instant(seconds))


def test_a_disk_that_fills_up_costs_no_decision_once_there_is_room_again(disk: Disk, keeper: Keeper) -> None:
    store = keeper.open(disk.path)
    store.record(decision(1))
    assert keeper.confirm(store) is None
    until_sync((disk.path / "ballast").exists)
    disk.fill()
    for number in range(2, 200):
        store.record(decision(number))
    assert keeper.confirm(store) is None, "there was a reserve for them"
    disk.fill()
    for number in range(200, 400):
        store.record(decision(number))
    assert keeper.confirm(store) is not None
    health = store.health()
    assert (health.state, health.since) == ("degraded", keeper.now)
    assert "full" in health.reason
    assert [kept.decision.id for kept in store.ring()] == list(range(1, 400))
    assert not store.kept(399).recorded
    disk.free()
    until_sync(lambda: recovered(store))
    assert ids(store) == list(range(399, 0, -1))
    assert store.kept(399).recorded
    assert store.health().since is None
    assert store.queries.verify() is None


def test_readings_leave_the_last_of_a_disk_to_decisions_and_do_not_pile_up(
    disk: Disk, keeper: Keeper
) -> None:
    store = keeper.open(disk.path)
    disk.fill(leave=journal.RESERVE_BYTES // 2)
    for number in range(queue.MAX_READINGS):
        hear(store, number, number + 0.5)
    assert "left to decisions" in str(keeper.flush(store))
    assert store.health().state == "degraded"
    for number in range(1, 21):
        store.record(decision(number))
        assert keeper.confirm(store) is None
    assert ids(store) == list(range(20, 0, -1))
    for number in range(100):
        hear(store, number)
    assert keeper.flush(store) is not None
    assert len(store.waiting("zigbee2mqtt/air", "pm2_5")) == queue.MAX_READINGS
    assert store.health().readings_dropped == 101  # and the mark of the start
    disk.free()
    assert keeper.flush(store) is None
    assert store.health().state == "ok"
    assert sum(row.metric == "pm2_5" for row in store.queries.events()) == queue.MAX_READINGS


def test_a_disk_that_is_read_only_at_the_start_is_read_and_later_written(disk: Disk, keeper: Keeper) -> None:
    earlier = keeper.open(disk.path)
    earlier.record(decision(1))
    earlier.close()
    for path in disk.path.glob("*-*"):
        path.unlink()  # a reader's leavings, without which a log-mode file can't be opened on such a disk
    disk.read_only(on=True)
    store = keeper.open(disk.path)
    assert store.health().state == "degraded"
    assert store.restored.next_id > 10**12, "it can't know what numbers are taken"
    number = store.restored.next_id
    store.remember("fan", memory())
    store.record(decision(number, at=instant()))
    assert keeper.confirm(store) is not None
    assert [kept.decision.id for kept in store.ring()] == [number]
    assert ids(store) == [1], "the history can still be read"
    disk.read_only(on=False)
    until_sync(lambda: recovered(store))
    assert ids(store) == [number, 1]
    assert store.queries.verify() is None
    store.close()
    assert keeper.open(disk.path).restored.memories == {"fan": memory()}


def test_a_folder_that_is_removed_is_noticed_and_made_anew_with_what_is_remembered(
    tmp_path: Path, keeper: Keeper
) -> None:
    folder = tmp_path / "state"
    store = keeper.open(folder)
    store.remember("fan", memory())
    store.record(decision(1))
    assert keeper.confirm(store) is None
    shutil.rmtree(folder)
    store.record(decision(2))
    assert keeper.confirm(store) is not None
    until_sync(lambda: recovered(store))
    assert ids(store) == [2]
    store.close()
    assert keeper.open(folder).restored.memories == {"fan": memory()}, (
        "what did not change since must be there too"
    )


def test_a_file_that_another_took_the_place_of_is_noticed(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path / "a")
    keeper.open(tmp_path / "b").close()
    (tmp_path / "b" / schema.DECISIONS).rename(tmp_path / "a" / schema.DECISIONS)
    store.record(decision(1))
    assert keeper.confirm(store) is not None
    for end in ("-wal", "-shm"):
        (tmp_path / "a" / (schema.DECISIONS + end)).unlink(missing_ok=True)
    until_sync(lambda: recovered(store))
    assert ids(store) == [1]


def test_a_log_that_is_removed_under_a_running_store_is_noticed_before_the_next_commit(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    store.record(decision(1))
    assert keeper.confirm(store) is None
    for end in ("-wal", "-shm"):
        (tmp_path / (schema.DECISIONS + end)).unlink()
    store.record(decision(2))
    assert keeper.confirm(store) is not None, "it would have been written where nobody finds it"
    until_sync(lambda: store.kept(2).recorded, 20)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob(f"{schema.DECISIONS}*"):
        shutil.copy(path, copy)
    assert ids(keeper.open(copy)) == [2, 1]


def test_a_file_that_is_no_database_any_more_is_set_aside_and_said(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    store.record(decision(1))
    keeper.flush(store)
    store.close()
    (tmp_path / schema.DECISIONS).write_bytes(b"rubbish" * 1000)
    again = keeper.open(tmp_path)
    assert again.health().state == "ok"
    assert again.restored.next_id == 2, "numbers go on from what the readings know"
    assert again.restored.loss == Loss(1, 1, keeper.now.wall_ns)
    [aside] = tmp_path.glob("decisions.sqlite3.broken-*")
    assert aside.read_bytes() == b"rubbish" * 1000
    again.record(decision(2))
    assert keeper.confirm(again) is None


def test_a_file_that_breaks_again_is_set_aside_again_but_not_for_ever(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for number in range(1, REPLACED_MOST + 1):
        store.record(decision(10 * number))
        until_sync(lambda number=number: store.kept(10 * number).recorded)
        rubbish(tmp_path)
        store.record(decision(10 * number + 1))
        until_sync(lambda number=number: store.kept(10 * number + 1).recorded, 20)
        assert len(list(tmp_path.glob("decisions.sqlite3.broken-*"))) == number
    rubbish(tmp_path)
    store.record(decision(500))
    assert keeper.confirm(store) is not None
    assert store.health().state == "degraded"
    assert len(list(tmp_path.glob("decisions.sqlite3.broken-*"))) == REPLACED_MOST


def rubbish(folder: Path) -> None:
    """Put something in the file's place that is no database."""
    path = folder / schema.DECISIONS
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    (folder / "rubbish").write_bytes(b"rubbish!" * 1000)
    (folder / "rubbish").replace(path)


def test_another_process_that_keeps_the_file_locked_is_waited_for(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    intruder = sqlite3.connect(tmp_path / schema.DECISIONS, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    store.record(decision(1))
    assert keeper.confirm(store) is not None
    assert "locked" in store.health().reason
    intruder.execute("ROLLBACK")
    intruder.close()
    until_sync(lambda: recovered(store))
    assert ids(store) == [1]


def committed(folder: Path, keeper: Keeper, count: int) -> None:
    store = keeper.open(folder)
    for number in range(1, count + 1):
        store.record(decision(number))
    assert keeper.flush(store) is None
    assert store.queries.verify() is None
    store.close()


def test_an_altered_row_and_a_removed_one_are_found(tmp_path: Path, keeper: Keeper) -> None:
    committed(tmp_path, keeper, 20)
    with sqlite3.connect(tmp_path / schema.DECISIONS) as raw:
        raw.execute("UPDATE decisions SET count = 9, last_wall = 5 WHERE id = 3")
        raw.commit()
        assert Queries(tmp_path).verify() is None, "the count lies outside the chain"
        raw.execute("UPDATE decisions SET action = 'off' WHERE id = 7")
        raw.commit()
        assert Queries(tmp_path).verify() == 7
        raw.execute("UPDATE decisions SET action = 'high' WHERE id = 7")
        raw.execute("DELETE FROM decisions WHERE id = 12")
        raw.commit()
        assert Queries(tmp_path).verify() == 13
    raw.close()


def test_the_loss_of_the_newest_rows_with_their_log_is_found_and_their_numbers_are_not_given_out_again(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path / "live")
    for number in range(1, 11):
        store.record(decision(number))
    assert keeper.flush(store) is None
    # As after a loss of power on a disk that lied: the file is there, its log is not.
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "live", copy)
    assert (copy / f"{schema.DECISIONS}-wal").stat().st_size > 0
    for end in ("-wal", "-shm"):
        (copy / (schema.DECISIONS + end)).unlink()
    again = keeper.open(copy)
    assert (again.restored.loss.first, again.restored.loss.last) == (1, 10)
    assert again.restored.next_id == 11
    assert again.queries.verify() == 10
    keeper.flush(again)
    assert [row.value for row in again.queries.events() if row.metric == "history"] == [
        "decisions 1 to 10 were committed and lost"
    ]
