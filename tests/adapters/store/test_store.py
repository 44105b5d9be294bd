"""The store on real files: what must not be lost, what must be noticed, what must not wait."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from appliance.adapters.store import Limits, Store, lock, queries
from appliance.adapters.store.retention import thin
from appliance.adapters.store.schema import open_for_writing
from appliance.core.arbitration import Authority, Voice
from appliance.core.clock import SECOND, Instant
from appliance.core.events import Decision, Input, Memory, Override
from appliance.core.readings import Quality, Reading
from appliance.errors import ConfigError, StoreError
from tests.adapters.conftest import ROOT, until_sync

BOOT = "boot-1"


def at(seconds: float, boot: str = BOOT) -> Instant:
    return Instant(boot, round(seconds * SECOND), round((1_767_225_600 + seconds) * SECOND))


def made(number: int, appliance: str = "fan", action: str = "high") -> Decision:
    voices = (Voice("rule x", Authority.RULE, "low", "high", "because"),)
    inputs = (Input("pm2_5", 12.5, "µg/m³", 1.0, "good"),)
    return Decision(number, at(number), appliance, action, "because", Authority.RULE, "rule x", voices, inputs, True)


def opened(folder, **options) -> Store:
    store = Store(folder, lambda: at(time.monotonic()), **options)
    store.restored = store.start()
    return store


def settled(store: Store) -> None:
    """Wait until everything handed in is dealt with."""
    told = []
    store.confirm(told.append)
    until_sync(lambda: told)


def test_a_decision_comes_back_as_it_was_with_its_count(tmp_path) -> None:
    store = opened(tmp_path)
    store.record(made(1))
    store.repeat(1, at(5))
    store.repeat(1, at(9))
    settled(store)
    store.close()
    again = opened(tmp_path)
    kept = again.queries.decision(1)
    assert kept.decision == made(1)
    assert (kept.count, kept.last_at, kept.recorded) == (3, at(9), True)
    assert again.restored.next_id == 2
    assert again.restored.last["fan"].decision == made(1)
    again.close()


def test_a_memory_comes_back_as_it_was(tmp_path) -> None:
    memory = Memory(
        override=Override("off", "device", at(1), at(3601)), commanded="off", commanded_at=at(1), switches=(at(1), at(2)), true_since={"a#1": at(2)}
    )
    store = opened(tmp_path)
    store.remember("fan", Memory())
    store.remember("fan", memory)
    store.close()
    again = opened(tmp_path)
    assert again.restored.memories == {"fan": memory}
    again.close()


CHILD = """
import sys, threading
sys.path.insert(0, '.')
from pathlib import Path
from tests.adapters.store.test_store import made, opened
store = opened(Path(sys.argv[1]))
number = store.restored.next_id
while True:
    done = threading.Event()
    store.record(made(number))
    store.confirm(lambda error: done.set() if error is None else None)
    done.wait()
    print(number, flush=True)
    number += 1
"""


def test_fifty_kills_lose_no_acknowledged_decision(tmp_path) -> None:
    acknowledged: list[int] = []
    for _ in range(50):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
        acknowledged.append(int(child.stdout.readline()))
        time.sleep(random.uniform(0, 0.05))  # the moment of the kill is the thing that varies
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout.read().split(b"\n")[:-1]]
        child.wait()
    store = opened(tmp_path)
    for number in acknowledged:
        assert store.queries.decision(number) is not None
    assert store.queries.verify() is None
    assert len(acknowledged) >= 50
    store.close()


def test_an_altered_decision_is_found(tmp_path) -> None:
    store = opened(tmp_path)
    for number in range(1, 21):
        store.record(made(number))
    settled(store)
    assert store.queries.verify() is None
    store.close()
    raw = sqlite3.connect(tmp_path / "decisions.sqlite3")
    raw.execute("UPDATE decisions SET action = 'off' WHERE id = 7")
    raw.commit()
    assert queries.Queries(tmp_path).verify() == 7
    raw.execute("UPDATE decisions SET action = 'high' WHERE id = 7")
    raw.execute("DELETE FROM decisions WHERE id = 12")
    raw.commit()
    assert queries.Queries(tmp_path).verify() == 13


def test_a_folder_has_one_daemon(tmp_path) -> None:
    held = lock(tmp_path)
    code = f"import sys\nsys.path.insert(0, '.')\nfrom pathlib import Path\nfrom appliance.adapters.store import lock\nlock(Path({str(tmp_path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert other.returncode != 0
    assert f"process {os.getpid()}" in other.stderr
    os.close(held)
    os.close(lock(tmp_path))


def test_paging_is_stable_while_decisions_come_in(tmp_path) -> None:
    store = opened(tmp_path)
    for number in range(1, 31):
        store.record(made(number, "fan" if number % 2 else "heater"))
    settled(store)
    first = store.queries.decisions(limit=10)
    store.record(made(31))
    settled(store)
    second = store.queries.decisions(before_id=first[-1].decision.id, limit=10)
    assert [kept.decision.id for kept in first + second] == list(range(30, 10, -1))
    assert {kept.decision.appliance for kept in store.queries.decisions(appliance="heater")} == {"heater"}
    assert store.queries.decisions(action="off") == []
    assert [kept.decision.id for kept in store.queries.decisions(since_ns=at(5).wall_ns, until_ns=at(7).wall_ns)] == [6, 5]
    store.close()


def heard(store: Store, seconds: float, value, metric: str = "pm2_5", quality: Quality = Quality.GOOD) -> None:
    store.reading(Reading("zigbee2mqtt/air", metric, value, "µg/m³"), quality, None, retained=False, at=at(seconds))


def test_readings_are_binned_and_bad_ones_have_no_value(tmp_path) -> None:
    store = opened(tmp_path)
    for second in range(100):
        heard(store, second, float(second))
    heard(store, 100, 9999.0, quality=Quality.BAD)
    heard(store, 101, "on", metric="fan_state")
    store.flush()
    settled(store)
    points = store.queries.readings("zigbee2mqtt/air", "pm2_5", at(0).wall_ns, at(110).wall_ns, 11)
    assert [point.value for point in points[:10]] == [4.5 + 10 * number for number in range(10)]
    assert (points[0].low, points[0].high) == (0.0, 9.0)
    assert (points[10].value, points[10].quality) == (None, 2)
    assert store.queries.readings("zigbee2mqtt/air", "fan_state", at(0).wall_ns, at(110).wall_ns, 1)[0].value == "on"
    assert store.queries.readings("nobody", "pm2_5", 0, 1, 1) == []
    assert len(store.queries.raw()) == 102
    store.close()


def test_a_question_that_takes_too_long_is_ended(tmp_path, monkeypatch) -> None:
    store = opened(tmp_path)
    for second in range(20_000):
        heard(store, second / 100, 1.0)
    store.flush()
    settled(store)
    monkeypatch.setattr(queries, "STEPS", 100)
    slow = queries.Queries(tmp_path)
    with pytest.raises(StoreError, match="longer"), slow._reading("readings.sqlite3", longest_s=0.0) as connection:
        connection.execute("SELECT COUNT(*) FROM readings a, readings b").fetchone()
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_a_full_disk_stops_nobody_and_loses_no_decision(tmp_path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    try:
        store = opened(disk)
        store.record(made(1))
        settled(store)
        filler = disk / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(b"x" * 4096)
                    file.flush()
            except OSError:
                pass
        for number in range(2, 400):
            store.record(made(number))
        until_sync(lambda: store.health().reason is not None)
        assert len(store.ring()) == 399
        filler.unlink()
        until_sync(lambda: store.health().waiting == 0 and store.health().reason is None, 20)
        settled(store)
        assert [kept.decision.id for kept in store.queries.decisions(limit=500)] == list(range(399, 0, -1))
        assert store.queries.verify() is None
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_is_removed_is_noticed_and_written_anew(tmp_path) -> None:
    folder = tmp_path / "state"
    store = opened(folder)
    store.record(made(1))
    settled(store)
    shutil.rmtree(folder)
    store.record(made(2))
    until_sync(lambda: store.health().reason is not None)
    until_sync(lambda: store.health().reason is None, 20)
    settled(store)
    assert store.queries.decision(2).decision == made(2)
    store.close()


def test_a_start_without_a_disk_gives_numbers_that_collide_with_nothing(tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = opened(tmp_path / "file" / "state")
    assert store.health().reason is not None
    assert store.restored.next_id > 10**12
    store.record(made(store.restored.next_id))
    assert len(store.ring()) == 1
    store.close()


def test_retention_forgets_by_age_and_size_and_keeps_the_newest(tmp_path) -> None:
    store = opened(tmp_path)
    day = 86_400
    for number in range(1, 11):
        store.record(Decision(number, at(number * day), "fan", "high", "", Authority.RULE, "r", (), (), False))
    settled(store)
    for start in (0, 50 * day, 99 * day):
        for second in range(1000):
            heard(store, start + second, 1.5)
        store.flush()
        settled(store)
    store.close()
    decisions, readings = (open_for_writing(tmp_path / name, "NORMAL") for name in ("decisions.sqlite3", "readings.sqlite3"))
    thin(decisions, readings, Limits(decisions_days=5, readings_days=60), at(100 * day).wall_ns)
    assert decisions.execute("SELECT id FROM decisions").fetchall() == [(10,)]
    assert readings.execute("SELECT COUNT(*) FROM readings").fetchone()[0] == 2000
    thin(decisions, readings, Limits(max_mb=0), at(100 * day).wall_ns)
    assert readings.execute("SELECT COUNT(*) FROM readings").fetchone()[0] == 0


def test_a_snapshot_and_what_came_after_it_give_the_same_senses(tmp_path) -> None:
    from appliance.core.restoring import pack, rehear, unpack
    from tests.core.home import PROFILE, RULE, House

    house = House(PROFILE + RULE)
    store = opened(tmp_path)
    for second in range(0, 600, 7):
        house.say(second + 1, "air", pm25=20 + second % 13)
    store.snapshot(pack(house.controller.state), house.start.plus(600 * SECOND))
    store.flush()
    settled(store)
    later = []
    for second in range(600, 900, 7):
        house.say(second + 1, "air", pm25=25 + second % 11)
        reading = Reading("zigbee2mqtt/air", "pm2_5", 25 + second % 11, "µg/m³")
        later.append((reading, house.start.plus((second + 1) * SECOND), False))
    blob, _, _ = store.queries.snapshot()
    fresh = house.home.at_start({}, house.start)
    back = rehear(unpack(blob, fresh), house.home.routes, later)
    assert back.appliances["fan"].senses["pm2_5"] == house.controller.state.appliances["fan"].senses["pm2_5"]
    store.close()
