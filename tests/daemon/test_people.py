"""What people say, by every door, to the real daemon at a real broker: over MQTT, HTTP and on the command line."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.adapters.conftest import ROOT, Broker, until_sync
from tests.daemon.conftest import Daemon, Fan, in_control

RULES = """
[[rules]]
id = "stale"
when = "co2 > 1000"
at_least = "high"
standing = "recommend"
because = "the air is old: {co2}"

[[rules]]
id = "smoke"
when = "pm2_5 > 500"
until = "pm2_5 < 100 and acknowledged"
exactly = "off"
authority = "LIFE_SAFETY"
because = "there is smoke"

[[rules]]
id = "gas"
when = "co2 > 9000"
exactly = "off"
authority = "LIFE_SAFETY"
because = "there is gas"

[ends]
"the air is fresh" = "co2 < 700"
"""
FAN = "/v1/appliances/fan"


class Home:
    """A fan in control, and what one may say to it."""

    def __init__(self, daemon: Daemon, fan: Fan) -> None:
        self.daemon, self.fan = daemon, fan
        self.broker: Broker = fan.broker

    def view(self) -> dict[str, Any]:
        return self.daemon.ask(FAN)

    def say(self, verb: str, word: str | bytes, *options: str) -> None:
        self.broker.publish(f"appliance/fan/{verb}", word, *options)

    def air(self, **values: float) -> None:
        self.broker.publish("zigbee2mqtt/air", json.dumps(values))

    def commanded(self, mode: str) -> None:
        """Await a command, and obey it as the device does."""
        until_sync(lambda: self.fan.commands[-1:] == [mode])
        self.fan.report({"0": "off"}.get(mode, mode))

    def refused(self) -> float:
        text = _text(self.daemon, "/metrics")
        return sum(
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("appliance_words_refused")
        )

    def typed(self, *words: str) -> str:
        """Type a command that must succeed; return what it says."""
        told = subprocess.run(
            [sys.executable, "-m", "appliance", *words, "--config", str(self.daemon.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr
        return told.stdout


def _text(daemon: Daemon, path: str) -> str:
    from urllib.request import urlopen

    with urlopen(daemon.url + path, timeout=10) as answer:
        return answer.read().decode()


@pytest.fixture
def home(daemon: Daemon, fan: Fan) -> Iterator[Home]:
    profile = daemon.folder / "fan.toml"
    profile.write_text(profile.read_text() + RULES)
    daemon.change('pm2_5 = "zigbee2mqtt/air"', 'pm2_5 = "zigbee2mqtt/air"\nco2 = "zigbee2mqtt/air"')
    daemon.start()
    in_control(daemon, fan)
    yield Home(daemon, fan)
    assert "Traceback" not in daemon.log


# ------------------------------------------------------------ over MQTT


def test_a_word_over_mqtt_overrides_with_every_end_and_hands_back(home: Home) -> None:
    home.say("set", "high")
    home.commanded("9")
    held = home.view()["override"]
    assert (held["action"], held["by"], held["ends"], held["recorded"]) == ("high", "mqtt", None, True)
    assert _lasts(held) == 600  # the profile's own
    home.say("set", '{"action": "low", "for": "2 h"}')
    until_sync(lambda: home.view()["override"]["action"] == "low")
    assert _lasts(home.view()["override"]) == 7200
    home.say("set", '{"action": "high", "until": "the air is fresh"}')
    until_sync(lambda: home.view()["override"]["ends"] == "the air is fresh")
    home.say("set", '{"action": "low", "open_ended": true}')
    until_sync(lambda: home.view()["override"]["until"] is None)
    home.say("set", "auto-control")
    until_sync(lambda: home.view()["override"] is None)


def _lasts(held: dict[str, Any]) -> float:
    since, until = (datetime.fromisoformat(held[key]) for key in ("since", "until"))
    return (until - since).total_seconds()


def test_a_retained_word_is_no_word(home: Home) -> None:
    """It would be said again at every start of the daemon, and at every return of the link."""
    home.say("set", "high", "-r")  # live, it counts once
    home.commanded("9")
    # By HTTP, which answers once it is committed: a word over MQTT may be lost with a kill right behind it.
    assert home.daemon.ask("/v1/appliances/fan/override", "DELETE")["recorded"] is True
    home.daemon.kill()
    home.daemon.start()
    in_control(home.daemon, home.fan)
    until_sync(lambda: "publish it without retain" in home.daemon.log)
    assert home.view()["override"] is None
    assert "9" not in home.fan.commands[1:]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"{",
        b'{"action": "high", "for": "never"}',
        b'{"action": "high", "until": "the moon is up"}',
        b'{"action": "high", "until": "07:00", "for": "1 h"}',
        b'{"action": "high", "canary": 1}',
        b"warp",
        b"\xff\xfe",
        b'{"action": "' + b"h" * 600 + b'"}',
    ],
    ids=lambda raw: raw[:30].decode("latin-1"),
)
def test_what_nobody_understands_changes_nothing_and_is_counted(words: Home, rubbish: bytes) -> None:
    before = words.refused()
    words.say("set", rubbish)
    until_sync(lambda: words.refused() == before + 1)
    assert words.view()["override"] is None
    words.say("set", "low")
    until_sync(lambda: words.view()["override"])
    words.say("set", "auto-control")
    until_sync(lambda: words.view()["override"] is None)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One daemon for many words."""
    folder = tmp_path_factory.mktemp("words")
    broker = Broker(folder)
    broker.start()
    fan = Fan(broker)
    daemon = Daemon(folder, broker.port)
    daemon.start()
    in_control(daemon, fan)
    yield Home(daemon, fan)
    daemon.kill()
    fan.close()
    broker.kill()
    assert "Traceback" not in daemon.log


def test_what_is_recommended_is_retained_and_accepted_over_mqtt(home: Home) -> None:
    home.air(co2=1200)
    until_sync(lambda: home.view()["advice"])
    until_sync(lambda: home.broker.retained("appliance/fan/advice") != b"[]")
    (told,) = json.loads(home.broker.retained("appliance/fan/advice"))
    assert (told["source"], told["action"], told["because"]) == (
        "rule stale",
        "high",
        "the air is old: 1200 ppm",
    )
    assert home.fan.commands == []
    home.say("accept", "stale")
    home.commanded("9")
    until_sync(lambda: home.view()["override"])
    assert home.view()["override"]["by"] == "advice"
    until_sync(lambda: home.broker.retained("appliance/fan/advice") == b"[]")


def test_the_newest_committed_decision_is_retained_and_follows(home: Home) -> None:
    home.air(pm25=40, co2=600)
    home.commanded("9")
    until_sync(lambda: _decided(home).get("action") == "high")
    told = _decided(home)
    kept = home.daemon.ask(f"/v1/decisions/{told['id']}")
    assert kept["recorded"]
    assert (told["because"], told["authority"], told["source"]) == ("40 µg/m³ of dust", "RULE", "rule dusty")
    assert datetime.fromisoformat(told["at"]) is not None
    home.air(pm25=5, co2=600)
    until_sync(lambda: _decided(home)["action"] == "off")


def _decided(home: Home) -> dict[str, Any]:
    return json.loads(home.broker.retained("appliance/fan/decision") or b"{}")


# ------------------------------------------------------------ over HTTP


def test_an_end_by_a_condition_outlives_a_kill_and_comes(home: Home) -> None:
    home.air(co2=900)
    until_sync(lambda: home.view()["channels"][1]["value"] == 900)
    set_to = home.daemon.ask(f"{FAN}/override", "PUT", {"action": "low", "until": "co2 < 700"})
    assert (set_to["ends"], set_to["recorded"]) == ("co2 < 700", True)
    home.commanded("2")
    home.daemon.kill()
    home.daemon.start()
    home.fan.report("2")
    until_sync(lambda: home.view()["doing"] == "low")
    assert home.view()["override"] == set_to
    home.air(co2=650)
    until_sync(lambda: home.view()["override"] is None)
    home.commanded("off")


def test_more_words_than_anybody_can_mean_are_refused_and_what_was_said_stands(home: Home) -> None:
    for number in range(30):
        told = home.daemon.ask(f"{FAN}/override", "PUT", {"action": "low", "for_s": 100 + number})
        assert told["action"] == "low"
    told = home.daemon.ask(f"{FAN}/override", "PUT", {"action": "high"})
    assert (told["status"], told["code"]) == (429, "too-often")
    assert "wait a minute" in told["hint"]
    home.say("set", "high")  # no other door is open either
    until_sync(lambda: "was not understood: fan was told more than 30 things" in home.daemon.log)
    assert home.view()["override"]["action"] == "low"


def test_an_end_that_nobody_understands_is_pointed_at(home: Home) -> None:
    told = home.daemon.ask(f"{FAN}/override", "PUT", {"action": "low", "until": "co2 < 700 and moon is up"})
    assert (told["status"], told["code"]) == (422, "not-possible")
    _, shown, caret = told["detail"].split("\n")
    assert shown[caret.index("^") :].startswith("moon")
    assert "07:00" in told["hint"]
    assert '"the air is fresh"' in told["hint"]
    assert home.view()["override"] is None


def test_an_end_that_is_so_already_is_told_and_no_override_is_left(home: Home) -> None:
    home.air(co2=600)
    until_sync(lambda: home.view()["channels"][1]["value"] == 600)
    told = home.daemon.ask(f"{FAN}/override", "PUT", {"action": "low", "until": "the air is fresh"})
    assert (told["status"], told["code"]) == (422, "not-possible")
    assert "so already" in told["detail"]
    assert home.view()["override"] is None


def test_alarms_are_those_that_sound_now_also_while_one_settles_it_for_another(home: Home) -> None:
    """Smoke has decided already: gas changes no decision, and is to be seen all the same; and not when it has gone."""
    home.air(pm25=600, co2=600)
    until_sync(lambda: [one["rule"] for one in home.view()["alarms"]] == ["smoke"])
    home.air(pm25=600, co2=9500)
    until_sync(lambda: [one["rule"] for one in home.view()["alarms"]] == ["smoke", "gas"])
    assert [one["waits"] for one in home.view()["alarms"]] == [True, False]
    assert {one["authority"] for one in home.view()["alarms"]} == {"LIFE_SAFETY"}
    home.air(pm25=600, co2=600)
    until_sync(lambda: [one["rule"] for one in home.view()["alarms"]] == ["smoke"])


# ------------------------------------------------------------ on the command line


def test_typed_answers_do_what_they_say(home: Home) -> None:
    home.air(co2=1200)
    until_sync(lambda: home.view()["advice"])
    assert home.typed("dismiss", "fan", "stale") == "fan: dismissed\n"
    assert home.view()["advice"] == []
    home.air(co2=600)
    until_sync(lambda: home.view()["channels"][1]["value"] == 600)
    home.air(co2=1300)
    until_sync(lambda: home.view()["advice"])
    assert home.typed("accept", "fan") == "fan: accepted\n"
    home.commanded("9")
    assert home.typed("override", "fan", "low", "--until", "the air is fresh").startswith(
        "fan: low until the air is fresh, "
    )
    assert home.typed("override", "fan", "low", "--until", "06:45").endswith("day 06:45\n")
    assert home.typed("override", "fan", "low", "--until-told") == "fan: low until you say otherwise\n"
    home.commanded("2")
    assert home.typed("override", "fan", "auto-control") == "fan is back under the rules\n"


def test_an_alarm_ends_when_its_cause_is_gone_and_somebody_typed_that_they_saw_it(home: Home) -> None:
    home.air(pm25=600, co2=600)
    until_sync(lambda: home.view()["alarms"])
    home.air(pm25=11, co2=600)  # a jump, until a second reading confirms it
    home.air(pm25=10, co2=600)
    until_sync(lambda: home.view()["channels"][0]["value"] == 10)
    assert [(one["rule"], one["acknowledged"]) for one in home.view()["alarms"]] == [("smoke", False)]
    assert home.typed("acknowledge", "fan") == "fan: 1 acknowledged\n"
    until_sync(lambda: home.view()["alarms"] == [])


# ------------------------------------------------------------ as printed


def _printed(language: str = "sh") -> list[str]:
    page = (ROOT / "docs" / "people.md").read_text("utf-8")
    return [block.partition("```")[0] for block in page.split(f"```{language}\n")[1:]]


@pytest.fixture
def purifier(daemon: Daemon, fan: Fan) -> Iterator[Home]:
    """The home of the page: its fan is called purifier, and recommends."""
    profile = daemon.folder / "fan.toml"
    rule = (
        RULES.replace('"stale"', '"particles_high"')
        .replace("co2 < 700", "pm2_5 < 5")
        .replace("fresh", "clean")
    )
    profile.write_text(profile.read_text() + rule)
    daemon.change('pm2_5 = "zigbee2mqtt/air"', 'pm2_5 = "zigbee2mqtt/air"\nco2 = "zigbee2mqtt/air"')
    daemon.change("[appliances.fan]", "[appliances.purifier]")
    daemon.change("[appliances.fan.channels]", "[appliances.purifier.channels]")
    daemon.start()
    until_sync(lambda: daemon.health()["ready"])
    fan.report("off")
    until_sync(lambda: daemon.ask("/v1/appliances/purifier")["doing"] == "off")
    fan.air(10)
    yield Home(daemon, fan)
    assert "Traceback" not in daemon.log


def test_the_mqtt_examples_work_as_printed(purifier: Home) -> None:
    lines = [line for line in _printed()[0].splitlines() if line.startswith("mosquitto_pub ")]
    assert len(lines) >= 10
    for line in lines:
        subprocess.run(
            line.replace("mosquitto_pub", f"mosquitto_pub -p {purifier.broker.port}"), shell=True, check=True
        )
        if "/set" in line:
            wish = re.search(r"-m '?([\w-]+|{.*})", line)
            assert wish is not None
            said = json.loads(wish[1]) if wish[1].startswith("{") else {"action": wish[1]}
            until_sync(lambda said=said: _as_said(purifier.daemon, said))
    assert purifier.refused() == 0, purifier.daemon.log


def _as_said(daemon: Daemon, said: dict[str, Any]) -> bool:
    held = daemon.ask("/v1/appliances/purifier")["override"]
    if held is None:
        return said["action"] == "auto-control"
    ends = None if ":" in said.get("until", ":") else said["until"]
    open_ended = said.get("open_ended", False)
    return (held["action"], held["ends"], held["until"] is None) == (said["action"], ends, open_ended)


def test_the_http_and_typed_examples_work_as_printed(purifier: Home) -> None:
    purifier.air(pm25=10, co2=1200)
    until_sync(lambda: purifier.daemon.ask("/v1/appliances/purifier")["advice"])
    appliance = f'appliance() {{ "{sys.executable}" -m appliance "$@"; }}\n'
    for block in _printed()[1:]:
        script = appliance + block.replace("http://127.0.0.1:8321", purifier.daemon.url)
        told = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
            env={**os.environ, "APPLIANCE_CONFIG": str(purifier.daemon.config)},
        )  # fmt: skip
        assert "Usage" not in told.stderr
        assert '"invalid"' not in told.stdout
        assert "token-needed" not in told.stdout + told.stderr
