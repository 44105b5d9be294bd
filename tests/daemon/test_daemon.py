"""The whole, as its owner runs it; each test names what would go wrong in a home."""

import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import time

import pytest

from appliance.adapters.store import Queries
from tests.adapters.conftest import ROOT, free_port, until_sync


def in_control(daemon, fan) -> None:
    until_sync(lambda: daemon.health()["ready"])
    fan.report("off")
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["doing"] == "off")


def test_a_reading_becomes_a_command_with_a_reason(daemon, fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    fan.report("9")
    until_sync(lambda: daemon.last()["action"] == "high" and daemon.last()["recorded"])
    last = daemon.last()
    assert last["because"] == "40 µg/m³ of dust"
    assert last["authority"] == "RULE"
    assert {seen["channel"]: seen["quality"] for seen in last["inputs"]}["pm2_5"] == "good"
    assert daemon.ask("/v1/appliances/fan/why")["sentence"] == "high, because 40 µg/m³ of dust."
    assert daemon.ask(f"/v1/decisions/{last['id']}")["id"] == last["id"]
    told = subprocess.run(
        [sys.executable, "-m", "appliance", "why", "fan", "--config", str(daemon.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.startswith("high, because 40 µg/m³ of dust.\n")


def test_a_hand_is_obeyed_and_the_daemon_says_until_when(daemon, fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    fan.report("9")
    time.sleep(
        10.5
    )  # for ten seconds after the link came up a change is no hand, and nothing tells from outside
    fan.report("off")
    until_sync(lambda: daemon.last()["source"] == "person by device")
    assert "a person chose off at the device, until " in daemon.last()["because"]
    fan.air(60)
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["channels"][0]["value"] == 60)
    assert fan.commands == ["9"]


def test_nothing_is_switched_on_before_anything_was_heard(daemon, fan) -> None:
    fan.broker.publish("zigbee2mqtt/air", json.dumps({"pm25": 400}), "-r")
    daemon.start()
    in_control(daemon, fan)
    until_sync(
        lambda: any(seen["reason"] == "retained" for seen in daemon.ask("/v1/appliances/fan")["channels"])
    )
    assert fan.commands == []


def test_the_broker_dies_and_comes_back_without_a_restart(daemon, fan, record_property) -> None:
    daemon.start()
    in_control(daemon, fan)
    fan.broker.kill()
    until_sync(lambda: daemon.part("broker") == "down")
    fan.close()
    fan.broker.start()
    took = until_sync(lambda: daemon.part("broker") == "ok", 20)
    record_property("back in control after, s", took)
    again = type(fan)(fan.broker)
    in_control(daemon, again)
    again.air(40)
    until_sync(lambda: again.commands == ["9"])
    again.close()
    assert took < 10  # promised: 5


def test_ten_kills_keep_override_timers_and_every_acknowledged_decision(daemon, fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    override = daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": 3600})
    assert override["recorded"]
    until_sync(lambda: fan.commands == ["2"])
    fan.report("2")
    seen = set()
    for number in range(10):
        fan.air(40 + number)
        time.sleep(random.uniform(0, 0.2))  # the moment of the kill is the thing that varies
        seen |= {
            made["id"] for made in daemon.ask("/v1/decisions?limit=200")["decisions"] if made["recorded"]
        }
        daemon.kill()
        daemon.start()
        assert daemon.ask("/v1/appliances/fan")["override"]["until"] == override["until"]
    kept = {made["id"] for made in daemon.ask("/v1/decisions?limit=200")["decisions"]}
    assert seen <= kept
    assert fan.commands == ["2"]
    daemon.kill()
    assert Queries(daemon.folder / "state").verify() is None


def test_it_ends_cleanly_and_says_offline(daemon, fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    assert fan.broker.retained("appliance/status") == b"online"
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 8  # promised: 5
    assert fan.broker.retained("appliance/status") == b"offline"
    assert "Traceback" not in daemon.log


def test_a_second_daemon_on_the_same_folder_refuses(daemon, fan) -> None:
    daemon.start()
    command = [sys.executable, "-m", "appliance", "run", "--config", str(daemon.config)]
    other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert other.returncode == 78
    assert "another daemon" in other.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[store]", "[stor]"), ["stor", "no such setting"]),
        (('profile = "fan.toml"', 'profile = "fann"'), ["fann", "air_purifier"]),
        (("[http]\nport = 0", "[http]\nport = 99999"), ["http.port", "65535"]),
        (('pm2_5 = "zigbee2mqtt/air"', 'pm25 = "zigbee2mqtt/air"'), ["pm25", "pm2_5"]),
        (('device = "zigbee2mqtt/fan"', 'device = "zigbee2mqtt/f#n"'), ["device"]),
        (
            (
                "[appliances.fan.channels]",
                '[appliances.fan.rules.x]\nwhen = "pm2_5 >> 3"\nat_least = "low"\nbecause = "x"\n[appliances.fan.channels]',
            ),
            ["column 8", "^"],
        ),
        (("[mqtt]", "[mqtt"), ["no TOML"]),
    ],
)
def test_a_wrong_config_ends_with_78_and_names_place_and_remedy_before_connecting(
    daemon, silent_broker, change, words
) -> None:
    daemon.config.write_text(daemon.config.read_text().replace(*change))
    command = [sys.executable, "-m", "appliance", "run", "--config", str(daemon.config)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert told.returncode == 78, told.stderr
    assert "hint:" in told.stderr
    for word in words:
        assert word in told.stderr
    assert "Traceback" not in told.stderr


def test_without_a_named_broker_and_without_one_there_it_says_how(daemon) -> None:
    daemon.config.write_text(daemon.config.read_text().split("[store]", 1)[1].join(["[store]", ""]))
    environment = {**os.environ, "APPLIANCE_HTTP__PORT": "0"}
    if not _free(1883):
        pytest.skip("somebody listens on port 1883 of this machine")
    command = [sys.executable, "-m", "appliance", "run", "--config", str(daemon.config)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, env=environment)
    assert told.returncode == 78
    assert "embedded = true" in told.stderr


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_missing_model_leaves_the_rules_in_charge_and_is_told(daemon, fan) -> None:
    profile = daemon.folder / "fan.toml"
    profile.write_text(
        profile.read_text().replace(
            "[fallback]", '[channels.presence]\nmodel = "nowhere"\nwords = ["nobody", "somebody"]\n[fallback]'
        )
    )
    daemon.start()
    in_control(daemon, fan)
    assert daemon.health()["status"] == "degraded"
    assert daemon.part("model nowhere") == "degraded"
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])


def test_control_goes_on_when_the_store_is_gone_and_health_says_so(daemon, fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    url = (daemon.folder / "state" / "url").read_text()
    token = (daemon.folder / "state" / "token").read_text()
    shutil.rmtree(daemon.folder / "state")
    (daemon.folder / "state").write_text("a file where the folder was")
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    (daemon.folder / "state").unlink()
    (daemon.folder / "state").mkdir()
    (daemon.folder / "state" / "url").write_text(url)
    (daemon.folder / "state" / "token").write_text(token)
    assert "nothing can be recorded" in daemon.log or daemon.part("store") == "degraded"
    until_sync(lambda: daemon.part("store") == "ok", 20)


def test_observing_commands_nothing(daemon, fan) -> None:
    daemon.start("--observe")
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: daemon.last()["action"] == "high")
    assert daemon.last()["commanded"] is False
    assert fan.commands == []


def test_the_token_is_for_its_owner_alone(daemon, fan) -> None:
    daemon.start()
    path = daemon.folder / "state" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text().strip()
    assert token not in daemon.log
    assert daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "loud"})["status"] in (404, 422)


def test_the_service_manager_hears_ready_and_signs_of_life(daemon, fan) -> None:
    path = daemon.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        daemon.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "3000000"}
        daemon.start()
        heard = b""
        while b"READY=1" not in heard or heard.count(b"WATCHDOG=1") < 3:
            heard += manager.recv(4096) + b"\n"
        daemon.process.terminate()
        while b"STOPPING=1" not in heard:
            heard += manager.recv(4096) + b"\n"
    assert free_port()
