"""Cached answers: fresh ones, no more than asked for, and a file that may be broken, full, foreign or gone at any time."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from appliance.adapters.edge import cache as module
from appliance.adapters.edge.cache import Cache
from appliance.adapters.edge.entries import WAITING, Entries, Tally

ROOT = Path(__file__).parents[3]
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
NOW = 1_800_000_000 * SECOND
SAID = (0.25, 0.75)


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def opened(path: Path, most: int = 1000) -> Entries:
    return Entries(path, most, 30 * DAY, 600 * SECOND)


def test_what_was_kept_is_found_again_after_a_restart_bit_for_bit(tmp_path: Path) -> None:
    one = opened(tmp_path / "edge.sqlite3")
    draw = random.Random(1)
    said = {}
    for number in range(500):
        share = draw.random()
        one.put(key(number), (share, 1 - share), NOW)
        said[number] = one.look(key(number), NOW).said
        assert said[number] == pytest.approx((share, 1 - share), abs=1e-7)
    one.close()
    again = opened(tmp_path / "edge.sqlite3")
    assert {number: again.look(key(number), NOW).said for number in range(500)} == said
    assert again.look(key(500), NOW).kind == "miss"
    assert (tmp_path / "edge.sqlite3").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("on_disk", [False, True], ids=["waiting", "on disk"])
def test_an_answer_grows_stale_and_a_negative_one_soon(tmp_path: Path, on_disk: bool) -> None:
    one = opened(tmp_path / "edge.sqlite3")
    one.put(key(1), SAID, NOW)
    one.put(key(2), (), NOW)
    if on_disk:
        one.write()
    assert one.look(key(1), NOW + 30 * DAY - 1).kind == "hit"
    assert one.look(key(1), NOW + 30 * DAY).kind == "stale"
    assert one.look(key(2), NOW + 599 * SECOND).kind == "negative"
    assert one.look(key(2), NOW + 600 * SECOND).kind == "stale"
    # The clock was set back by a week: of an answer of the future nobody knows the age.
    assert one.look(key(1), NOW - 7 * DAY).kind == "stale"


def test_a_stale_answer_is_replaced_by_the_next_one(tmp_path: Path) -> None:
    one = opened(tmp_path / "edge.sqlite3")
    one.put(key(1), SAID, NOW)
    one.write()
    one.put(key(1), (0.5, 0.5), NOW + 40 * DAY)
    one.write()
    assert one.look(key(1), NOW + 41 * DAY).said == (0.5, 0.5)
    assert len(one) == 1


def test_the_least_recently_used_leave_and_there_are_never_more_than_asked_for(tmp_path: Path) -> None:
    one = opened(tmp_path / "edge.sqlite3", most=300)
    for number in range(300):
        one.put(key(number), SAID, NOW + number * SECOND)
    one.write()
    later = NOW + DAY
    for number in range(50):  # the oldest are used once more
        assert one.look(key(number), later).kind == "hit"
    for number in range(1000, 1200):
        one.put(key(number), SAID, later + number * SECOND)
    one.write()
    assert len(one) == 300
    kept = [number for number in range(300) if one.look(key(number), later).kind == "hit"]
    assert kept == [*range(50), *range(250, 300)]
    rows = sqlite3.connect(f"file:{tmp_path}/edge.sqlite3?mode=ro&immutable=1", uri=True)
    assert rows.execute("SELECT count(*) FROM entries").fetchone() == (300,)


def test_nothing_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    one = opened(tmp_path / "edge.sqlite3", most=0)
    one.put(key(1), SAID, NOW)
    assert one.look(key(1), NOW).kind == "miss"
    one.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_a_file_that_is_none_of_ours_is_thrown_away(tmp_path: Path, size: int) -> None:
    path = tmp_path / "edge.sqlite3"
    path.write_bytes(random.Random(size).randbytes(size))
    one = opened(path)
    one.put(key(1), SAID, NOW)
    one.write()
    assert one.reason is None
    assert opened_again(one, path).look(key(1), NOW).kind == "hit"


def opened_again(one: Entries, path: Path) -> Entries:
    one.close()
    return opened(path)


def test_a_database_of_somebody_else_or_of_another_release_is_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "edge.sqlite3"
    other = sqlite3.connect(path)
    other.executescript(
        "CREATE TABLE entries (anything); INSERT INTO entries VALUES (1); PRAGMA user_version = 7;"
    )
    other.close()
    one = opened(path)
    one.put(key(1), SAID, NOW)
    one.write()
    assert opened_again(one, path).look(key(1), NOW).kind == "hit"


def test_flipped_bytes_anywhere_give_the_right_answer_or_none(tmp_path: Path) -> None:
    """A disk that was not synced may leave anything: never a wrong answer, never an error."""
    path = tmp_path / "edge.sqlite3"
    one = opened(path)
    for number in range(400):
        one.put(key(number), (number / 400, 1 - number / 400), NOW)
    right = {number: one.look(key(number), NOW).said for number in range(400)}
    one.close()
    whole = path.read_bytes()
    draw = random.Random(5)
    found = lost = 0
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(draw.choice([1, 3, 30])):
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        path.write_bytes(broken)
        one = opened(path)
        for number in draw.sample(range(400), 40):
            answer = one.look(key(number), NOW)
            if answer.kind == "hit":
                assert answer.said == right[number]
                found += 1
            else:
                lost += 1
        one.put(key(9999), SAID, NOW)
        assert one.look(key(9999), NOW).kind == "hit"
        one.close()
    assert found > 0
    assert lost > 0


def test_a_file_cut_short_under_a_running_daemon_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "edge.sqlite3"
    one = opened(path)
    for number in range(WAITING * 8):
        one.put(key(number), SAID, NOW)
    os.truncate(path, 4096 + 100)
    for number in range(WAITING * 8):
        one.look(key(number), NOW)
    for number in range(WAITING * 3):
        one.put(key(number), SAID, NOW + SECOND)
    one.write()
    assert one.look(key(1), NOW).kind == "hit"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write into a folder that is read-only")
def test_a_read_only_folder_means_the_newest_in_memory_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        without_a_file(opened(tmp_path / "edge.sqlite3"))
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_can_not_be_made_means_the_newest_in_memory_alone(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="ascii")
    without_a_file(opened(tmp_path / "state" / "edge.sqlite3"))


def test_a_full_disk_means_the_newest_in_memory_alone(tmp_path: Path) -> None:
    """The disk is filled up by SQLite's own limit, which fails as a full disk does."""
    one = opened(tmp_path / "edge.sqlite3", most=100_000)
    one.put(key(0), SAID, NOW)
    one.write()
    connection = one._file.use()
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 8")
    without_a_file(one)


def without_a_file(one: Entries) -> None:
    for number in range(10_000):
        one.put(key(number), SAID, NOW)
    assert one.reason is not None
    assert len(one) <= WAITING
    assert one.look(key(9_999), NOW).kind == "hit"
    assert one.look(key(0), NOW).kind == "miss"
    one.close()


def test_what_asking_again_has_shown_survives(tmp_path: Path) -> None:
    one = opened(tmp_path / "edge.sqlite3")
    one.keep("presence-teacher 3", Tally(2, True, 40, 9))
    assert opened_again(one, tmp_path / "edge.sqlite3").tallies() == {
        "presence-teacher 3": Tally(2, True, 40, 9)
    }


KILLED = """
import sys
from pathlib import Path
from appliance.adapters.edge.entries import Entries
one = Entries(Path(sys.argv[1]), 5000, 10**18, 10**18)
print(one.look((0).to_bytes(16, "big"), 5).kind, flush=True)
number = 0
while True:
    share = number % 1000 / 1000
    one.put((number % 7000).to_bytes(16, "big"), (share, 1 - share), 5)
    number += 1
"""


def test_a_kill_at_any_moment_leaves_a_file_that_is_used_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "edge.sqlite3"
    draw = random.Random(2)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0.02, 0.3))
            process.send_signal(signal.SIGKILL)
        one = opened(path, 5000)
        one.tallies()
        assert len(one) > 0
        assert one.reason is None
        one.close()
    assert "was broken" not in caplog.text


# ------------------------------------------------------------ from the loop


async def test_the_loop_asks_and_what_waits_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "edge.sqlite3"
    one = Cache(path, 100, 30, lambda: NOW)
    one.start()
    assert (await one.look(key(1))).kind == "miss"
    one.put(key(1), SAID)
    one.keep("x", Tally(1))
    assert (await one.look(key(1))).said == SAID
    await one.close()
    assert not any(thread.name == "edge-cache" for thread in threading.enumerate())
    assert (await one.look(key(1))).kind == "miss"
    again = Cache(path, 100, 30, lambda: NOW)
    again.start()
    assert await again.tallies() == {"x": Tally(1)}
    assert (await again.look(key(1))).said == SAID
    await again.close()


async def test_a_disk_that_stands_still_holds_up_nobody_and_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.1)
    one = Cache(tmp_path / "edge.sqlite3", 100, 30, lambda: NOW)
    one.start()
    stuck = threading.Event()

    def read() -> None:  # as from a dead card: it comes back some day
        stuck.wait()

    one._do(read)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await one.look(key(1))).kind == "miss"
    assert loop.time() - began < 1.0
    for number in range(10_000):
        one.put(key(number), SAID)
    assert one._tasks.qsize() <= module.MOST_UNDER_WAY
    assert one.state().slow > 9000
    began = loop.time()
    await one.close()
    assert loop.time() - began < 1.0
    stuck.set()
