"""`appliance prove`, and the scenarios that it writes: played through the real decoders and controller, they fail; mended, they pass."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("z3")

from appliance.cli import cli
from appliance.config import shipped_profiles
from tests.scenarios import story
from tests.scenarios.course import Course

PROFILE = """
name = "hood"
title = "A hood"
actions = ["off", "low", "high"]
rest = "off"
safe = "off"
[channels.pm2_5]
[channels.window]
words = { open = false, closed = true }
[guards.minimum_on]
for = "3 min"
[fallback]
because = "nobody asks"
[commands.zigbee2mqtt]
off = { set = { state = "off" } }
low = { set = { state = "low" } }
high = { set = { state = "high" } }
[[rules]]
id = "dusty"
when = "pm2_5 > 35 for 2 min and time is between 08:00 and 09:00 and day is saturday"
until = "pm2_5 < 20"
at_least = "high"
because = "dust"
[[invariants]]
id = "open_window"
when = "window is open"
exactly = "off"
unless = ["MANUAL", "MINIMUM_ON"]
because = "it would clean the street"
"""
MEND = """
[[rules]]
id = "airing"
when = "window is open"
exactly = "off"
because = "the window is open"
"""


def run(*arguments: str):
    return CliRunner().invoke(cli, ["prove", *arguments])


def play(place: Path) -> list[str]:
    """Return what is not as the scenario in the folder `place` expects, by the runner of all scenarios."""
    course = Course(story.read(place.name, place.parent))
    course.run()
    return course.wrong


def test_every_shipped_profile_is_proved() -> None:
    result = run("--json")
    assert result.exit_code == 0, result.output
    reports = [json.loads(line) for line in result.output.splitlines()]
    assert {report["profile"] for report in reports} == set(shipped_profiles())


def test_the_shipped_examples_are_proved() -> None:
    for path in sorted((Path(__file__).parents[2] / "examples").glob("*.toml")):
        result = run(str(path))
        assert result.exit_code == 0, result.output


def test_a_broken_claim_prints_its_readings_and_writes_a_scenario_that_fails(tmp_path) -> None:
    profile = tmp_path / "hood.toml"
    profile.write_text(PROFILE, "utf-8")
    result = run(str(profile), "--scenarios", str(tmp_path / "scenarios"))
    assert result.exit_code == 1
    assert "FAILS     invariant open_window" in result.output
    assert "pm2_5 = 36 µg/m³, window = open" in result.output
    assert "Saturday" in result.output
    assert "decided: high by rule dusty" in result.output
    (written,) = (tmp_path / "scenarios").glob("*/scenario.toml")
    (wrong,) = play(written.parent)
    assert "must not be, and is: action high" in wrong
    # Mended, the proof goes through, and the same scenario passes.
    profile.write_text(PROFILE + MEND, "utf-8")
    assert run(str(profile)).exit_code == 0
    assert play(written.parent) == []


def test_a_scenario_of_a_config_keeps_what_the_home_changed(tmp_path) -> None:
    (tmp_path / "hood.toml").write_text(PROFILE + MEND, "utf-8")
    config = tmp_path / "home.toml"
    config.write_text(
        '[appliances.kitchen]\nprofile = "hood.toml"\ndevice = "zigbee2mqtt/hood"\n'
        'channels = { pm2_5 = "zigbee2mqtt/air", window = "zigbee2mqtt/window" }\n'
        '[appliances.kitchen.rules.airing]\nwhen = "window is open and pm2_5 < 100"\n',
        "utf-8",
    )
    result = run(str(config), "--scenarios", str(tmp_path / "scenarios"))
    assert result.exit_code == 1
    place = tmp_path / "scenarios" / "kitchen_open_window"
    assert "pm2_5 < 100" in (place / "scenario.toml").read_text("utf-8")
    assert len(play(place)) == 1


def test_a_scenario_of_a_device_that_speaks_no_dialect_is_played_too(tmp_path) -> None:
    profile = tmp_path / "hood.toml"
    profile.write_text(PROFILE.replace("[commands.zigbee2mqtt]", "[commands.plain]"), "utf-8")
    assert run(str(profile), "--scenarios", str(tmp_path / "scenarios")).exit_code == 1
    (wrong,) = play(tmp_path / "scenarios" / "hood_open_window")
    assert "must not be, and is: action high" in wrong


KINDS = """
[[invariants]]
id = "person"
when = "pm2_5 < 4"
at_most = "high"
because = "a person"
[[invariants]]
id = "model"
when = "pm2_5 < 14"
exactly = "off"
unless = ["MANUAL", "MINIMUM_ON", "RULE"]
because = "a model's word"
[[invariants]]
id = "held"
when = "pm2_5 < 12"
exactly = "off"
unless = ["MANUAL", "MINIMUM_ON", "MODEL"]
because = "two phases"
[[invariants]]
id = "silence"
when = "pm2_5 is unknown and age(pm2_5) < 40 min"
at_most = "low"
because = "a sensor that falls silent"
"""


def test_scenarios_with_a_person_a_model_a_hold_and_a_silence_fail_as_they_should(tmp_path) -> None:
    profile = tmp_path / "purifier.toml"
    profile.write_text(shipped_profiles()["air_purifier"].read_text("utf-8") + KINDS, "utf-8")
    assert run(str(profile), "--scenarios", str(tmp_path / "scenarios")).exit_code == 1
    for kind in ("person", "model", "held", "silence"):
        assert len(play(tmp_path / "scenarios" / f"air_purifier_{kind}")) == 1, kind


@pytest.mark.parametrize("target", ["no_such_profile", "no/such/file.toml"])
def test_a_target_that_is_none_is_refused_in_words(target) -> None:
    command = [sys.executable, "-m", "appliance", "prove", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_room_is_imported_without_the_solver() -> None:
    code = "import sys, appliance.prove, appliance.cli.proving; sys.exit('z3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
