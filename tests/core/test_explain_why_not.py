"""Why not: the voice that stops an action, or what each rule that could ask for it waits for."""

import pytest

from appliance.core.clock import SECOND
from appliance.core.explain.recorded import recorded
from appliance.core.explain.what_if import surroundings
from appliance.core.explain.why_not import Account, why_not
from tests.core.home import PROFILE, RULE, House

SMOKE = """
[[rules]]
id = "smoke"
when = "pm2_5 > 150 and co2 < 900"
at_least = "high"
because = "smoke at {pm2_5}"
"""
RAISED = """
[[rules]]
id = "raised"
when = "pm2_5 > 10"
at_least = "low"
because = "{pm2_5} of dust"
"""
STUFFY = """
[[rules]]
id = "quiet"
when = "co2 > 1000"
at_most = "low"
because = "it shall be quiet at {co2}"
"""


def asked(house: House, action: str, *, past: bool = False) -> Account:
    now = house.start.plus(round(house.at * SECOND))
    around = surroundings(house.home, house.controller.state, "fan", now)
    return why_not(
        house.spec, house.last, action, recorded(house.spec, house.last, around) if past else around
    )


def heard(text: str, **values: float) -> House:
    house = House(PROFILE + text)
    house.report(1, "off")
    house.say(2, "air", **values)
    return house


@pytest.mark.parametrize("past", [False, True], ids=["now", "recorded"])
def test_what_nobody_asks_for_names_the_part_that_is_false_with_its_value(past) -> None:
    said = asked(heard(RAISED + SMOKE, pm25=12.3, co2=500), "high", past=past)
    assert said.sentence == (
        "not high, because nobody asks for more than low: smoke needs pm2_5 above 150 µg/m³, it is 12.3 µg/m³."
    )
    assert said.lines == (
        (
            "RULE rule smoke would want exactly high when pm2_5 above 150 µg/m³ and co2 below 900 ppm: "
            "needs pm2_5 above 150 µg/m³, it is 12.3 µg/m³"
        ),
    )


def test_what_is_unknown_is_said_to_be_unknown() -> None:
    said = asked(heard(SMOKE, pm25=160), "high")
    assert said.sentence.endswith("smoke needs co2 below 900 ppm, it is unknown.")


def test_a_rule_that_limits_it_is_named_with_who_wanted_it() -> None:
    said = asked(heard(RULE + STUFFY, pm25=40, co2=1200), "high")
    # Two rules of one authority contradict each other; the safe action of the two stands.
    assert said.sentence == (
        "not high, because rule quiet limits it to low: it shall be quiet at 1200 ppm; "
        "rule dusty wanted it (40 µg/m³ of dust)."
    )
    assert said.lines[0].endswith("it ends with co2 at most 1000 ppm, it is 1200 ppm")


def test_less_than_what_is_asked_for_names_who_asks_and_when_that_ends() -> None:
    said = asked(heard(RULE, pm25=40), "off")
    assert said.sentence == "not off, because rule dusty wants exactly high: 40 µg/m³ of dust."
    assert said.lines == (
        (
            "RULE rule dusty wants exactly high, because 40 µg/m³ of dust; "
            "it ends with pm2_5 below 20 µg/m³, it is 40 µg/m³"
        ),
    )


def test_a_person_is_the_reason_before_all_that_nobody_asks_for() -> None:
    house = heard(RULE, pm25=40)
    house.report(3, "9")
    house.person(10, "low", 600)
    assert asked(house, "high").sentence == (
        "not high, because a person chose low through the API, until 00:10; rule dusty wanted it (40 µg/m³ of dust)."
    )
    assert asked(house, "off").sentence == "not off, because a person chose low through the API, until 00:10."


def test_a_guard_is_named_where_it_keeps_on() -> None:
    house = heard(RULE + '[guards.minimum_on]\nfor = "10 min"\n', pm25=40)
    house.report(3, "9")
    house.say(32, "air", pm25=10)
    assert asked(house, "off").sentence.startswith("not off, because guard minimum_on wants at least low")


def test_an_action_that_no_rule_asks_for_is_a_persons() -> None:
    assert asked(heard(RAISED, pm25=12), "high").sentence == (
        "not high, because nobody asks for more than low, and no rule ever does: only a person can choose it."
    )
    assert "only a person enters one" in asked(heard(RAISED, pm25=12), "auto").sentence


def test_the_action_itself_is_explained() -> None:
    assert asked(heard(RAISED, pm25=12), "low").sentence == "It is low, because 12 µg/m³ of dust."


@pytest.mark.parametrize(
    ("when", "needs"),
    [
        ("pm2_5 > 50 or co2 > 800", "pm2_5 above 50 µg/m³ (it is 12 µg/m³) or co2 above 800 ppm (it is 500 ppm)"),
        ("not (pm2_5 < 50 and co2 > 400)", "pm2_5 at least 50 µg/m³ (it is 12 µg/m³) or co2 at most 400 ppm (it is 500 ppm)"),
        ("co2 > 400 for 5 min", "co2 above 400 ppm for 5 min, it is so for 0 s so far"),
        ("mean(co2, 1 min) > 600", "mean(co2, 60 s) above 600 ppm, it is unknown"),
        ("age(co2) > 2 min", "age(co2) above 2 min, it is 0 s"),
        ("co2 is unknown", "co2 unknown, it is 500 ppm"),
        ("time is between 22:00 and 07:00 and pm2_5 > 90", "pm2_5 above 90 µg/m³, it is 12 µg/m³"),
        ("day is saturday or day is sunday", "a Saturday (it is Thursday) or a Sunday (it is Thursday)"),
        ("state is low", "its state low, it is off"),
        ("state is unknown", "its state unknown, it is off"),
        ("not (state is off)", "not its state off, it is off"),
        ("time is between 12:00 and 13:30", "a time between 12:00 and 13:30, it is 00:00"),
    ],
)  # fmt: skip
def test_each_kind_of_condition_is_said_with_what_is_the_case(when, needs) -> None:
    text = f'[[rules]]\nid = "r"\nwhen = "{when}"\nat_least = "high"\nbecause = "b"\n'
    said = asked(heard(text, pm25=12, co2=500), "high").sentence
    assert said == f"not high, because nobody asks for more than off: r needs {needs}."


def test_an_action_that_needs_a_person_is_said_to_need_one() -> None:
    house = House(PROFILE.replace('rest = "off"', 'rest = "off"\nneeds_person = ["high"]') + RULE)
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    said = asked(house, "high").sentence
    assert said.endswith("(rule dusty recommends it: only a person may enter it).")
    assert "only a person" in said


def test_what_is_done_instead_of_resting_is_the_reason() -> None:
    instead = '[[fallback.instead]]\nwhen = "co2 is unknown"\nexactly = "low"\nbecause = "it is blind"\n'
    said = asked(heard(RULE + instead, pm25=10), "off")
    assert said.sentence == "not off, because rule fallback 1 wants exactly low: it is blind."
    assert said.lines == (
        "FALLBACK rule fallback 1 wants exactly low, because it is blind; it ends with co2 known, it is unknown",
    )


def test_an_alarm_says_that_it_waits_for_an_acknowledgement() -> None:
    alarm = """
[[rules]]
id = "alarm"
when = "co2 > 5000"
until = "co2 < 1000 and acknowledged"
at_least = "high"
authority = "LIFE_SAFETY"
because = "gas at {co2}"
"""
    house = heard(alarm, co2=6000)
    house.say(40, "air", co2=700)
    said = asked(house, "off")
    assert said.sentence.startswith("not off, because rule alarm wants exactly high: gas at")
    assert said.lines[0].endswith("it ends with a person's acknowledgement, nobody gave it yet")
