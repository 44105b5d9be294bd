"""A simulated home as a caller sees it: messages in, messages out, time passing."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from appliance.core.payloads.message import Catalogue, Message
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt
from appliance.errors import ConfigError
from appliance.simulate import Home, HomeParameters, record
from appliance.simulate.purifier import ACTIONS, OUTPUTS

START = datetime(2026, 1, 12, 0, 0, tzinfo=UTC)
SET = "zigbee2mqtt/purifier/set"


def home(seed: int = 7, **parameters: Any) -> Home:
    return Home(seed, start=START, parameters=HomeParameters(**parameters))


def of(messages: Iterable[Message], device: str) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in messages if message.topic == f"zigbee2mqtt/{device}"]


def command(one: Home, **wanted: Any) -> list[Message]:
    return one.receive(Message(SET, json.dumps(wanted).encode()))


# ---- determinism


def test_the_same_seed_gives_the_same_messages_byte_for_byte() -> None:
    def lived() -> list[Message]:
        one = home()
        sent = one.advance(7 * 3600.0)
        sent += command(one, fan_mode="4")
        sent += one.advance(3600.0)
        one.press("turbo")
        return sent + one.advance(3600.0)

    first = lived()
    assert first == lived()
    assert first != home(8).advance(9 * 3600.0)


def test_the_portions_in_which_time_passes_do_not_matter() -> None:
    whole, pieces = home(), home()
    cuts = np.random.default_rng(1).uniform(0.1, 120.0, 200)
    together = [message for cut in cuts for message in pieces.advance(float(cut))]
    assert whole.advance(float(sum(cuts))) == together


def test_people_and_weather_do_not_depend_on_what_is_commanded() -> None:
    left_alone, controlled = home(), home()
    for hour in range(48):
        controlled.set_level(ACTIONS[hour % 5])
        left_alone.elapse(3600.0)
        controlled.elapse(3600.0)
        one, other = left_alone.truth, controlled.truth
        assert (one.people_home, one.window_open, one.events, one.outdoor_pm2_5) == (
            other.people_home, other.window_open, other.events, other.outdoor_pm2_5,
        )  # fmt: skip


def test_the_fast_way_measures_what_the_messages_told() -> None:
    fast, slow = home(), home()
    for _ in range(30):
        fast.elapse(1800.0)
        slow.advance(1800.0)
        assert fast.measure() == slow.measure()
        assert fast.truth == slow.truth
    assert set(slow.measure()) == {"pm2_5", "co2", "temperature", "humidity", "voc_index"}
    slow.advance(9.99)  # Reports leave within a step of being measured.
    assert of(slow.announce(), "living_air")[0]["pm25"] == slow.measure()["pm2_5"]


# ---- what the purifier does to the air


def test_a_higher_level_keeps_the_air_cleaner_draws_more_and_sounds_louder() -> None:
    reached = []
    for action in ACTIONS:
        one = home()
        one.set_level(action)
        total = 0.0
        for _ in range(24 * 12):
            one.elapse(300.0)
            total += one.truth.pm2_5
        reached.append((total, -one.truth.energy_kwh, -one.truth.sound_dba))
    for below, above in pairwise(reached):
        assert all(high < low for low, high in zip(below, above, strict=True))


def test_energy_is_power_times_time() -> None:
    one = home()
    one.set_level("turbo")
    one.elapse(10 * 3600.0)
    assert one.truth.energy_kwh == pytest.approx(OUTPUTS[9].power_w * 10.0 / 1000.0)


# ---- the purifier's manners


def test_an_echo_precedes_the_report_of_the_device() -> None:
    one = home()
    one.advance(100.0)
    echoes = command(one, fan_mode="4")
    (echo,) = of(echoes, "purifier")
    assert (echo["fan_mode"], echo["fan_state"], echo["fan_speed"]) == ("4", "ON", 0)
    assert one.truth.level == 0  # The bridge was optimistic; the fan still stands.
    assert of(one.advance(0.9), "purifier") == []
    reports = of(one.advance(1.6), "purifier")
    assert [(report["fan_mode"], report["fan_speed"]) for report in reports] == [("4", 0), ("4", 4)]
    assert (one.truth.level, one.truth.action) == (4, "medium")
    assert all(report["last_seen"] > echo["last_seen"] for report in reports)


def test_a_hand_at_the_device_is_reported_without_an_echo() -> None:
    one = home()
    one.advance(100.0)
    one.press("high")
    assert one.truth.action == "high"
    reports = of(one.advance(3.0), "purifier")
    assert [(report["fan_mode"], report["fan_state"]) for report in reports] == [("5", "ON")] * 2
    one.press("off")
    assert [report["fan_state"] for report in of(one.advance(3.0), "purifier")] == ["OFF", "OFF"]


def test_superseded_commands_are_carried_out_in_their_order() -> None:
    one = home()
    for mode in ("9", "2", "off", "6"):
        command(one, fan_mode=mode)
    modes = [report["fan_mode"] for report in of(one.advance(5.0), "purifier")]
    assert list(dict.fromkeys(modes)) == ["9", "2", "off", "6"]
    assert one.truth.mode == "6"


def test_state_on_means_auto_and_off_means_off_as_the_bridge_translates() -> None:
    one = home()
    (echo,) = of(command(one, fan_state="ON"), "purifier")
    assert (echo["fan_mode"], echo["fan_state"]) == ("auto", "ON")
    one.advance(3.0)
    assert one.truth.mode == "auto"
    assert one.truth.level > 0
    command(one, fan_state="OFF")
    one.advance(3.0)
    assert (one.truth.mode, one.truth.level) == ("off", 0)


def test_its_own_sensor_has_no_value_while_it_is_off() -> None:
    one = home()
    assert of(one.announce(), "purifier")[0]["pm25"] == -1
    one.set_level("medium")
    running = of(one.advance(200.0), "purifier")[-1]
    assert running["pm25"] >= 0
    assert running["air_quality"] != "unknown"
    one.set_level("off")
    stopped = of(one.advance(5.0), "purifier")[-1]
    assert (stopped["pm25"], stopped["air_quality"], stopped["fan_speed"]) == (-1, "unknown", 0)


def test_its_own_sensor_speaks_again_after_a_rest_even_if_the_air_is_as_before() -> None:
    one = home()
    one.fault("purifier", "spike", size=1e6)  # Beyond what it can tell, so that it tells the same each time.
    for _ in range(2):
        one.set_level("low")
        assert of(one.advance(130.0), "purifier")[-1]["pm25"] == 1000
        one.set_level("off")
        assert of(one.advance(130.0), "purifier")[-1]["pm25"] == -1


def test_auto_speeds_up_in_bad_air() -> None:
    one = home(cooking_mg_per_min=2.5, hood_capture=0.0)
    one.press("auto")
    levels = set()
    for _ in range(7 * 24 * 12):
        one.elapse(300.0)
        levels.add(one.truth.level)
    assert {1, 5} <= levels


def test_a_locked_knob_does_nothing() -> None:
    one = home()
    command(one, child_lock="LOCK")
    one.press("turbo")
    assert one.truth.level == 0


def test_a_question_is_answered_by_the_device() -> None:
    one = home()
    one.press("low")
    one.advance(30.0)
    assert one.receive(Message("zigbee2mqtt/purifier/get", b'{"fan_mode":""}')) == []
    (answer,) = of(one.advance(0.5), "purifier")
    assert answer["fan_mode"] == "1"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (SET, b"not json"),
        (SET, b"[1,2]"),
        (SET, b'{"fan_mode":"12"}'),
        (SET, b'{"fan_mode":{"a":1}}'),
        (SET, b'{"nonsense":1}'),
        (SET, b"\xff\xfe"),
        (SET, b"[" * 60_000),
        (SET, b'{"fan_mode":"4","x":"' + b"a" * 70_000 + b'"}'),
        ("zigbee2mqtt/living_air/set", b'{"pm25":1}'),
        ("zigbee2mqtt/unknown/set", b'{"fan_mode":"4"}'),
        ("zigbee2mqtt/purifier", b'{"fan_mode":"4"}'),
        ("other/purifier/set", b'{"fan_mode":"4"}'),
    ],
)
def test_what_a_bridge_would_refuse_changes_nothing(topic: str, payload: bytes) -> None:
    one = home()
    assert one.receive(Message(topic, payload)) == []
    one.advance(5.0)
    assert one.truth.level == 0


def test_a_flood_of_commands_stays_bounded() -> None:
    one = home()
    echoed = sum(len(command(one, fan_mode=str(1 + index % 9))) for index in range(3000))
    assert 500 < echoed <= 1000
    one.advance(120.0)
    assert len(of(command(one, fan_mode="off"), "purifier")) == 1


# ---- messages


def test_announcement_declares_units_and_accepted_words_that_the_dialect_understands() -> None:
    dialect, catalogue = Zigbee2mqtt(), Catalogue()
    messages = home().announce()
    retained = [message.topic for message in messages if message.retained]
    assert retained == [
        "zigbee2mqtt/bridge/state",
        "zigbee2mqtt/bridge/devices",
        "zigbee2mqtt/living_air/availability",
        "zigbee2mqtt/living_co2/availability",
        "zigbee2mqtt/purifier/availability",
    ]
    for message in messages:
        decoded = dialect.decode(message, catalogue)
        assert decoded is not None
        catalogue = catalogue.fold(decoded.declarations)
    assert catalogue.devices["zigbee2mqtt/living_co2"].units["co2"] == "ppm"
    assert catalogue.devices["zigbee2mqtt/living_air"].units["pm25"] == "µg/m³"
    assert "auto" in catalogue.devices["zigbee2mqtt/purifier"].accepts["fan_mode"]
    assert catalogue.devices["zigbee2mqtt/purifier"].accepts["fan_state"] == ("ON", "OFF")


def test_every_message_has_all_keys_of_its_device_as_a_real_bridge_sends_them() -> None:
    # The keys of captured messages of zigbee2mqtt 2.14.1: an E2112, an E2007.
    captured = {
        "living_air": "humidity last_seen linkquality pm25 temperature update voc_index",
        "purifier": "air_quality child_lock device_age fan_mode fan_speed fan_state filter_age identify "
        "last_seen led_enable linkquality pm25 replace_filter update",
        "living_co2": "battery co2 humidity last_seen linkquality temperature",
    }
    one = home()
    one.press("low")
    messages = one.announce() + one.advance(3600.0)
    for device, keys in captured.items():
        sent = of(messages, device)
        assert sent
        assert all(list(payload) == keys.split() for payload in sent)
        assert all(payload["last_seen"].endswith("Z") for payload in sent)
    stamps = [payload["last_seen"] for payload in of(messages, "living_air")]
    assert stamps == sorted(stamps)


def test_a_change_of_one_key_re_sends_the_others_unchanged() -> None:
    payloads = of(home().advance(1200.0), "living_co2")
    for before, after in pairwise(payloads):
        changed = [key for key in ("co2", "temperature", "humidity") if before[key] != after[key]]
        assert len(changed) <= 1


def test_sensors_are_near_the_truth_and_tell_their_steps() -> None:
    bound = {"pm2_5": 6.0, "co2": 120.0, "temperature": 1.5, "humidity": 8.0}
    off: dict[str, list[float]] = {metric: [] for metric in bound}
    one = home()
    for _ in range(24 * 6):
        one.elapse(600.0)
        measured, truth = one.measure(), one.truth
        for metric, errors in off.items():
            errors.append(abs(measured[metric] - getattr(truth, metric)))
    for metric, errors in off.items():
        assert np.median(errors) < bound[metric], metric
        assert max(errors) > 0, metric
    assert all(isinstance(payload["pm25"], int) for payload in of(one.advance(3600.0), "living_air"))


def test_a_recording_can_be_decoded_line_by_line() -> None:
    dialect, catalogue = Zigbee2mqtt(), Catalogue()
    lines = [json.loads(line) for line in record(home(), 1800.0)]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    seen: set[str] = set()
    for line in lines:
        decoded = dialect.decode(Message(line["topic"], line["payload"].encode(), line["retain"]), catalogue)
        assert decoded is not None
        catalogue = catalogue.fold(decoded.declarations)
        seen |= {reading.metric for reading in decoded.readings} | {state.metric for state in decoded.states}
    assert {
        "pm2_5",
        "co2",
        "temperature",
        "humidity",
        "voc_index",
        "fan_mode",
        "fan_state",
        "fan_speed",
    } <= seen


# ---- faults


def values(one: Home, key: str, seconds: float, device: str = "living_air") -> list[Any]:
    return [payload[key] for payload in of(one.advance(seconds), device)]


def test_stuck_repeats_one_value_while_the_device_lives() -> None:
    one = home()
    one.fault("living_co2/co2", "stuck", start=6 * 3600.0)
    one.advance(6 * 3600.0 + 10.0)
    told = values(one, "co2", 4 * 3600.0, "living_co2")
    assert len(set(told)) == 1
    assert len(told) > 40


def test_a_spike_is_high_for_its_duration_only() -> None:
    one = home()
    one.advance(600.0)
    one.fault("living_air/pm2_5", "spike", duration=150.0, size=400.0)
    assert max(values(one, "pm25", 150.0)) > 350
    one.advance(120.0)
    assert max(values(one, "pm25", 600.0)) < 100


def test_drift_leaves_the_truth_behind() -> None:
    one = home()
    one.fault("living_air", "drift", size=50.0)
    one.advance(4 * 3600.0)
    assert one.measure()["pm2_5"] == pytest.approx(one.truth.pm2_5 + 200.0, abs=15.0)


def test_silent_device_says_nothing_and_one_silent_key_is_re_sent_from_the_cache() -> None:
    one = home()
    one.fault("living_co2", "silent", start=60.0, duration=3600.0)
    one.advance(70.0)
    assert of(one.advance(3500.0), "living_co2") == []
    assert of(one.advance(600.0), "living_co2")

    other = home()
    other.advance(60.0)
    other.fault("living_air/pm25", "silent")
    other.advance(10.0)
    told = values(other, "pm25", 12 * 3600.0)
    assert len(set(told)) == 1
    assert len(told) > 100


@pytest.mark.parametrize(("sensor", "key", "device", "sentinel"), [
    ("living_air/pm25", "pm25", "living_air", -1), ("living_co2", "co2", "living_co2", 65535),
])  # fmt: skip
def test_a_sentinel_is_told_and_is_no_measurement(sensor: str, key: str, device: str, sentinel: int) -> None:
    one = home()
    one.fault(sensor, "sentinel", duration=900.0)
    one.advance(400.0)
    assert set(values(one, key, 300.0, device)) == {sentinel}
    assert {"pm25": "pm2_5", "co2": "co2"}[key] not in one.measure()
    one.advance(600.0)
    assert {"pm25": "pm2_5", "co2": "co2"}[key] in one.measure()


@pytest.mark.parametrize(
    ("sensor", "kind"), [("living_air", "broken"), ("cellar", "stuck"), ("living_air/co2", "stuck")]
)
def test_a_fault_that_cannot_be_given_says_what_could(sensor: str, kind: str) -> None:
    with pytest.raises(ConfigError, match=r"no (fault|sensor) is called") as raised:
        home().fault(sensor, kind)
    assert "choose one of" in raised.value.hint


# ---- a home's life


def test_a_working_day_leaves_its_marks_in_the_air() -> None:
    one = home(people=2, home_days=0.0, airings_per_day=0.0)
    by_hour = []
    for _ in range(24):
        one.elapse(3600.0)
        by_hour.append(one.truth)
    assert by_hour[2].people_home == 2
    assert by_hour[2].people_awake == 0
    assert by_hour[12].people_home == 0
    assert by_hour[15].co2 < by_hour[5].co2 - 100  # The home was empty for hours.
    assert all(
        400 < truth.co2 < 3000 and 14 < truth.temperature < 30 and 10 < truth.humidity < 90
        for truth in by_hour
    )


def test_drawn_homes_differ_and_stay_plausible() -> None:
    means = []
    for seed in range(12):
        one = Home(
            seed, start=START, step_s=30.0, parameters=HomeParameters.draw(np.random.default_rng(seed))
        )
        total = 0.0
        for _ in range(48):
            one.elapse(3600.0)
            truth = one.truth
            assert 0.0 < truth.pm2_5 < 1500.0
            assert 400.0 < truth.co2 < 5000.0
            assert 12.0 < truth.temperature < 32.0
            total += truth.pm2_5
        means.append(total / 48)
    assert max(means) > 1.5 * min(means)


def test_summer_homes_are_aired_and_not_heated() -> None:
    one = Home(3, start=datetime(2026, 7, 13, tzinfo=UTC))
    opened = 0
    for _ in range(7 * 24 * 4):
        one.elapse(900.0)
        opened += one.truth.window_open
        assert 14.0 < one.truth.temperature < 36.0
    assert opened > 10


def test_what_cannot_be_a_home_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        Home(1, start=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ConfigError, match="steps of"):
        Home(1, start=START, step_s=0.0)
    with pytest.raises(ConfigError, match="negative"):
        Home(-1, start=START)
    with pytest.raises(ConfigError, match="can't do"):
        home().press("sideways")
