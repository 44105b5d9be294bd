"""A wrong rule is shown where it stands: file, line, column, a caret under the place, and the remedy."""

from pathlib import Path

import pytest

from appliance.config import appliances, load_settings, shipped_profiles
from appliance.errors import ConfigError

CONFIG = """
[appliances.purifier]
profile = "{profile}"
device = "zigbee2mqtt/purifier"
channels.pm2_5 = "zigbee2mqtt/air"
"""


def refused(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as wrong:
        appliances(load_settings(path, {}))
    return str(wrong.value).splitlines()


@pytest.mark.parametrize(
    ("rule", "first", "shown", "remedy"),
    [
        (
            ['when = "pm2_5 > 3"', 'at_least = "high"', 'at_most = "low"', 'because = "x"'],
            "line 8, column 12: ",
            'at_least = "high"',
            "swap them",
        ),
        (['when = "pm2_5 > 3"', 'at_most = "low"'], "line 6, column 1: ", "[appliances.purifier.rules.own]", "because"),
        (['when = "pm2_5 > 3"', 'at_most = "low"', 'because = " "'], "line 9, column 11: ", "because", "say why"),
        (
            ['because = "x"', 'at_most = "low"', 'when = "co2 > 5 parsec"'],
            "line 9: ",
            "co2 > 5 parsec",
            "write it in ppm",
        ),
        (
            ['because = "x"', 'at_most = "low"', 'when = "rising(co2) > 5"'],
            "line 9: ",
            "rising(co2) > 5",
            "per min",
        ),
    ],
)  # fmt: skip
def test_a_wrong_rule_of_a_config_is_shown_in_its_line(tmp_path, rule, first, shown, remedy) -> None:
    path = tmp_path / "home.toml"
    lines = ["[appliances.purifier.rules.own]", *rule]
    path.write_text(CONFIG.format(profile="air_purifier") + "\n".join(lines), "utf-8")
    told = refused(path)
    assert told[0].startswith(f"home.toml, {first}")
    assert shown in told[1]
    assert set(told[2].strip()) == {"^"}
    assert remedy in told[-1]


def test_a_wrong_rule_of_a_profile_is_shown_in_the_profile(tmp_path) -> None:
    text = shipped_profiles()["air_purifier"].read_text("utf-8")
    broken = text.replace('because = "particles are at {pm2_5}, above 35"\n', "")
    assert broken != text
    (tmp_path / "mine.toml").write_text(broken, "utf-8")
    path = tmp_path / "home.toml"
    path.write_text(CONFIG.format(profile="mine.toml"), "utf-8")
    told = refused(path)
    line = broken.splitlines().index('id = "particles_high"') + 1
    assert told[0].startswith(f"mine.toml, line {line}, column 1: ")
    assert told[1].strip() == 'id = "particles_high"'


@pytest.mark.parametrize(
    "groups",
    [(("a", "b"), ("b", "a")), (("a", "b"), ("b", "c"), ("c", "a")), (("a", "b", "c"), ("c", "a"))],
)
def test_groups_that_rank_the_same_appliances_both_ways_are_refused(tmp_path, groups) -> None:
    path = tmp_path / "home.toml"
    text = "".join(
        f'[appliances.{name}]\nprofile = "generic_switch"\ndevice = "zigbee2mqtt/{name}"\n' for name in "abc"
    )
    made = [f"[exclusions.g{place}]\nappliances = {list(group)}\n" for place, group in enumerate(groups)]
    path.write_text(text + "".join(made), "utf-8")
    told = refused(path)
    assert "would go before itself" in told[0]
    assert "same order" in told[-1]
    path.write_text(text + "".join(made[:-1]), "utf-8")
    assert len(appliances(load_settings(path, {}))) == 3
