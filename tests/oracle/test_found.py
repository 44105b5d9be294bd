"""What the walk found in the core, each in its smallest form."""

from appliance.core.clock import SECOND, Instant
from appliance.core.events import LinkChanged
from tests.core.home import PROFILE, RULE, START, House

REST = '[guards.minimum_off]\nfor = "1 min"\n'
RUN = '[guards.minimum_on]\nfor = "3 min"\n'
OTHER = Instant("boot-2", 5 * SECOND, START.wall_ns + 3600 * SECOND)


def running(guards: str) -> House:
    house = House(PROFILE + RULE + guards)
    house.report(1, "off")
    house.say(100, "air", pm25=40)
    house.report(101, "9")
    return house


def test_after_a_reboot_what_it_did_before_is_no_reason_to_skip_its_rest() -> None:
    again = House(PROFILE + RULE + REST, memory=running(REST).memory, start=OTHER)
    again.person(2, "low")
    assert again.commands == []
    again.let_pass(62)
    assert again.commands[0] == (60, "low")


def test_a_retained_state_after_a_reboot_is_no_reason_to_skip_its_rest() -> None:
    again = House(PROFILE + RULE + REST, start=OTHER)
    again.report(1, "9", retain=True)
    again.person(2, "low")
    assert again.commands == []


def test_a_late_report_of_off_takes_back_no_mode_that_a_person_just_chose() -> None:
    house = running(REST)
    house.person(300, "auto")
    house.report(301, "off")
    house.say(302, "air", pm25=41)
    assert [action for _, action in house.commands] == ["high", "auto"]


def test_a_mode_that_ends_right_after_the_start_leaves_it_running_for_its_time() -> None:
    house = House(PROFILE + RULE + RUN)
    house.report(1, "off")
    house.person(10, "auto", for_s=20)
    house.report(11, "auto")
    house.let_pass(100)
    assert house.commands[-1][1] == "low"


def test_a_try_that_may_be_the_one_obeyed_starts_the_minimum_time_anew() -> None:
    house = House(PROFILE + RULE + RUN)
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    for at in range(60, 600, 60):
        house.say(at, "air", pm25=40 + at / 100)
    house.let_pass(609)
    assert 600 <= house.commands[-1][0] <= 609
    house.say(610, "air", pm25=5)
    assert house.commands[-1][1] != "off"


def test_tries_of_what_nobody_wants_any_more_are_not_counted_against_an_alarm() -> None:
    alarm = RULE.replace('id = "dusty"', 'id = "dusty"\nauthority = "LIFE_SAFETY"')
    house = House(PROFILE + alarm)
    house.report(1, "off")
    house.events(2, LinkChanged(True))
    house.person(3, "high", for_s=8)
    house.let_pass(300)
    before = len(house.commands)
    house.say(301, "air", pm25=40)
    house.let_pass(320)
    assert [action for _, action in house.commands[before:]] == ["high"] * 3


def test_where_it_needs_a_person_to_go_up_it_still_goes_back_by_itself() -> None:
    text = PROFILE.replace('hold = "10 min"', 'hold = "10 min"\nneeds_person = ["low", "high"]')
    house = House(text + RULE.replace('at_least = "high"', 'exactly = "low"'))
    house.report(1, "off")
    house.person(2, "high", for_s=60)
    house.report(3, "9")
    house.say(30, "air", pm25=40)
    house.let_pass(64)
    assert house.commands[-1] == (62, "low")


def test_a_late_try_on_its_way_is_not_forgotten_as_a_person_speaks() -> None:
    house = running(REST)
    house.person(300, "off", for_s=3600)
    house.let_pass(909)
    late, action = house.commands[-1]
    assert (late, action) > (900, "off")
    house.person(late + 1, "low")
    assert house.commands[-1] == (late, "off")
