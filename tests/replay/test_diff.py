"""Two configs over one history: exactly the flips, what they sum to, and no device's obedience taken for a hand."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from appliance.cli import cli
from tests.replay.conftest import CONFIG, QUICK, quick


def diff(present: Path, new: Path, *options: str) -> dict:
    done = CliRunner().invoke(
        cli,
        ["diff", "--config", str(new), "--against", str(present), "--json", *options],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    return json.loads(next(line for line in done.output.splitlines() if line.startswith("{")))


@pytest.fixture
def configs(tmp_path: Path) -> tuple[Path, Path]:
    """Two configs with a profile each, the same so far."""
    for name in ("old", "new"):
        (tmp_path / f"{name}_profile.toml").write_text(QUICK, "utf-8")
        text = CONFIG.replace("air_purifier", f"{name}_profile.toml").replace("Europe/Berlin", "UTC")
        (tmp_path / f"{name}.toml").write_text(text.partition("temperature")[0], "utf-8")
    return tmp_path / "old.toml", tmp_path / "new.toml"


def change(config: Path, old: str, new: str) -> None:
    profile = config.with_name(f"{config.stem}_profile.toml")
    text = profile.read_text("utf-8")
    assert old in text
    profile.write_text(text.replace(old, new), "utf-8")


def table(folder: Path, *values: tuple[float, float]) -> Path:
    path = folder / "air.csv"
    path.write_text("at,pm2_5\n" + "".join(f"{at},{value}\n" for at, value in values), "utf-8")
    return path


def steps(*phases: tuple[float, float], until: float) -> list[tuple[float, float]]:
    """Return a reading every 10 s; a phase is (from, value)."""
    return [
        (at, next(value for since, value in reversed(phases) if at >= since))
        for at in range(0, int(until) + 1, 10)
    ]


def test_a_changed_threshold_flips_exactly_the_stretch_between_both(configs, tmp_path) -> None:
    old, new = configs
    change(new, "pm2_5 > 10", "pm2_5 > 14")
    air = table(tmp_path, *steps((0, 5), (1800, 12), (3600, 16), (5400, 5), until=7200))
    found = diff(old, new, "--csv", str(air))["appliances"]["purifier"]
    [piece] = found["differing"]
    assert piece["since"].startswith("2026-01-01T00:30:00")
    assert piece["seconds"] == 1800
    assert (piece["old"]["action"], piece["new"]["action"]) == ("low", "off")
    assert "particles are at 12" in piece["old"]["why"]
    assert "nobody asks" in piece["new"]["why"]
    assert found["old"]["run_hours"] == 1.0
    assert found["new"]["run_hours"] == 0.5
    assert (found["old"]["switches"], found["new"]["switches"]) == (2, 2)
    assert found["old"]["energy_kwh"] == 0.002  # an hour at 2 W
    limits = {limit["above"]: limit for limit in found["new"]["limits"] if limit["channel"] == "pm2_5"}
    assert (limits[10]["minutes"], limits[10]["at_rest_minutes"]) == (60, 30)
    assert (limits[14]["minutes"], limits[14]["at_rest_minutes"]) == (30, 0)


def test_the_time_above_a_limit_ends_where_the_sensor_falls_silent(configs, tmp_path) -> None:
    old, new = configs
    air = table(tmp_path, *steps((0, 12), until=600), (7200, 5))
    found = diff(old, new, "--csv", str(air))["appliances"]["purifier"]
    assert found["differing"] == []
    assert found["old"]["limits"][1]["above"] == 10
    assert found["old"]["limits"][1]["minutes"] == 20  # ten minutes heard, ten more believed


def test_the_same_config_differs_nowhere_though_the_device_was_told_other_things(tmp_path) -> None:
    lived = quick(tmp_path)
    lived.start()
    lived.live(2 * 3600)
    lived.home.press("turbo")
    lived.live(3600)
    lived.person("off", 1200)
    lived.live(3600)
    lived.link(up=False)
    lived.live(300, heard=False)
    lived.link(up=True)
    lived.live(3600)
    lived.stop()
    new = tmp_path / "new.toml"
    new.write_text(lived.config.read_text("utf-8"), "utf-8")
    whole = diff(lived.config, new)
    found = whole["appliances"]["purifier"]
    assert found["differing"] == []
    assert [gap["seconds"] for gap in whole["gaps"]] == [pytest.approx(300, abs=1)]
    assert found["overrides"] == 2, "one hand at the device, one word on the page"

    (tmp_path / "other.toml").write_text(QUICK.replace('at_least = "low"', 'at_least = "medium"'), "utf-8")
    new.write_text(new.read_text("utf-8").replace("quick.toml", "other.toml"), "utf-8")
    found = diff(lived.config, new)["appliances"]["purifier"]
    flips = {(piece["old"]["action"], piece["new"]["action"]) for piece in found["differing"]}
    assert ("low", "medium") in flips
    assert flips <= {("low", "medium"), ("off", "medium"), ("off", "low"), ("low", "off"), ("medium", "low")}
    for piece in found["differing"]:
        # Had the reports of then been believed, each would be a hand against this side.
        assert "at the device" not in piece["new"]["why"] + piece["old"]["why"]
    assert found["overrides"] == 2
    assert {one["action"] for one in found["new"]["contradicted"]} <= {"turbo", "off"}
    assert "turbo" in {one["action"] for one in found["old"]["contradicted"]}


def test_a_word_of_a_person_contradicts_the_side_that_would_have_done_otherwise(tmp_path) -> None:
    lived = quick(tmp_path)
    (tmp_path / "quick.toml").write_text(
        QUICK.replace("pm2_5 > 10", "pm2_5 > 500").replace("co2 > 900", "co2 > 9000"), "utf-8"
    )
    lived.start()
    lived.live(3600)
    lived.person("low", 3600)
    lived.live(1800)
    lived.person("low", 600)
    lived.live(1800)
    lived.stop()
    (tmp_path / "wise.toml").write_text(
        QUICK.replace("pm2_5 > 10", "pm2_5 > 0")
        .replace("pm2_5 < 7", "pm2_5 < 0.1")
        .replace("co2 > 900", "co2 > 9000"),
        "utf-8",
    )
    new = tmp_path / "new.toml"
    new.write_text(lived.config.read_text("utf-8").replace("quick.toml", "wise.toml"), "utf-8")
    found = diff(lived.config, new)["appliances"]["purifier"]
    assert found["overrides"] == 2
    # Also where the word before still held: what it would have done by itself counts.
    assert [one["instead"] for one in found["old"]["contradicted"]] == ["off", "off"]
    assert found["new"]["contradicted"] == []


def test_the_picture_is_svg_with_both_bands_and_what_they_part_in(configs, tmp_path) -> None:
    old, new = configs
    change(new, "pm2_5 > 10", "pm2_5 > 14")
    change(new, "A purifier that only counts", "Fan <b> & 'co'")
    air = table(tmp_path, *steps((0, 5), (1800, 12), (3600, 16), (5400, 5), until=7200))
    file = tmp_path / "diff.svg"
    diff(old, new, "--csv", str(air), "--picture", str(file))
    text = file.read_text("utf-8")
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    [parts] = [rect for rect in root.iter(f"{space}rect") if rect.get("class") == "part"]
    assert float(parts.get("width")) == pytest.approx((1000 - 112) / 4, abs=1)
    words = [element.text for element in root.iter(f"{space}text")]
    assert {"old", "new", "Fan <b> & 'co'", "14"} <= set(words)
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text


def test_the_table_names_both_sides_and_says_what_it_cannot_know(configs, tmp_path) -> None:
    old, new = configs
    change(new, "pm2_5 > 10", "pm2_5 > 14")
    air = table(tmp_path, *steps((0, 5), (1800, 12), (3600, 5), until=7200))
    done = CliRunner().invoke(cli, ["diff", "--config", str(new), "--against", str(old), "--csv", str(air)])
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    assert "They part 1 times, for 30 min" in said
    assert "the air of then" in said
    assert "minutes with pm2_5 above 14 µg/m³" in said


def test_an_appliance_that_only_one_side_has_is_named_and_not_compared(configs, tmp_path) -> None:
    old, new = configs
    new.write_text(new.read_text("utf-8").replace("appliances.purifier", "appliances.other"), "utf-8")
    air = table(tmp_path, *steps((0, 5), until=600))
    found = diff(old, new, "--csv", str(air))
    assert found["only"] == {"old": ["purifier"], "new": ["other"]}
    assert found["appliances"] == {}


def test_a_folder_with_no_history_is_an_error_that_says_so(configs) -> None:
    old, new = configs
    done = CliRunner().invoke(cli, ["diff", "--config", str(new), "--against", str(old)])
    assert done.exit_code != 0
    assert "readings.sqlite3" in str(done.exception)


def test_two_processes_give_what_one_gives(configs, tmp_path, monkeypatch) -> None:
    from appliance.cli import differing

    old, new = configs
    change(new, "pm2_5 > 10", "pm2_5 > 14")
    air = table(tmp_path, *steps((0, 5), (1800, 12), (3600, 16), (5400, 5), until=7200))
    alone = diff(old, new, "--csv", str(air))
    monkeypatch.setattr(differing, "LONG", 0)
    monkeypatch.setattr(differing.os, "cpu_count", lambda: 2)
    assert diff(old, new, "--csv", str(air)) == alone
