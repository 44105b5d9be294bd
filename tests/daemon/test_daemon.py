"""The whole, as its owner runs it; each test names what would go wrong in a home."""

import json
import subprocess
import sys
import time

from tests.adapters.conftest import ROOT, until_sync
from tests.daemon.conftest import in_control


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
    told = typed(daemon, "why", "fan", "--at", f"#{last['id']}")
    assert told.stdout.startswith("high, because 40 µg/m³ of dust.\n")
    # Once its reading is on the disk a replay tells that nothing was held before it: anything up to the limit had left it off.
    replayed = "the history of that time, replayed" in told.stdout
    flip = "35 µg/m³ (50 steps" if replayed else "19.9 µg/m³ (201 steps"
    assert f"nearest flip: pm2_5 at {flip} less than 40): off" in told.stdout
    assert "nearest flip" not in typed(daemon, "why", "fan", "--no-flip").stdout
    told = typed(daemon, "why-not", "fan", "off")
    assert told.stdout.startswith("not off, because rule dusty wants exactly high: 40 µg/m³ of dust.\n")
    told = typed(daemon, "why-not", "fan", "boost")
    assert (told.returncode, "It has off, low, high, auto." in told.stderr) == (1, True)


def typed(daemon, *words: str) -> subprocess.CompletedProcess[str]:
    """Type a command; return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "appliance", *words, "--config", str(daemon.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_a_hand_is_obeyed_and_the_daemon_says_until_when(daemon, fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    fan.report("9")
    # For ten seconds after the link came up a change is no hand, and nothing tells from outside.
    time.sleep(10.5)
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


def test_observing_commands_nothing(daemon, fan) -> None:
    daemon.start("--observe")
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: daemon.last()["action"] == "high")
    assert daemon.last()["commanded"] is False
    assert fan.commands == []


def test_what_is_rubbish_is_counted_and_the_next_reading_counts(daemon, fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    for payload in (
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 50_000,
        b'{"pm25": NaN}',
        b'{"pm25": 1e999}',
        b'{"pm25": "40"}',
    ):
        if payload:
            fan.broker.publish("zigbee2mqtt/air", payload)
    fan.broker.publish("zigbee2mqtt/air", b"9" * 100_000)
    fan.air(65535)  # what a sensor says that has nothing to say
    until_sync(
        lambda: any(
            seen["quality"] == "bad" or seen["reason"]
            for seen in daemon.ask("/v1/appliances/fan")["channels"]
        )
    )
    assert fan.commands == []
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    assert "Traceback" not in daemon.log


def test_a_burst_of_readings_is_decided_on_to_its_end(daemon, fan) -> None:
    """Thousands at once, as a bridge sends them that was away: none may be left lying, and the last one counts."""
    daemon.start()
    in_control(daemon, fan)
    lines = [json.dumps({"pm25": 10 + number % 10}) for number in range(5000)] + [json.dumps({"pm25": 41})]
    subprocess.run(
        ["mosquitto_pub", "-p", str(fan.broker.port), "-t", "zigbee2mqtt/air", "-q", "1", "-l"],
        input="\n".join(lines).encode(), check=True, timeout=60,
    )  # fmt: skip
    until_sync(lambda: fan.commands == ["9"])
    assert daemon.ask("/v1/appliances/fan")["channels"][0]["value"] == 41
