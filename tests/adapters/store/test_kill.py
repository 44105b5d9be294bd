"""kill -9 at any time, and a disk that refuses to sync: what was acknowledged is there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.adapters.store import lock, schema
from appliance.errors import ConfigError
from tests.adapters.conftest import ROOT
from tests.adapters.store.conftest import Disk, Keeper, decision
from tests.adapters.store.kills import child, killed, lost, remembered


def test_fifty_kills_lose_no_acknowledged_decision_and_no_memory(tmp_path: Path, keeper: Keeper) -> None:
    acknowledged = killed(tmp_path, 50)
    store = keeper.open(tmp_path)
    assert len(acknowledged) >= 50
    assert lost(store, acknowledged) == []
    assert len(acknowledged) == len(set(acknowledged)), "a number was given out twice"
    assert store.queries.verify() is None
    assert store.restored.loss is None
    assert remembered(store, acknowledged)


@pytest.mark.parametrize(
    ("calls", "fault"),
    [
        ("fdatasync,fsync", "error=EIO:when=5+9"),
        ("fdatasync,fsync", "error=EIO:when=6+4"),
        ("pwrite64", "error=EIO:when=30+150"),
        ("pwrite64", "error=ENOSPC:when=30+150"),
    ],
    ids=["sync", "sync often", "write", "no room"],
)
def test_a_call_that_the_disk_refuses_acknowledges_nothing_and_what_came_back_is_recorded_once(
    calls: str, fault: str, tmp_path: Path, keeper: Keeper
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    state = tmp_path / "state"
    keeper.open(state).close()
    log = tmp_path / "strace"
    process = child(
        state,
        60,
        (strace, "-f", "-qq", "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"),
    )
    said = process.stdout.read()
    process.stdout.close()
    process.wait()
    assert log.read_text().count("INJECTED") >= 1, "nothing failed: the test shows nothing"
    acknowledged = [int(line) for line in said.split()]
    store = keeper.open(state)
    assert [number for number in acknowledged if store.queries.decision(number) is None] == []
    assert acknowledged == list(range(1, 61))
    assert [kept.decision.id for kept in store.queries.decisions(limit=500)] == list(range(60, 0, -1))
    assert store.queries.verify() is None
    assert store.restored.loss is None
    assert (state / "high-water").read_bytes().count(b"60 ") == 1


@pytest.mark.parametrize("times", ["1", "1..2"])
def test_a_disk_that_fails_for_a_moment_at_the_start_costs_neither_memory_nor_numbers(
    times: str, tmp_path: Path, keeper: Keeper
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    state = tmp_path / "state"
    first = keeper.open(state)
    first.record(decision(1))
    assert keeper.confirm(first) is None
    first.close()
    log = tmp_path / "strace"
    fault = (strace, "-f", "-qq", "-o", str(log), "-P", str(state / schema.DECISIONS), "-e", "trace=openat")
    process = child(state, 3, (*fault, "-e", f"inject=openat:error=EIO:when={times}"))
    said = process.stdout.read()
    process.stdout.close()
    process.wait()
    assert "INJECTED" in log.read_text(), "nothing failed: the test shows nothing"
    assert [int(line) for line in said.split()] == [2, 3, 4]
    assert keeper.open(state).queries.verify() is None


LOCKER = "import sys\nfrom pathlib import Path\nfrom appliance.adapters.store import lock\nlock(Path(sys.argv[1]))\nprint('held', flush=True)\nsys.stdin.read()"


def test_a_folder_has_one_daemon_and_is_free_when_that_is_killed(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError) as refused:
            lock(tmp_path)
        assert f"process {other.pid}" in refused.value.message
        assert str(tmp_path) in refused.value.message
        other.kill()
    os.close(lock(tmp_path))


def test_a_read_only_disk_is_kept_for_one_daemon_too(disk: Disk) -> None:
    disk.read_only(on=True)
    held = lock(disk.path)
    with pytest.raises(ConfigError, match="another daemon"):
        lock(disk.path)
    os.close(held)
    os.close(lock(disk.path))


def test_a_full_disk_does_not_keep_the_folder_from_being_locked(disk: Disk) -> None:
    disk.fill()
    held = lock(disk.path)
    with pytest.raises(ConfigError, match="another daemon"):
        lock(disk.path)
    os.close(held)


def test_a_folder_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="file"):
        lock(tmp_path / "file" / "state")
