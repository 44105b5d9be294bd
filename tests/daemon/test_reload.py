"""A config that changes while the daemon runs: all of it is taken in, or none, and an unsound one is refused with its readings."""

import signal
import sys
from datetime import UTC

import pytest

from appliance.cli.soundness import refuse
from appliance.config import appliances, load_settings
from appliance.core.home import Home
from appliance.errors import ConfigError
from tests.adapters.conftest import until_sync
from tests.core.home import PROFILE, RULE
from tests.daemon.conftest import CONFIG, Daemon, Fan

UNSOUND = """
[[invariants]]
id = "quiet"
when = "pm2_5 > 100"
at_most = "low"
because = "nobody sleeps beside a storm"
"""


def reload(daemon: Daemon) -> None:
    daemon.process.send_signal(signal.SIGHUP)


def test_a_changed_rule_decides_at_once_and_what_was_remembered_stays(daemon: Daemon, fan: Fan) -> None:
    daemon.start()
    fan.report("off")
    fan.broker.publish("zigbee2mqtt/air", '{"pm25": 25}')
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["channels"][0]["value"] == 25)
    assert daemon.last()["action"] == "off"
    daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": 600})
    with daemon.config.open("a", encoding="utf-8") as config:
        config.write('[appliances.fan.rules.dusty]\nwhen = "pm2_5 > 20"\nuntil = "pm2_5 < 15"\n')
    reload(daemon)
    until_sync(lambda: "the new config is in force" in daemon.log, 30)
    assert daemon.ask("/v1/appliances/fan")["override"]["action"] == "low"
    daemon.ask("/v1/appliances/fan/override", "DELETE")
    assert daemon.last()["source"] == "rule dusty"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[appliances.fan.rules.dusty]\nwhen = "pm2_5 > banana"\n', "a number is missing here"),
        ('[log]\nlevel = "debug"\n', "can't change while the daemon runs"),
        ("[appliances.fan", "no TOML"),
    ],
)
def test_a_bad_new_config_leaves_the_last_good_one_in_force_and_is_told(
    daemon: Daemon, fan: Fan, text: str, said: str
) -> None:
    daemon.start()
    fan.report("off")
    with daemon.config.open("a", encoding="utf-8") as config:
        config.write(text)
    reload(daemon)
    until_sync(lambda: daemon.part("config") == "degraded", 30)
    reason = next(str(part) for part in daemon.health()["parts"] if part["name"] == "config")
    assert said in reason
    fan.broker.publish("zigbee2mqtt/air", '{"pm25": 50}')
    until_sync(lambda: daemon.last()["source"] == "rule dusty")


def test_a_reload_that_breaks_the_reader_ends_nothing_and_a_missing_model_is_told(
    daemon: Daemon, fan: Fan
) -> None:
    daemon.start()
    fan.report("off")
    profile = daemon.folder / "fan.toml"
    profile.write_text(
        profile.read_text("utf-8") + '\n[channels.crowd]\nmodel = "nope"\nwords = ["few", "many"]\n', "utf-8"
    )
    reload(daemon)
    until_sync(lambda: daemon.part("model nope") == "degraded", 30)
    profile.write_text(
        profile.read_text("utf-8").replace("pm2_5 > 35", "pm2_5 > 35 for " + "9" * 400 + " h"), "utf-8"
    )
    reload(daemon)
    until_sync(lambda: daemon.part("config") == "degraded", 30)
    assert daemon.process.poll() is None


def test_a_profile_that_breaks_its_own_claim_is_refused_at_the_start_with_the_readings_that_break_it(
    daemon: Daemon,
) -> None:
    pytest.importorskip("z3")
    profile = daemon.folder / "fan.toml"
    profile.write_text(profile.read_text("utf-8") + UNSOUND, "utf-8")
    told = daemon.refuses()
    assert "invariant quiet" in told
    assert "pm2_5" in told


def test_a_profile_that_breaks_its_own_claim_is_refused_at_a_reload_too(daemon: Daemon, fan: Fan) -> None:
    pytest.importorskip("z3")
    daemon.start()
    fan.report("off")
    profile = daemon.folder / "fan.toml"
    profile.write_text(profile.read_text("utf-8") + UNSOUND, "utf-8")
    reload(daemon)
    until_sync(lambda: daemon.part("config") == "degraded", 30)
    assert "invariant quiet" in daemon.log


def test_a_solver_that_failed_once_is_asked_again_at_the_next_start(tmp_path, monkeypatch) -> None:
    pytest.importorskip("z3")
    profile = tmp_path / "fan.toml"
    profile.write_text(PROFILE + RULE + UNSOUND, "utf-8")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(port=1), "utf-8")
    (tmp_path / "state").mkdir()
    loaded = load_settings(config, {})
    home = Home(appliances(loaded), {}, UTC)
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        refuse(loaded, home)
    with pytest.raises(ConfigError, match="invariant quiet"):
        refuse(loaded, home)
