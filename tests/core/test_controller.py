"""The controller on one fan: commands, hands, overrides, restarts, and readings that must lead to nothing."""

from datetime import UTC

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import AskState, AvailabilityChanged, Keep, LinkChanged, Record, Remember, Tick
from appliance.core.explain import sentence
from appliance.core.home import Home
from tests.core.home import PROFILE, RULE, START, House, appliance_of


def dusty(guards: str = "") -> House:
    house = House(PROFILE + RULE + guards)
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    return house


def test_a_good_reading_above_the_limit_is_commanded_and_explained() -> None:
    house = dusty()
    assert house.commands == [(2, "high")]
    assert sentence(house.last) == "high, because 40 µg/m³ of dust."
    assert [seen.quality for seen in house.last.inputs] == ["good", "unknown"]


def test_the_same_decision_is_not_commanded_twice() -> None:
    house = dusty()
    house.report(3, "9")
    for at in range(10, 60, 10):
        house.say(at, "air", pm25=40 + at % 3)
    assert house.commands == [(2, "high")]


def test_hysteresis_holds_between_the_two_limits_and_ends_below_the_lower() -> None:
    house = dusty()
    house.report(3, "9")
    house.say(20, "air", pm25=25)
    assert house.last.action == "high"
    house.say(30, "air", pm25=19)
    assert house.commands[-1] == (30, "off")


def test_nothing_heard_since_boot_switches_nothing_on() -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    house.let_pass(3600)
    assert house.commands == []


def test_a_retained_reading_is_never_fresh() -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    house.say(2, "air", retain=True, pm25=400)
    assert house.commands == []
    assert house.last.inputs[0].reason == "retained"


def test_bad_values_change_nothing_until_the_last_good_one_is_too_old() -> None:
    house = dusty()
    house.report(3, "9")
    for at, value in ((10, -1), (20, 65535), (30, 99999), (40, None)):
        house.say(at, "air", pm25=value)
        assert house.last.action == "high"
    house.let_pass(400)
    assert house.commands[-1][1] == "off"
    assert sentence(house.last).startswith("off, because nobody asks (pm2_5 is unknown")


def test_a_silent_sensor_lets_go_when_its_age_is_up_and_not_at_the_next_bin() -> None:
    house = dusty()
    house.report(3, "9")
    house.let_pass(400)
    first_off = next(at for at, action in house.commands if action == "off")
    assert 302 <= first_off < 303


def test_a_hand_at_the_device_is_obeyed_for_its_time_and_then_ends() -> None:
    house = dusty()
    house.report(3, "9")
    house.report(60, "off")
    assert house.last.source == "person by device"
    assert sentence(house.last).startswith("off, because a person chose off at the device, until 00:11")
    for at in range(70, 640, 30):
        house.say(at, "air", pm25=40 + at % 7)
    assert house.commands == [(2, "high")]
    house.say(661, "air", pm25=44)
    assert [action for _, action in house.commands] == ["high", "high"]
    assert 660 <= house.commands[-1][0] <= 661


def test_a_second_hand_back_to_what_we_commanded_is_a_hand_too() -> None:
    house = dusty()
    house.report(3, "9")
    house.report(60, "off")
    house.report(120, "9")
    assert house.memory.override is not None
    assert house.memory.override.action == "high"
    assert len(house.commands) == 1


def test_an_echo_and_a_late_report_of_the_command_before_are_no_hands() -> None:
    house = dusty()
    house.report(2.05, "9")  # the bridge's optimistic echo
    house.report(2.4, "off")  # the device had not heard yet
    house.report(3.5, "9")
    house.let_pass(60)
    assert house.memory.override is None
    assert house.commands == [(2, "high")]


def test_a_retained_state_is_no_hand() -> None:
    house = dusty()
    house.report(3, "9")
    house.report(60, "off", retain=True)
    assert house.memory.override is None


def test_a_change_while_the_link_was_down_is_no_hand() -> None:
    house = dusty()
    house.report(3, "9")
    house.events(60, LinkChanged(False))
    house.events(90, LinkChanged(True))
    house.report(91, "off")
    assert house.memory.override is None
    assert house.commands[-1] == (91, "high")


def test_a_mode_chosen_at_the_device_is_left_alone_while_it_holds() -> None:
    house = dusty()
    house.report(3, "9")
    house.report(60, "auto")
    house.say(70, "air", pm25=41)
    assert house.last.action == "auto"
    assert house.commands == [(2, "high")]


def test_a_device_that_will_not_obey_is_tried_three_times_and_then_reported() -> None:
    house = dusty()
    house.let_pass(200)
    assert [action for _, action in house.commands] == ["high"] * 3
    assert house.commands[-1][0] < 12
    assert house.notices == ["zigbee2mqtt/fan was told high 3 times and reports off"]


def test_an_override_over_http_ends_at_its_time_and_by_command() -> None:
    house = dusty()
    house.report(3, "9")
    house.person(10, "low", for_s=60)
    house.report(11, "2")
    assert house.commands[-1] == (10, "low")
    house.let_pass(75)
    assert house.commands[-1][1] == "high"
    house.report(77, "9")
    house.person(100, "off", for_s=3600)
    house.report(101, "off")
    house.person(110, None)
    assert house.commands[-1] == (110, "high")


def test_minimum_times_hold_for_rules() -> None:
    house = House(
        PROFILE + RULE + '[guards.minimum_on]\nfor = "3 min"\n[guards.minimum_off]\nfor = "1 min"\n'
    )
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    house.say(50, "air", pm25=40.5)
    assert house.commands == []
    house.say(61, "air", pm25=41)
    assert house.commands == [(60, "high")]
    house.report(61.5, "9")
    house.say(100, "air", pm25=5)
    assert house.commands[-1] == (100, "low")
    house.report(101, "2")
    house.let_pass(300)
    first_off = next(at for at, action in house.commands if action == "off")
    assert 240 <= first_off <= 242


def test_switches_an_hour_are_limited_and_the_limit_lets_go() -> None:
    house = House(PROFILE + RULE + "[guards.switches]\nper_hour = 4\n")
    at = 1.0
    house.report(at, "off")
    for turn in range(12):
        at += 20
        high = turn % 2 == 0
        house.say(at, "air", pm25=40 + turn if high else 5 + turn / 10)
        at += 2
        if house.commands and house.commands[-1][0] == at - 2:
            house.report(at, "9" if house.commands[-1][1] == "high" else "off")
    assert len(house.commands) == 4


def test_a_restart_in_the_same_boot_keeps_override_and_timers() -> None:
    house = dusty('[guards.minimum_on]\nfor = "3 min"\n')
    house.report(3, "9")
    house.person(10, "low", for_s=600)
    house.report(11, "2")
    again = House(PROFILE + RULE, memory=house.memory, start=house.start.plus(60 * SECOND))
    again.report(1, "2")
    again.say(2, "air", pm25=3)
    assert again.last.source == "person by http"
    assert again.commands == []
    again.let_pass(560)
    assert again.last.action == "off"


def test_after_another_boot_the_appliance_counts_as_just_switched_off() -> None:
    house = dusty()
    other = Instant("boot-2", 5 * SECOND, START.wall_ns + 3600 * SECOND)
    again = House(PROFILE + RULE + '[guards.minimum_off]\nfor = "1 min"\n', memory=house.memory, start=other)
    again.report(1, "off")
    again.say(2, "air", pm25=40)
    assert again.commands == []
    again.say(62, "air", pm25=40.5)
    assert again.commands == [(60, "high")]


def test_a_cache_that_is_sent_again_after_our_command_refreshes_nothing() -> None:
    house = House(PROFILE + RULE, channels={"pm2_5": (("zigbee2mqtt/fan", None),)})
    house.say(1, "fan", pm25=40, fan_state="OFF", fan_mode="off")
    assert house.commands == [(1, "high")]
    good = house.controller.state.appliances["fan"].senses["pm2_5"].age_ns(house.start.plus(SECOND))
    house.say(2, "fan", pm25=40, fan_state="ON", fan_mode="9")
    sense = house.controller.state.appliances["fan"].senses["pm2_5"]
    assert good == 0
    assert sense.age_ns(house.start.plus(2 * SECOND)) == SECOND


def test_before_the_device_has_answered_only_a_person_commands() -> None:
    house = House(PROFILE + RULE)
    house.say(2, "air", pm25=40)
    assert house.commands == []
    house.person(5, "low")
    assert house.commands == [(5, "low")]


def test_supposing_changes_nothing() -> None:
    house = dusty()
    before = house.controller.state
    decision = house.controller.suppose("fan", {"pm2_5": 3.0}, house.start.plus(3 * SECOND))
    assert decision is not None
    assert decision.action == "off"
    assert house.controller.state is before


def test_one_wake_up_with_many_events_decides_as_many_wake_ups_with_one() -> None:
    together, apart = House(PROFILE + RULE), House(PROFILE + RULE)
    messages = [{"pm25": 40}, {"pm25": 10}, {"pm25": 50}]
    events = [event for payload in messages for event in _events(together, payload)]
    together.report(1, "off")
    apart.report(1, "off")
    together.events(2, *events)
    for event in events:
        apart.events(2, event)
    assert together.commands == apart.commands
    assert [(d.action, d.source, d.voices) for d in together.decisions] == [
        (d.action, d.source, d.voices) for d in apart.decisions
    ]


def _events(house: House, payload: dict[str, float]) -> list:
    import json

    from appliance.core.payloads.message import Message

    return house.intake.events([Message("zigbee2mqtt/air", json.dumps(payload).encode())])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reading", "reading", "reading", "person", "hand", "link"]),
        st.integers(1, 90),
        st.sampled_from([None, -1, 3, 15, 30, 40, 200]),
        st.sampled_from(["off", "2", "9"]),
    ),
    max_size=50,
)
MODES = {"off": "off", "low": "2", "high": "9", "auto": "auto"}


class Device:
    """A fan that obeys a second after each command. `log` is what it really did, and whether a hand did it."""

    def __init__(self, house: House) -> None:
        self.house, self.mode, self.log, self.seen = house, "off", [(0.0, "off", False)], 0

    def turn(self, at: float, mode: str, *, hand: bool) -> None:
        if mode != self.mode:
            self.mode = mode
            self.log.append((at, mode, hand))
        self.house.report(at, mode)

    def live(self, until: float) -> None:
        house = self.house
        while True:
            fresh, self.seen = house.commands[self.seen :], len(house.commands)
            for at, action in fresh:
                self.turn(at + 1.0, MODES[action], hand=False)
            wake = (house.controller.wake_at() - house.start.boottime_ns) / SECOND
            if len(house.commands) == self.seen and wake >= until:
                return
            if len(house.commands) == self.seen:
                house.events(max(wake, house.at), Tick())


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_rest_is_kept_and_switches_are_limited_whatever_happens(steps) -> None:
    """Judged from outside: by what the device really did."""
    house = House(PROFILE + RULE + '[guards.minimum_off]\nfor = "1 min"\n[guards.switches]\nper_hour = 6\n')
    device = Device(house)
    house.report(0.5, "off")
    at, people = 0.5, False
    for kind, seconds, value, mode in steps:
        at = max(at, house.at) + seconds
        device.live(at)
        if kind == "reading":
            house.say(at, "air", pm25=value)
        elif kind == "person":
            people = True
            house.person(at, {"off": "off", "2": "low", "9": "high"}[mode], 120)
        elif kind == "hand":
            people = True
            device.turn(at, mode, hand=True)
        else:
            house.events(at, LinkChanged(False), LinkChanged(True))
            house.report(at + 0.5, device.mode)
    device.live(at + 200)
    off_since = 0.0
    for when, mode, hand in device.log[1:]:
        if mode == "off":
            off_since = when
        elif not hand and device.log[device.log.index((when, mode, hand)) - 1][1] == "off":
            assert when - off_since >= 60
    if not people:
        ours = [when for when, _, hand in device.log[1:] if not hand]
        assert all(sum(1 for other in ours if when <= other < when + 3600) <= 7 for when in ours)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 120), st.sampled_from([None, "x", True, -1, 65535, 1e308, 99999.0])))
)
def test_readings_that_are_none_never_switch_on(values) -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    at = 1.0
    for seconds, value in values:
        at += seconds
        house.say(at, "air", pm25=value)
    assert house.commands == []


def test_a_mode_that_the_device_cannot_be_told_is_not_taken() -> None:
    house = House(PROFILE.replace("\nauto = {", "\n# auto = {") + RULE)
    house.report(1, "off")
    assert house.spec.ladder.modes == ()
    house.person(2, "auto")
    house.person(3, "loud")
    assert house.memory.override is None
    assert house.commands == []


def test_what_a_person_or_a_hand_said_is_remembered_even_where_nothing_is_commanded() -> None:
    house = dusty()
    house.report(3, "9")
    for say in (
        lambda: house.report(60, "off"),
        lambda: house.person(70, "off", 600),
        lambda: house.person(80, None),
    ):
        effects = say()
        assert [effect.memory for effect in effects if isinstance(effect, Remember)] == [house.memory]


def test_a_device_that_comes_back_is_commanded_again_and_so_is_one_that_a_person_speaks_for() -> None:
    house = dusty()
    house.let_pass(60)
    assert len(house.commands) == 3
    house.person(61, "high")
    assert len(house.commands) == 4
    house = dusty()
    house.let_pass(60)
    house.events(61, AvailabilityChanged("zigbee2mqtt/fan", False))
    house.events(62, AvailabilityChanged("zigbee2mqtt/fan", True))
    house.report(63, "off")
    assert house.commands[-1] == (63, "high")


def test_a_device_that_would_not_obey_is_tried_again_after_ten_minutes() -> None:
    house = dusty()
    for at in range(30, 700, 30):
        house.say(at, "air", pm25=40 + at % 7)
    assert [at for at, _ in house.commands[3:]] == [pytest.approx(608, abs=3)]


def test_a_hand_that_chooses_a_mode_is_not_fought_by_the_rest() -> None:
    house = House(PROFILE + RULE + '[guards.minimum_off]\nfor = "1 min"\n')
    house.report(1, "off")
    house.report(20, "auto")
    house.let_pass(100)
    assert house.commands == []


def test_a_report_in_two_messages_is_one_report() -> None:
    house = House(PROFILE + RULE)
    house.say(1, "fan", fan_state="ON")
    house.say(1.1, "fan", fan_mode="9")
    assert house.memory.reported == "high"


def test_a_message_that_a_newer_one_overtook_changes_nothing_and_a_clock_set_back_is_believed() -> None:
    house = House(PROFILE + RULE)
    house.report(0, "off")
    house.say(1, "air", pm25=12, last_seen="2026-01-01T00:00:10Z")
    house.say(2, "air", pm25=50, last_seen="2026-01-01T00:00:09Z")
    assert house.commands == []
    kept = [effect for _, effect in house.effects if isinstance(effect, Keep)]
    assert kept[-1].older
    assert [reason for _, _, reason in kept[-1].worth] == ["an older message"]
    house.say(3, "air", pm25=50, last_seen="2025-12-31T23:00:00Z")
    assert house.commands == []
    house.say(13, "air", pm25=50, last_seen="2025-12-31T23:00:10Z")
    assert house.commands == [(13, "high")]


def test_what_was_said_an_hour_ago_and_is_said_once_more_changes_nothing() -> None:
    """A bridge or a recording that sends its past again must not switch anything, and cost no reading of now."""
    house = House(PROFILE + RULE)
    house.report(0, "off")
    house.say(1, "air", pm25=12, last_seen="2026-01-01T12:00:00Z")
    for number in range(60):
        house.say(2 + number / 100, "air", pm25=50 + number, last_seen=f"2026-01-01T11:{number:02}:00Z")
    assert house.commands == []
    house.say(3, "air", pm25=40, last_seen="2026-01-01T12:00:02Z")
    assert house.commands == [(3, "high")]


@pytest.mark.parametrize("stamp", ["²³", "1" * 64, "yesterday", "2026-01-01T00:00:00", "-5", ""])
def test_a_stamp_that_is_none_costs_no_reading(stamp) -> None:
    house = House(PROFILE + RULE)
    house.report(0, "off")
    house.say(1, "air", pm25=12, last_seen=stamp)
    house.say(2, "air", pm25=50, last_seen=stamp + " ")
    house.say(3, "air", pm25=51, last_seen=stamp)
    assert house.commands == [(2, "high")]


def test_two_sensors_of_one_device_are_two_sources() -> None:
    house = House(
        PROFILE + RULE, channels={"pm2_5": (("zigbee2mqtt/air", "pm2_5"), ("zigbee2mqtt/air", "pm10"))}
    )
    house.report(1, "off")
    house.say(2, "air", pm25=30, pm10=60)
    assert house.last.inputs[0].value == 45


def test_a_question_that_was_lost_is_asked_again_and_no_more_once_it_is_answered() -> None:
    """A bridge that comes back after us hears no question of before; a device that is asked once would stand uncommanded."""
    house = House(PROFILE + RULE)
    house.say(1, "air", pm25=50)
    house.let_pass(300)
    asked = [round(at) for at, effect in house.effects if isinstance(effect, AskState)]
    assert asked == [0, 1, 2, 3, 5, 9, 17, 33, 65, 125, 185, 245]
    assert not house.commands
    house.report(301, "off")
    house.let_pass(600)
    assert sum(isinstance(effect, AskState) for _, effect in house.effects) == len(asked)
    assert house.commands


def test_a_device_that_is_known_to_be_away_is_not_asked_until_it_is_back() -> None:
    house = House(PROFILE + RULE)
    house.let_pass(1)
    house.events(1, AvailabilityChanged("zigbee2mqtt/fan", False, False))
    house.let_pass(300)
    house.events(300, AvailabilityChanged("zigbee2mqtt/fan", True, False))
    house.let_pass(304)
    assert [round(at) for at, effect in house.effects if isinstance(effect, AskState)] == [
        0,
        300,
        301,
        302,
        303,
    ]


def test_a_tick_of_a_large_home_leaves_room_for_readings_and_forgets_nobody() -> None:
    specs = [
        msgspec.structs.replace(appliance_of(PROFILE + RULE), id=f"fan{number}") for number in range(150)
    ]
    home = Home(specs, {}, UTC)
    start = Instant("b", 10**12, 10**18)
    controller = Controller(home, home.at_start({}, start))
    at, looked, turns = start.plus(40 * SECOND), set(), 0
    while controller.wake_at() <= at.boottime_ns:
        effects = controller.handle([Tick()], at)
        looked |= {effect.decision.appliance for effect in effects if isinstance(effect, Record)}
        turns += 1
        assert turns < 10, "a tick that is due for ever"
    assert turns > 1, "one turn for all of them keeps a reading waiting"
    assert looked == set(home.appliances)
