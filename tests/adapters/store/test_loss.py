"""Every loss of what was committed is noticed, stays known, and what goes on after it counts from beyond it."""

import math
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from appliance.adapters.store import Queries, Store, inspection, schema
from appliance.adapters.store.chain import walk
from appliance.adapters.store.highwater import NAME, SLOT, SYNC_MOST, Head, HighWater
from tests.adapters.conftest import until_sync
from tests.adapters.store.conftest import Disk, Keeper, decision

FILE = schema.DECISIONS


def acknowledged(store: Store, keeper: Keeper, *numbers: int) -> None:
    """Commit decisions one by one; the readings file, which knows the last one as of its batch, is not written."""
    for number in numbers:
        store.record(decision(number))
        assert keeper.confirm(store) is None


def old_copy(folder: Path) -> None:
    shutil.copytree(folder, folder / "old", ignore=shutil.ignore_patterns("old", "*-wal", "*-shm"))


def restore_old(folder: Path) -> None:
    shutil.copy(folder / "old" / FILE, folder / FILE)
    without_log(folder)


def without_log(folder: Path) -> None:
    for end in ("-wal", "-shm"):
        (folder / (FILE + end)).unlink(missing_ok=True)


def cut_short(folder: Path) -> None:
    without_log(folder)
    os.truncate(folder / FILE, 4096 * 4)


def emptied(folder: Path) -> None:
    without_log(folder)
    os.truncate(folder / FILE, 0)


def removed(folder: Path) -> None:
    without_log(folder)
    (folder / FILE).unlink()


def pages_lost(folder: Path) -> None:
    """As after the loss of power: some of what was written last became zeros."""
    without_log(folder)
    size = (folder / FILE).stat().st_size
    with (folder / FILE).open("r+b") as file:
        file.seek(size // 8192 * 4096)
        file.write(b"\0" * (size - size // 8192 * 4096))


def log_cut(folder: Path) -> None:
    log = folder / (FILE + "-wal")
    os.truncate(log, log.stat().st_size // 2)


def log_damaged(folder: Path) -> None:
    log = folder / (FILE + "-wal")
    with log.open("r+b") as file:
        file.seek(log.stat().st_size // 2)
        file.write(os.urandom(64))


@pytest.mark.parametrize(
    "lose", [restore_old, cut_short, emptied, removed, pages_lost, without_log, log_cut, log_damaged]
)
def test_what_was_acknowledged_and_is_gone_is_noticed_and_stays_known(
    lose, tmp_path: Path, keeper: Keeper
) -> None:
    live, folder = tmp_path / "live", tmp_path / "copy"
    first = keeper.open(live)
    acknowledged(first, keeper, *range(1, 11))
    first.close()
    store = keeper.open(live)
    old_copy(live)
    acknowledged(store, keeper, *range(11, 41))
    # As it is on the disk while the daemon lives: the newest are in the log alone.
    shutil.copytree(live, folder)
    lose(folder)
    again = keeper.open(folder)
    loss = again.restored.loss
    assert loss is not None, "the loss is not noticed"
    assert loss.last == 40
    left = [kept.decision.id for kept in again.queries.decisions(limit=500)]
    assert left == list(range(loss.first - 1, 0, -1)), "it is not said exactly what is lost"
    assert again.restored.next_id == 41
    assert "lost" in again.health().history[0]
    acknowledged(again, keeper, 41)
    again.close()
    later = keeper.open(folder)
    assert later.restored.loss is None, "it is noticed a second time"
    assert [(told.first, told.last) for told in later.queries.losses()] == [(loss.first, 40)]
    assert str(loss) in later.health().history[0]
    assert later.queries.verify() is None
    keeper.now = keeper.now.plus(8 * 86_400 * 10**9)
    assert later.health().history == (), "it is said for ever"


def test_a_whole_history_is_never_called_lost(tmp_path: Path, keeper: Keeper) -> None:
    for start in range(1, 30, 3):
        store = keeper.open(tmp_path)
        assert store.restored.loss is None
        assert store.health().history == ()
        acknowledged(store, keeper, start, start + 1, start + 2)
        store.close()
    assert Queries(tmp_path).cut_off() is None


def test_a_mark_that_is_torn_in_writing_leaves_the_one_before(tmp_path: Path) -> None:
    mark = HighWater(tmp_path)
    for number in range(1, 8):
        mark.rise(Head(number, bytes([number]) * 32))
        whole = (tmp_path / NAME).read_bytes()
        for slot in (0, SLOT):
            torn = bytearray(whole)
            torn[slot + 30 : slot + 512] = b"\0" * 482
            (tmp_path / NAME).write_bytes(torn)
            found = HighWater(tmp_path).read()
            assert found in {
                Head(number, bytes([number]) * 32),
                Head(number - 1, bytes([number - 1]) * 32),
            } or (number == 1 and found is None)
        (tmp_path / NAME).write_bytes(whole)
        assert HighWater(tmp_path).read() == Head(number, bytes([number]) * 32)
        mark.sync()


def test_marks_that_share_a_sync_are_all_written_over_the_same_slot(tmp_path: Path) -> None:
    mark = HighWater(tmp_path)
    mark.rise(Head(1, bytes(32)))
    synced = (tmp_path / NAME).read_bytes()
    for number in range(2, 2 + SYNC_MOST):
        mark.rise(Head(number, bytes(32)))
        assert HighWater(tmp_path).read().id == number
        if number < 1 + SYNC_MOST:
            assert (tmp_path / NAME).read_bytes()[:SLOT] == synced[:SLOT], "this one is on the disk"
            assert mark.due < math.inf
    assert mark.due == math.inf, "so many are synced at once"
    mark.rise(Head(99, bytes(32)))
    assert (tmp_path / NAME).read_bytes()[:SLOT] != synced[:SLOT]


def test_a_mark_that_can_not_be_written_is_said_and_keeps_nothing_from_being_recorded(
    tmp_path: Path, keeper: Keeper
) -> None:
    (tmp_path / NAME).mkdir()
    store = keeper.open(tmp_path)
    acknowledged(store, keeper, 1)
    assert NAME in store.health().reason
    (tmp_path / NAME).rmdir()
    acknowledged(store, keeper, 2)
    assert store.health().state == "ok"
    assert HighWater(tmp_path).read().id == 2


def test_an_altered_and_a_missing_row_are_found_in_the_background(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    acknowledged(store, keeper, *range(1, 31))
    store.close()
    with sqlite3.connect(tmp_path / FILE) as raw:
        raw.execute("UPDATE decisions SET action = 'off' WHERE id = 7")
        raw.execute("DELETE FROM decisions WHERE id BETWEEN 12 AND 14")
    raw.close()
    again = Store(tmp_path, lambda: keeper.now, batch_s=3600.0, check_after_s=0.0)
    again.start()
    keeper.stores.append(again)
    until_sync(lambda: again.health().history != ())
    assert again.health().history == (
        "decision 7 is not what was committed",
        "decisions 12 to 14 are missing",
    )
    assert again.checked() is None


def test_a_whole_chain_is_said_to_be_whole(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    acknowledged(store, keeper, *range(1, 31))
    again = Store(tmp_path, lambda: keeper.now, check_after_s=0.0)
    again._watch.start()
    until_sync(lambda: again.checked() == 30)


def test_rows_that_are_forgotten_while_the_chain_is_walked_are_no_fault(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    for number in range(1, 301):
        store.record(decision(number))
    assert keeper.confirm(store) is None
    raw = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    until = iter((150, 250))

    def forget() -> bool:
        last = next(until, 0)
        raw.execute("BEGIN")
        raw.execute(
            "INSERT OR REPLACE INTO anchors SELECT 1, id, digest FROM decisions WHERE id = ?", (last,)
        )
        raw.execute("DELETE FROM decisions WHERE id <= ?", (last,))
        raw.execute("COMMIT")
        return True

    found = walk(tmp_path, forget)
    raw.close()
    assert (found.last, found.faults) == (300, ())


def test_the_oldest_rows_that_are_gone_without_having_been_forgotten_are_missed(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    acknowledged(store, keeper, *range(1, 11))
    with sqlite3.connect(tmp_path / FILE) as raw:
        raw.execute("DELETE FROM decisions WHERE id <= 4")
    raw.close()
    assert [str(fault) for fault in walk(tmp_path).faults] == ["decisions 1 to 4 are missing"]


@pytest.mark.parametrize("seed", range(20))
def test_one_byte_that_changed_in_a_row_is_found(seed: int, tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    acknowledged(store, keeper, *range(1, 6))
    store.close()
    data = bytearray((tmp_path / FILE).read_bytes())
    # The reason's words, of which each row has one copy in its detail.
    places = [at for at in range(len(data)) if data[at : at + 4] == b"38.2"]
    place = places[seed % len(places)]
    data[place + seed % 4] ^= 1
    (tmp_path / FILE).write_bytes(data)
    assert inspection.complaints(tmp_path, FILE, 10) == [], "SQLite would have told by itself"
    assert walk(tmp_path).faults != ()


def test_a_disk_that_somebody_fills_takes_decisions_still(disk: Disk, keeper: Keeper) -> None:
    store = keeper.open(disk.path)
    assert keeper.flush(store) is None
    assert inspection.disk(disk.path).held
    disk.fill()
    for number in range(1, 200):
        store.record(decision(number))
        until_sync(lambda number=number: store.kept(number).recorded)
    assert "nearly full" in store.health().reason
    assert not inspection.disk(disk.path).held
    disk.free()
    until_sync(lambda: store.health().state == "ok")
    assert inspection.disk(disk.path).held, "the next time there is no reserve"
    assert store.queries.verify() is None


def test_a_disk_that_is_full_at_the_start_is_opened_with_what_was_in_reserve(
    disk: Disk, keeper: Keeper
) -> None:
    earlier = keeper.open(disk.path)
    assert keeper.flush(earlier) is None
    acknowledged(earlier, keeper, 1)
    earlier.close()
    disk.fill()
    store = keeper.open(disk.path)
    assert store.restored.next_id == 2
    store.record(decision(2))
    until_sync(lambda: store.kept(2).recorded)
    assert store.health().state == "degraded"


def test_broken_files_are_set_aside_and_do_not_pile_up(tmp_path: Path, keeper: Keeper) -> None:
    for turn in range(6):
        for name in (schema.DECISIONS, schema.READINGS):
            (tmp_path / name).write_bytes(b"rubbish" * (1000 + turn))
        store = keeper.open(tmp_path)
        assert store.health().state == "ok", "control has no store"
        assert [said for said in store.health().history if "was broken" in said] != []
        acknowledged(store, keeper, store.restored.next_id)
        store.close()
        keeper.now = keeper.now.plus(60 * 10**9)
    aside = inspection.set_aside(tmp_path)
    assert len(aside) == 2 * schema.ASIDE_KEPT
    assert all("broken-20260101T00" in name for name in aside)
    assert (tmp_path / aside[-1]).stat().st_size == 7 * 1005, "the newest is not kept"


def test_a_page_that_broke_inside_the_file_costs_the_file_and_not_the_store(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    acknowledged(store, keeper, *range(1, 201))
    store.close()
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom((tmp_path / FILE).stat().st_size - 8192))
    again = keeper.open(tmp_path)
    assert again.health().state == "ok"
    assert again.restored.next_id == 201
    assert (again.restored.loss.first, again.restored.loss.last) == (1, 200)
    acknowledged(again, keeper, 201)
