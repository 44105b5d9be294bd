"""Recordings and tables: the same readings in any form give the same decisions; what is none is refused with its line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli import cli
from appliance.errors import Malformed
from tests.replay.conftest import CONFIG, QUICK


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "quick.toml").write_text(QUICK, "utf-8")
    path = tmp_path / "appliance.toml"
    path.write_text(CONFIG.replace("air_purifier", "quick.toml").partition("temperature")[0], "utf-8")
    return path


def replay(config: Path, *options: str) -> list[dict]:
    done = CliRunner().invoke(
        cli, ["replay", "--json", "--config", str(config), *options], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]


def csv(config: Path, text: str) -> Path:
    path = config.parent / "air.csv"
    path.write_text(text, "utf-8")
    return path


WIDE = "time,pm2_5,co2\n2026-01-12T17:00:00,5,600\n2026-01-12T17:05:00,12.5,\n2026-01-12T17:06:00,,700\n"
LONG = """time,device,metric,value,unit
2026-01-12T17:00:00,zigbee2mqtt/living_air,pm2_5,5,
2026-01-12T17:00:00,zigbee2mqtt/living_co2,co2,600,ppm
2026-01-12T17:05:00,zigbee2mqtt/living_air,pm2_5,0.0125,mg/m³
2026-01-12T17:06:00,zigbee2mqtt/living_co2,co2,700,ppm
"""


@pytest.mark.parametrize(
    "text", [WIDE, LONG, WIDE.replace("pm2_5", "purifier.pm2_5")], ids=["wide", "long", "one"]
)
def test_a_table_decides_as_its_readings_say(config, text) -> None:
    said = replay(config, "--csv", str(csv(config, text)))
    assert [(line["at"], line["action"]) for line in said if line["source"] == "rule raised"] == [
        ("2026-01-12T17:05:00+01:00", "low")
    ]
    assert "12.5" in said[-1]["because"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column at or time"),
        ("at,humidity_of_mars\n1,2\n", "no column"),
        ("time,pm2_5\nyesterday,2\n", "line 2"),
        ("at,pm2_5\n10,2\n5,2\n", "line 3 of the table goes back"),
        ("at,device,metric,value,unit\n1,zigbee2mqtt/living_air,pm2_5,2,bar\n", "line 2"),
    ],
    ids=["no time", "no channel", "no date", "back", "unit"],
)
def test_what_is_no_table_is_refused_with_its_line(config, text, words) -> None:
    done = CliRunner().invoke(cli, ["replay", "--config", str(config), "--csv", str(csv(config, text))])
    assert isinstance(done.exception, Malformed)
    assert words in str(done.exception)


def test_what_feeds_no_channel_is_counted_and_not_silently_lost(config) -> None:
    text = "at,device,metric,value\n1,zigbee2mqtt/elsewhere,pm2_5,2\n2,zigbee2mqtt/living_air,pm2_5,3\n"
    done = CliRunner().invoke(cli, ["replay", "--config", str(config), "--csv", str(csv(config, text))])
    assert "1 × zigbee2mqtt/elsewhere pm2_5" in done.output


def test_a_recording_and_its_start_decide_by_the_clock_on_the_wall(config) -> None:
    lines = [
        {"at": at, "topic": "zigbee2mqtt/living_air", "payload": {"pm25": 40}} for at in range(0, 3600, 30)
    ]
    recording = config.parent / "evening.jsonl"
    recording.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    noon = replay(config, str(recording), "--start", "2026-01-12T12:00")
    evening = replay(config, str(recording), "--start", "2026-01-12T19:45")
    assert noon[-1]["action"] == "high"
    at_eight = next(line for line in evening if line["at"] == 900.0)
    assert at_eight["action"] == "low"
    assert "rule evening" in [voice[0] for voice in at_eight["voices"]]


def test_one_history_at_a_time(config) -> None:
    for options in ([], ["--from-store", "--csv", str(config)]):
        done = CliRunner().invoke(cli, ["replay", "--config", str(config), *options])
        assert done.exit_code == 2
        assert "give one of" in done.output
