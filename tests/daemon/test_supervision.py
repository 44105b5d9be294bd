"""It crashes, hangs or is killed: that is known, told, counted, and does not become a loop in which nobody is in control."""

import json
import signal
import subprocess
import sys

import pytest

from tests.adapters.conftest import ROOT, until_sync
from tests.daemon.conftest import Daemon, Fan, in_control
from tests.faults.broken import breaks

POISON = """
[appliances.fan.rules.poison]
when = "pm2_5 > 900"
at_least = "high"
because = "it breaks whoever holds it"
"""


def said(daemon: Daemon, part: str) -> str:
    return next((one["detail"] or "" for one in daemon.health()["parts"] if one["name"] == part), "")


def command(daemon: Daemon, *words: str) -> str:
    told = subprocess.run(
        [sys.executable, "-m", "appliance", *words, "--config", str(daemon.config)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return told.stdout


def crash(daemon: Daemon, times: int) -> None:
    for _ in range(times):
        daemon.start(wait=False)
        assert daemon.process.wait(30) != 0


@pytest.mark.parametrize("part", ["link", "tick", "look", "http", "store", "watchdog", "dial"])
def test_a_part_that_dies_ends_the_process_and_the_next_start_says_of_what(
    daemon: Daemon, fan: Fan, part: str
) -> None:
    """Else a home is without control at full health of the process."""
    due = breaks(daemon, part)
    daemon.start()
    in_control(daemon, fan)
    due.touch()
    fan.air(40)  # something to write, for the writer
    if part == "dial":
        fan.broker.kill()
        fan.broker.start()
    assert daemon.process.wait(10) not in (0, 78)
    assert "broken on purpose" in daemon.log
    due.unlink()
    daemon.start()
    assert "DeliberateError: broken on purpose (broken.py:" in said(daemon, "last run")
    assert daemon.part("safe mode") is None


def test_a_kill_is_told_and_an_order_to_stop_is_no_crash(daemon: Daemon, fan: Fan) -> None:
    daemon.start()
    assert said(daemon, "last run") == ""
    daemon.kill()
    daemon.start()
    assert "killed" in said(daemon, "last run")
    assert daemon.stop() == 0
    daemon.start()
    assert said(daemon, "last run") == ""
    assert daemon.health()["status"] == "degraded" or daemon.part("broker") == "ok"


def test_after_three_kills_only_rules_decide_and_a_command_ends_that(daemon: Daemon, fan: Fan) -> None:
    for _ in range(3):
        daemon.start()
        daemon.kill()
    daemon.start()
    in_control(daemon, fan)
    assert "3 crashes within 5 min" in said(daemon, "safe mode")
    assert daemon.health()["status"] == "degraded"
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    until_sync(lambda: json.loads(fan.broker.retained("appliance/mode"))["mode"] == "safe")
    assert "safe mode until" in command(daemon, "safe-mode")
    doctor = subprocess.run(
        [sys.executable, "-m", "appliance", "doctor", "--config", str(daemon.config)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert doctor.returncode == 1
    assert "wrong    runs         safe mode until" in doctor.stdout
    assert "safe mode has ended" in command(daemon, "safe-mode", "--end")
    until_sync(lambda: "the new config is in force" in daemon.log)
    assert daemon.part("safe mode") is None
    until_sync(lambda: json.loads(fan.broker.retained("appliance/mode")) == {"mode": "normal"})
    assert "not in safe mode" in command(daemon, "safe-mode")
    assert "there was no safe mode" in command(daemon, "safe-mode", "--end")
    daemon.kill()
    daemon.start()
    assert daemon.part("safe mode") is None, "what was forgiven counted again"


def test_a_config_that_crashes_the_daemon_gives_way_to_the_last_good_one(daemon: Daemon, fan: Fan) -> None:
    breaks(daemon, "rule", GOOD_AFTER_S="1")
    daemon.start()
    in_control(daemon, fan)
    until_sync((daemon.folder / "state" / "last_good.json").exists)
    assert daemon.stop() == 0
    good = daemon.config.read_text("utf-8")
    profile = (daemon.folder / "fan.toml").read_text("utf-8")
    daemon.config.write_text(good + POISON, "utf-8")
    (daemon.folder / "fan.toml").write_text(profile.replace("pm2_5 > 35", "pm2_5 > 500"), "utf-8")
    crash(daemon, 3)
    daemon.start()
    in_control(daemon, fan)
    assert "the last good config" in said(daemon, "safe mode")
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])  # the rule as it was in the profile of then
    # Mended, it is taken in as soon as safe mode ends.
    daemon.config.write_text(good, "utf-8")
    daemon.change('device = "zigbee2mqtt/fan"', 'device = "zigbee2mqtt/fan"\ntitle = "Mended"')
    command(daemon, "safe-mode", "--end")
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["name"] == "Mended")
    assert daemon.part("safe mode") is None


def test_a_model_that_crashes_the_daemon_is_left_out_after_three_times(daemon: Daemon, fan: Fan) -> None:
    breaks(daemon, "model").touch()
    profile = daemon.folder / "fan.toml"
    learned = '[channels.presence]\nmodel = "presence"\nwords = ["empty", "occupied"]\n[fallback]'
    profile.write_text(profile.read_text().replace("[fallback]", learned))
    crash(daemon, 3)
    assert "Segmentation fault" in daemon.log
    daemon.start()
    in_control(daemon, fan)
    assert "safe mode" in said(daemon, "model presence")
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    # Ended while no daemon runs, it is ended for the next start: that one loads the model again, and crashes.
    assert daemon.stop() == 0
    assert "has ended" in command(daemon, "safe-mode", "--end")
    crash(daemon, 1)


def test_a_page_that_dies_in_safe_mode_leaves_control_alone(daemon: Daemon, fan: Fan) -> None:
    due = breaks(daemon, "http")
    due.touch()
    crash(daemon, 3)
    daemon.start(wait=False)
    until_sync(lambda: "in safe mode control goes on without it" in daemon.log, 30)
    fan.report("off")
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    assert daemon.stop() == 0


def test_a_wrong_config_is_no_crash(daemon: Daemon, fan: Fan) -> None:
    right = daemon.config.read_text("utf-8")
    daemon.config.write_text(right.replace('device = "zigbee2mqtt/fan"', 'device = "nobody/fan"'), "utf-8")
    for _ in range(4):
        daemon.refuses()
    daemon.config.write_text(right, "utf-8")
    daemon.start()
    assert daemon.part("safe mode") is None


def test_a_hang_of_those_who_read_the_past_holds_up_neither_control_nor_the_end(
    daemon: Daemon, fan: Fan
) -> None:
    due = breaks(daemon, "readers hang")
    daemon.start()
    in_control(daemon, fan)
    due.touch()
    ask = "import sys, urllib.request as r; r.urlopen(sys.argv[1])"
    askers = [
        subprocess.Popen([sys.executable, "-c", ask, daemon.url + path], stderr=subprocess.DEVNULL)
        for path in ["/v1/decisions", "/v1/appliances/fan/why?at=%231"] * 4
    ]
    try:
        until_sync(lambda: daemon.log.count("waits for ever") == 8)
        fan.air(40)
        until_sync(lambda: fan.commands == ["9"])
        assert daemon.health()["ready"]
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert "left behind" in daemon.log
    finally:
        for asker in askers:
            asker.kill()
            asker.wait()
