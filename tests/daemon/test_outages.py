"""A part fails, or all of it is killed: control goes on with what is left, says what is missing, and takes it back by itself."""

import random
import time

from appliance.adapters.store import Queries
from tests.adapters.conftest import until_sync
from tests.daemon.conftest import Daemon, Fan, in_control


def test_the_broker_dies_and_comes_back_without_a_restart(daemon: Daemon, fan: Fan, record_property) -> None:
    daemon.start()
    in_control(daemon, fan)
    fan.broker.kill()
    until_sync(lambda: "refused" in daemon.log)  # tried while it is away, as in an update of the broker
    fan.close()
    fan.broker.start()
    began = time.monotonic()
    until_sync(lambda: daemon.part("broker") == "ok", 20)
    again = Fan(fan.broker)
    try:
        in_control(daemon, again)
        again.air(40)
        until_sync(lambda: again.commands == ["9"])
        took = time.monotonic() - began
    finally:
        again.close()
    record_property("back in control after, s", took)
    print(f"back in control after {took:.2f} s")
    assert took < 10  # promised: 5


def test_while_the_broker_is_away_a_persons_word_is_kept_and_done_when_it_is_back(
    daemon: Daemon, fan: Fan
) -> None:
    daemon.start()
    in_control(daemon, fan)
    fan.broker.kill()
    until_sync(lambda: daemon.part("broker") == "down")
    assert daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": 3600})["recorded"]
    fan.close()
    fan.broker.start()
    again = Fan(fan.broker)
    try:
        in_control(daemon, again)
        until_sync(lambda: again.commands)
        assert again.commands[0] == "2"
    finally:
        again.close()


def test_ten_kills_keep_override_timers_and_every_acknowledged_decision(daemon: Daemon, fan: Fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    override = daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": 3600})
    assert override["recorded"]
    until_sync(lambda: fan.commands == ["2"])
    fan.report("2")
    seen = {}
    for number in range(10):
        fan.air(40 + number)
        time.sleep(random.uniform(0, 0.2))  # the moment of the kill is the thing that varies
        made = daemon.ask("/v1/decisions?limit=200")["decisions"]
        seen |= {one["id"]: (one["action"], one["because"]) for one in made if one["recorded"]}
        daemon.kill()
        daemon.start()
        assert daemon.ask("/v1/appliances/fan")["override"]["until"] == override["until"]
    made = daemon.ask("/v1/decisions?limit=200")["decisions"]
    kept = {one["id"]: (one["action"], one["because"]) for one in made}
    assert seen
    assert seen.items() <= kept.items()
    assert fan.commands == ["2"], "a restart switched"
    daemon.kill()
    assert Queries(daemon.folder / "state").verify() is None


def test_a_minimum_time_goes_on_over_a_kill(daemon: Daemon, fan: Fan) -> None:
    """A compressor that is restarted at once, because the daemon forgot when it stopped, breaks."""
    profile = daemon.folder / "fan.toml"
    profile.write_text(profile.read_text() + '\n[guards.minimum_on]\nfor = "30 min"\n')
    daemon.start()
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    fan.report("9")
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["doing"] == "high")
    until_sync(lambda: daemon.last()["recorded"])
    daemon.kill()
    daemon.start()
    fan.report("9")
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["doing"] == "high")
    fan.air(1)
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["channels"][0]["value"] == 1)
    until_sync(lambda: "minimum_on" in str(daemon.last()["voices"]))
    assert "off" not in fan.commands


def test_a_missing_model_leaves_the_rules_in_charge_and_is_told(daemon: Daemon, fan: Fan) -> None:
    profile = daemon.folder / "fan.toml"
    learned = '[channels.presence]\nmodel = "nowhere"\nwords = ["nobody", "somebody"]\n[fallback]'
    profile.write_text(profile.read_text().replace("[fallback]", learned))
    daemon.start()
    in_control(daemon, fan)
    assert daemon.health()["status"] == "degraded"
    assert daemon.part("model nowhere") == "degraded"
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])


def test_a_crash_right_after_an_alarm_does_not_bring_back_the_word_before_it(
    daemon: Daemon, fan: Fan
) -> None:
    profile = daemon.folder / "fan.toml"
    text = profile.read_text("utf-8").replace(
        "[[rules]]",
        '[channels.smoke]\nmax_age = "24 h"\nwords = { smoke = true, clear = false }\n[[rules]]\nid = "fire"\n'
        'when = "smoke is smoke"\nuntil = "smoke is clear"\nexactly = "high"\nauthority = "LIFE_SAFETY"\n'
        'because = "there is smoke"\n[[rules]]',
        1,
    )
    profile.write_text(text, "utf-8")
    daemon.change("[appliances.fan.channels]", '[appliances.fan.channels]\nsmoke = "zigbee2mqtt/detector"')
    daemon.start()
    in_control(daemon, fan)
    fan.broker.publish("zigbee2mqtt/detector", '{"smoke": false}')
    until_sync(lambda: any(seen["value"] == "clear" for seen in daemon.ask("/v1/appliances/fan")["channels"]))
    fan.broker.publish("zigbee2mqtt/detector", '{"smoke": true}')
    until_sync(lambda: daemon.last()["source"] == "rule fire" and daemon.last()["recorded"])
    fan.report("9")
    # The word is written at once; the hold is, too: only the order of two files is left to chance, and that is a moment.
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["doing"] == "high")
    daemon.kill()
    daemon.start()
    until_sync(lambda: daemon.health()["ready"])
    fan.report("9")
    until_sync(lambda: daemon.last()["source"] == "rule fire")
    assert "off" not in fan.commands
