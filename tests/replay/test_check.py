"""A home that was really decided for is replayed from its store: identical, or the difference is shown."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli import cli
from appliance.core.events import AdviceAnswered, AlarmAcknowledged
from tests.adapters.store.conftest import as_rows
from tests.replay.conftest import Lived, quick


def replay(lived: Lived, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["replay", "--check", "--config", str(lived.config), *options])
    return done.exit_code, done.output


def altered(lived: Lived, sql: str, file: str = "decisions.sqlite3") -> int:
    connection = sqlite3.connect(lived.folder / file)
    with connection:
        count = connection.execute(sql).rowcount
    connection.close()
    return count


def eventful(lived: Lived) -> None:
    """Half a day with a hand, a person's word, a bad link, two restarts and a new boot."""
    lived.start()
    lived.live(3 * 3600)
    lived.home.press("turbo")
    lived.live(1800)
    lived.person("low", 900)
    lived.live(1800)
    lived.link(up=False)
    lived.live(400, heard=False)
    lived.link(up=True)
    lived.live(3600)
    lived.stop()
    lived.home.advance(600)
    lived.start()
    lived.live(1800)
    lived.person("high", 1200)
    lived.live(300)
    lived.stop()
    lived.home.advance(1200)
    lived.boot, lived.boot_s = "boot-2", lived.home.elapsed - 40.0
    lived.start()
    lived.live(3600)
    lived.stop()


@pytest.mark.parametrize("profile", ["quick", "shipped"])
def test_a_replay_of_the_store_decides_what_was_decided_and_reports_the_gaps(tmp_path, profile) -> None:
    lived = quick(tmp_path) if profile == "quick" else Lived(tmp_path)
    try:
        eventful(lived)
    finally:
        lived.stop()
    code, said = replay(lived, "--json")
    report = json.loads(said.splitlines()[-1])
    assert (code, report["divergences"], report["uncovered"]) == (0, 0, 0), said
    decided = (
        sqlite3.connect(lived.folder / "decisions.sqlite3")
        .execute("SELECT COUNT(*) FROM decisions")
        .fetchone()[0]
    )
    assert report["compared"] == decided > 15
    assert len(report["stretches"]) == 3
    gaps = {(round(gap["seconds"], -1), gap["why"].partition(";")[0]) for gap in report["gaps"]}
    assert gaps == {
        (400, "no link to the broker: nothing was heard"),
        (600, "the daemon was not running"),
        (1200, "the daemon was not running"),
    }


def test_a_decision_that_does_not_follow_is_shown_with_time_and_both_sides(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(4 * 3600)
    lived.stop()
    assert replay(lived)[0] == 0
    assert altered(
        lived,
        "UPDATE decisions SET action = 'turbo' WHERE id = (SELECT MIN(id) FROM decisions WHERE action = 'low')",
    )
    code, said = replay(lived)
    assert code == 1
    assert "they part" in said
    assert "then  turbo" in said
    assert "now   low" in said
    assert "1 part" in said


def test_a_decision_that_was_never_recorded_is_a_divergence(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(4 * 3600)
    lived.stop()
    assert altered(lived, "DELETE FROM decisions WHERE id = (SELECT MIN(id) + 2 FROM decisions)") == 1
    code, said = replay(lived)
    assert code == 1
    assert "then  no decision at that instant" in said


def test_a_reading_that_is_lost_is_a_divergence_and_no_silent_pass(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(4 * 3600)
    lived.stop()
    as_rows(lived.folder)
    assert altered(
        lived,
        "DELETE FROM readings WHERE value > 15 AND stream IN (SELECT id FROM streams WHERE metric = 'pm2_5')",
        "readings.sqlite3",
    )
    assert replay(lived)[0] == 1


def test_what_another_config_decided_is_not_compared_unless_asked(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(4 * 3600)
    lived.stop()
    profile = tmp_path / "quick.toml"
    profile.write_text(profile.read_text("utf-8").replace("pm2_5 > 10", "pm2_5 > 9"), "utf-8")
    code, said = replay(lived)
    assert code == 1
    assert "another config" in said
    assert "nothing was compared" in said
    code, said = replay(lived, "--regardless")
    assert code == 1
    assert "they part" in said
    profile.write_text(profile.read_text("utf-8").replace("pm2_5 > 9", "pm2_5 > 10.0"), "utf-8")
    assert replay(lived)[0] == 0, "the same rules in other words are the same rules"


def test_a_start_with_no_checkpoint_says_how_long_it_warms_up(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(4 * 3600)
    lived.stop()
    altered(lived, "DELETE FROM snapshots WHERE id > 1", "readings.sqlite3")
    code, said = replay(lived, "--json")
    report = json.loads(said.splitlines()[-1])
    [stretch] = report["stretches"]
    assert "no state was kept at its beginning" in stretch["skipped"]
    assert 0 < stretch["compared"] < stretch["decisions"]
    assert (code, report["divergences"]) == (0, 0), said


def test_readings_that_a_crash_took_leave_a_gap_and_their_decisions_uncovered(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(2 * 3600)
    lived.flush()
    saved = tmp_path / "saved.sqlite3"
    source = sqlite3.connect(lived.folder / "readings.sqlite3")
    copy = sqlite3.connect(saved)
    source.backup(copy)
    copy.close()
    source.close()
    lived.live(3600)
    lived.person("high", 60)
    lived.live(30)
    lived.stop()
    for end in ("", "-wal", "-shm"):
        Path(f"{lived.folder / 'readings.sqlite3'}{end}").unlink(missing_ok=True)
    shutil.copy(saved, lived.folder / "readings.sqlite3")
    lived.home.advance(60)
    lived.start()
    lived.live(3600)
    lived.stop()
    code, said = replay(lived, "--json")
    report = json.loads(said.splitlines()[-1])
    assert code == 0, said
    assert report["uncovered"] >= 1
    [gap] = report["gaps"]
    assert "without a word" in gap["why"]


def test_a_span_begins_at_the_checkpoint_before_it(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(3 * 3600)
    lived.checkpoint()
    lived.live(3 * 3600)
    lived.stop()
    code, said = replay(lived, "--json", "--days", "0.1")
    report = json.loads(said.splitlines()[-1])
    assert (code, report["divergences"]) == (0, 0)
    [stretch] = report["stretches"]
    assert stretch["since"].startswith("2026-01-12T18:00")
    assert stretch["skipped"] is None


VOICES = """
[[rules]]
id = "advise"
when = "pm2_5 > 1"
at_least = "medium"
standing = "recommend"
because = "fresher air would do"
[[rules]]
id = "window"
when = "window is open"
at_most = "low"
because = "the window is open"
[[rules]]
id = "alarm"
when = "pm2_5 > 400"
until = "pm2_5 < 300 and acknowledged"
exactly = "off"
authority = "LIFE_SAFETY"
because = "smoke at {pm2_5}"
[channels.window]
metric = "contact"
words = { open = false, closed = true }
"""


def test_advice_alarms_words_of_sensors_and_resent_caches_replay_as_they_were(tmp_path) -> None:
    lived = quick(tmp_path)
    profile = tmp_path / "quick.toml"
    rules, _, rest = profile.read_text("utf-8").partition("[guards.minimum_on]")
    profile.write_text(f"{rules}{VOICES}[guards.minimum_on]{rest}", "utf-8")
    lived.config.write_text(lived.config.read_text("utf-8") + 'window = "zigbee2mqtt/window"\n', "utf-8")
    lived.start()
    lived.live(1800)
    lived.hear("window", contact=True)
    lived.live(600)
    lived.say(AdviceAnswered("purifier", None, True, "page"))
    lived.live(600)
    lived.person(None)
    lived.hear("window", contact=False)
    for value in (450.0, 460.0, 470.0, 470.0):
        lived.hear("living_air", pm25=value, linkquality=int(value))
        lived.live(2)
    lived.hear("living_air", pm25=2.0)
    lived.live(10)
    lived.hear("living_air", pm25=2.0)
    lived.live(600)
    lived.say(AlarmAcknowledged("purifier", None, "page"))
    lived.live(600)
    lived.stop()
    lived.start()
    lived.live(600)
    lived.stop()
    decided = sqlite3.connect(lived.folder / "decisions.sqlite3")
    sources = {source for (source,) in decided.execute("SELECT DISTINCT source FROM decisions")}
    assert {"person by advice", "rule alarm"} <= sources
    assert decided.execute("SELECT 1 FROM decisions WHERE detail LIKE '%the window is open%'").fetchone()
    code, said = replay(lived)
    assert code == 0, said
    assert "identical" in said


def test_what_was_decided_under_observation_replays_without_commands(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start(observe=True)
    lived.live(2 * 3600)
    lived.stop()
    assert lived.told == []
    code, said = replay(lived)
    assert code == 0, said


def test_rows_that_had_to_make_room_are_a_gap_and_not_a_divergence(tmp_path, monkeypatch) -> None:
    from appliance.adapters.store import queue

    lived = quick(tmp_path)
    lived.start()
    lived.live(2 * 3600)
    lived.flush()
    monkeypatch.setattr(queue, "MAX_READINGS", 50)
    lived.live(3600)
    lived.flush()
    monkeypatch.undo()
    lived.live(1800)
    lived.checkpoint()
    lived.live(2 * 3600)
    lived.stop()
    code, said = replay(lived, "--json")
    report = json.loads(said.splitlines()[-1])
    assert code == 0, said
    assert [gap["why"] for gap in report["gaps"]] == ["what was heard before is lost"]
    assert report["gaps"][0]["seconds"] > 1800
    assert [stretch["skipped"] is None for stretch in report["stretches"]] == [True, False, True]


def test_a_config_that_was_taken_in_meanwhile_parts_the_history_without_a_gap(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(2 * 3600)
    profile = tmp_path / "quick.toml"
    profile.write_text(profile.read_text("utf-8").replace("pm2_5 > 10", "pm2_5 > 9"), "utf-8")
    lived.reload()
    lived.live(2 * 3600)
    lived.stop()
    code, said = replay(lived, "--json")
    report = json.loads(said.splitlines()[-1])
    assert (code, report["gaps"]) == (0, []), said
    assert [stretch["skipped"] for stretch in report["stretches"]] == [
        "another config, model or version decided",
        None,
    ]
    assert report["stretches"][1]["compared"] == report["stretches"][1]["decisions"] > 0
