"""`appliance doctor`: says ok of a sound home, and each thing that is wrong, with what to do; also while the daemon runs."""

import json
import sqlite3
import subprocess
import sys
from typing import Any

import pytest

from appliance.adapters.store import schema
from tests.adapters.conftest import ROOT, until_sync
from tests.daemon.conftest import Daemon, Fan, in_control

FILE = schema.DECISIONS


def doctor(daemon: Daemon) -> tuple[int, dict[str, dict[str, Any]]]:
    told = subprocess.run(
        [sys.executable, "-m", "appliance", "doctor", "--json", "--config", str(daemon.config)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.stderr == ""
    return told.returncode, {found["name"]: found for found in map(json.loads, told.stdout.splitlines())}


def wrong(daemon: Daemon) -> dict[str, str]:
    code, found = doctor(daemon)
    said = {name: one["what"] for name, one in found.items() if one["state"] == "wrong"}
    assert all(found[name]["todo"] for name in said), "it does not say what to do"
    assert code == bool(said)
    return said


@pytest.fixture
def decided(daemon: Daemon, fan: Fan) -> Daemon:
    """A daemon that runs and has decided something that lies on disk."""
    daemon.start()
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    until_sync(lambda: daemon.last()["recorded"])
    return daemon


def test_a_sound_home_is_ok_before_its_first_start_while_it_runs_and_afterwards(
    daemon: Daemon, fan: Fan
) -> None:
    assert wrong(daemon) == {}
    assert not (daemon.folder / "state").exists(), "looking has made something"
    daemon.start()
    in_control(daemon, fan)
    code, found = doctor(daemon)
    assert code == 0
    assert found["daemon"]["what"] == f"runs as process {daemon.process.pid}"
    assert daemon.stop() == 0
    before = {path.name for path in (daemon.folder / "state").iterdir()}
    assert wrong(daemon) == {}
    assert set(doctor(daemon)[1]) >= {
        "config", "folder", "daemon", "decisions", "readings", "chain", "high-water", "losses", "disk", "broker", "models", "clock",
    }  # fmt: skip
    made = {path.name for path in (daemon.folder / "state").iterdir()} - before
    assert all(name.endswith(("-wal", "-shm")) for name in made), (
        "more than SQLite's own index of a log was made"
    )


def test_what_is_wrong_with_the_history_is_told_and_then_known_to_the_daemon_too(decided: Daemon) -> None:
    last = decided.last()["id"]
    decided.kill()
    state = decided.folder / "state"
    for end in ("-wal", "-shm"):
        (state / (FILE + end)).unlink(missing_ok=True)
    said = wrong(decided)
    assert list(said) == ["high-water"]
    assert f"{last} " in said["high-water"]
    decided.start()
    until_sync(lambda: decided.part("history") == "degraded")
    said = wrong(decided)
    assert list(said) == ["daemon: history", "losses"]
    assert "lost" in said["losses"]


def test_an_altered_decision_is_told(decided: Daemon) -> None:
    decided.stop()
    with sqlite3.connect(decided.folder / "state" / FILE) as raw:
        raw.execute("UPDATE decisions SET source = 'nobody' WHERE id = 1")
    raw.close()
    assert wrong(decided) == {"chain": "decision 1 is not what was committed"}


def test_a_damaged_file_is_told(decided: Daemon) -> None:
    decided.stop()
    for name in (FILE, schema.READINGS):
        path = decided.folder / "state" / name
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
    assert {"decisions", "readings", "chain"} <= set(wrong(decided))


def test_a_folder_that_others_may_look_into_a_broker_that_is_gone_and_a_bad_config_are_told(
    decided: Daemon, fan: Fan
) -> None:
    decided.stop()
    (decided.folder / "state").chmod(0o755)
    fan.broker.kill()
    assert set(wrong(decided)) == {"folder", "broker"}
    decided.change("[mqtt]", "[mqtt]\nhots = 1")
    said = wrong(decided)
    assert "hots" in said.pop("config")
    assert said == {}
