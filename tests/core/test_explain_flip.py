"""The nearest flip: it flips, nothing smaller does, and what is no value is named."""

import random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from appliance.core.clock import SECOND
from appliance.core.controller import Controller
from appliance.core.events import PersonSpoke
from appliance.core.explain.flip import Flips, flips
from appliance.core.explain.recorded import Recorded
from appliance.core.explain.searching import MOST_EVALUATIONS, grid, search
from appliance.core.explain.what_if import Live
from appliance.core.features import Feature, FeatureSpec
from appliance.core.home import Home
from appliance.core.quantities import QUANTITIES
from appliance.core.trust import Trust
from tests.core.home import PROFILE, RULE, House

VOC = QUANTITIES["voc_index"]
SMALL = (
    PROFILE.replace("[channels.co2]\n", '[channels.voc_index]\nmax_age = "5 min"\n[channels.temperature]\n')
    .replace('["off", "low", "high"]', '["off", "low", "high", "turbo"]')
    .replace(
        "high = {",
        'turbo = { set = { fan_mode = "5" }, seen = { fan_state = "on", fan_mode = "5" } }\nhigh = {',
    )
)
CHANNELS = dict.fromkeys(("pm2_5", "voc_index", "temperature"), (("zigbee2mqtt/air", None),))


def question(house: House) -> Live:
    return Live(house.home, house.controller.state, "fan", house.start.plus(round(house.at * SECOND)))


def asked(house: House) -> Flips:
    return flips(question(house), basis="rest on this test")


def rule(number: int, when: str, wish: str, until: str = "") -> str:
    until = f'until = "{until}"\n' if until else ""
    return f'[[rules]]\nid = "r{number}"\nwhen = "{when}"\n{until}{wish}\nbecause = "b"\n'


def some_rules(dice: random.Random) -> str:
    text = ""
    for number in range(dice.randint(1, 5)):
        low, high = sorted(dice.sample(range(1, 500), 2))
        when = dice.choice(
            [
                f"voc_index > {high}",
                f"voc_index >= {low} and voc_index < {high}",
                f"voc_index < {low}",
                f"voc_index > {low} and temperature > 20 °C",
                f"not (voc_index <= {high} or temperature < 19 °C)",
            ]
        )
        wish = dice.choice(
            [
                'at_least = "low"',
                'at_least = "high"',
                'exactly = "turbo"',
                'at_most = "low"',
                'exactly = "off"',
            ]
        )
        until = f"voc_index < {low}" if when == f"voc_index > {high}" and dice.random() < 0.6 else ""
        text += rule(number, when, wish, until)
    return text


@pytest.mark.parametrize("seed", range(40))
def test_the_flip_found_is_the_nearest_of_all_steps_and_applying_it_flips(seed) -> None:
    dice = random.Random(seed)
    house = House(SMALL + some_rules(dice), channels=CHANNELS)
    house.report(1, "off")
    at = 2.0
    for _ in range(dice.randint(1, 4)):
        house.say(at, "air", voc_index=dice.randint(1, 500), temperature=round(dice.uniform(17, 23), 2))
        at += 40
    asking = question(house)
    value = asking.around.value("voc_index")
    assert isinstance(value, float)
    decided = asking.decided()
    flipping = [step for step in range(1, 501) if asking.valued("voc_index", float(step)) != decided]
    found = next((change for change in asked(house).changes if change.channel == "voc_index"), None)
    if not flipping:
        assert found is None
        return
    assert found is not None
    assert found.exact
    assert found.steps == min(abs(step - value) for step in flipping)
    # Really said by the sensor, it leads to the action that was told.
    suppose = Controller(house.home, house.controller.state).suppose(
        "fan", {"voc_index": found.value}, asking.around.now
    )
    assert suppose is not None
    assert suppose.action == found.action != decided


@pytest.mark.parametrize("seed", range(12))
def test_where_a_window_looks_on_the_flip_flips_and_is_the_least_of_a_monotone_rule(seed) -> None:
    dice = random.Random(seed)
    limit = dice.randint(100, 300)
    text = rule(1, f"{dice.choice(['mean', 'max', 'min'])}(voc_index, 2 min) > {limit}", 'at_least = "high"')
    house = House(SMALL + text, channels=CHANNELS)
    house.report(1, "off")
    for at in range(2, 200, 30):
        house.say(at, "air", voc_index=dice.randint(limit - 80, limit))
    asking = question(house)
    value, decided = asking.around.value("voc_index"), asking.decided()
    assert isinstance(value, float)
    flipping = [step for step in range(1, 501) if asking.valued("voc_index", float(step)) != decided]
    found = next((change for change in asked(house).changes if change.channel == "voc_index"), None)
    assert (found is None) == (not flipping)
    if found is not None:
        assert not found.exact
        assert found.steps == min(abs(step - value) for step in flipping)


@pytest.mark.parametrize("value", [12.34, 35.04, 34.96])
def test_a_value_between_two_steps_flips_at_the_step_beside_the_threshold(value) -> None:
    quantity = QUANTITIES["pm2_5"]
    decided = "high" if value > 35 else "off"
    found = search(quantity, value, [35.0], lambda v: "high" if v > 35 else "off", decided, piecewise=True)
    assert found.value == (35.0 if value > 35 else 35.1)
    assert found.steps is not None
    assert abs(found.value - value) / 0.1 <= found.steps < abs(found.value - value) / 0.1 + 1


def test_a_sentinel_is_no_value_that_could_be_read() -> None:
    quantity = QUANTITIES["pm2_5"]
    found = search(quantity, 900.0, [999.8], lambda v: "high" if v > 999.8 else "off", "off", piecewise=True)
    assert found.value == 1000.0


@pytest.mark.parametrize("piecewise", [False, True])
@pytest.mark.parametrize(
    ("low", "high", "nearest"), [(240, 400, 239), (40, 260, 261), (240, 259, 260), (241, 260, 240)]
)
def test_of_the_flips_above_and_below_the_nearer_one_is_told(low, high, nearest, piecewise) -> None:
    def decide(value: float) -> str:
        return "low" if low <= value <= high else "off"

    found = search(VOC, 250.0, [low, high], decide, "low", piecewise=piecewise)
    assert (found.value, found.steps, found.exact) == (nearest, abs(nearest - 250), piecewise)
    unseen = search(VOC, 250.0, [], decide, "low", piecewise=False)
    assert unseen.value == nearest


def test_none_in_range_is_an_answer() -> None:
    found = search(VOC, 100.0, [], lambda v: "off", "off", piecewise=False)
    assert (found.value, found.whole) == (None, True)
    house = House(PROFILE + rule(1, "co2 > 1000", 'at_least = "high"'))
    house.report(1, "off")
    house.say(2, "air", co2=500)
    house.person(3, "off")
    said = asked(house)
    assert said.nearest is None
    assert said.lines()[0] == "nearest flip: none in range of any one known channel"


def test_the_search_is_bounded_and_says_when_it_did_not_come_to_its_end() -> None:
    calls = 0

    def decide(value: float) -> str:
        nonlocal calls
        calls += 1
        return "off"

    many = [float(limit) for limit in range(1, 500)]
    found = search(
        QUANTITIES["co2"], 600.0, [250.0 + 7 * limit for limit in many], decide, "off", piecewise=True
    )
    assert not found.whole
    assert calls == found.evaluations == MOST_EVALUATIONS
    late = search(VOC, 100.0, many, decide, "off", piecewise=True, expired=lambda: True)
    assert (late.whole, late.evaluations) == (False, 0)


def test_values_are_spelt_as_a_sensor_would_say_them() -> None:
    assert [grid(QUANTITIES["pm2_5"], step) for step in (3, 351, 1507)] == [0.3, 35.1, 150.7]
    assert grid(QUANTITIES["energy"], 3) == 0.0003


def test_an_override_that_ends_is_a_named_flip() -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    house.report(3, "9")
    house.person(60, "low", 600)
    said = asked(house)
    assert said.nearest is None
    assert [(named.what, named.action) for named in said.named] == [
        ("a person's override ends at 00:11", "high")
    ]


def test_a_guard_that_ends_is_a_named_flip() -> None:
    house = House(PROFILE + RULE + '[guards.minimum_on]\nfor = "10 min"\n')
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    house.report(3, "9")
    house.say(32, "air", pm25=10)
    said = asked(house)
    assert ("minimum_on ends in 9 min", "off") in [(named.what, named.action) for named in said.named]


def test_a_channel_that_would_become_unknown_is_a_named_flip_with_its_time() -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    house.report(3, "9")
    house.let_pass(62)
    (named,) = asked(house).named
    assert named.what == "pm2_5 becomes unknown in 4 min unless it is heard"
    assert named.action == "off"
    house.let_pass(2 + 300 + 1)
    assert house.last.action == named.action


def test_an_unknown_channel_is_told_apart_from_a_small_change() -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    house.let_pass(40)
    said = asked(house)
    assert said.nearest is None
    assert [(change.value, change.steps, change.action) for change in said.changes] == [(35.1, None, "high")]
    assert "pm2_5 is unknown; heard at 35.1 µg/m³: high" in said.lines()[1]


class Nose:
    """A model that smells people where CO₂ is above 800."""

    spec = FeatureSpec((Feature("co2", "mean", "co2", 120),))
    labels = ("nobody", "somebody")
    trust = Trust(labels, 0.8)

    def predict(self, rows):
        somebody = np.where(rows[:, 0] > 800, 0.9, 0.1).astype(np.float32)
        return np.stack([1 - somebody, somebody], axis=1)


def somebody() -> House:
    learned = '[channels.presence]\nmodel = "nose"\nwords = ["nobody", "somebody"]\n'
    text = PROFILE.replace("[fallback]", learned + "[fallback]") + rule(
        1, "presence is somebody", 'at_least = "high"'
    )
    house = House(text)
    house.home = Home([house.spec], {"nose": Nose()}, ZoneInfo("UTC"))
    house.controller = Controller(house.home, house.home.at_start({}, house.start))
    house.report(1, "off")
    house.say(2, "air", co2=900, pm25=3)
    assert house.last.action == "high"
    return house


def test_the_label_of_a_model_is_a_named_flip_and_what_the_model_looks_at_a_flip() -> None:
    said = asked(somebody())
    assert ("if presence were nobody", "off") in [(named.what, named.action) for named in said.named]
    nearest = said.nearest
    assert nearest is not None
    assert (nearest.channel, nearest.action, nearest.exact) == ("co2", "off", False)
    assert nearest.value < 800


WINDOW = PROFILE.replace(
    "[fallback]", '[channels.window]\nmetric = "contact"\nwords = { open = false, closed = true }\n[fallback]'
)
WINDOWED = {
    "pm2_5": (("zigbee2mqtt/air", None),),
    "co2": (("zigbee2mqtt/air", None),),
    "window": (("zigbee2mqtt/pane", None),),
}
SHUT = """
[[rules]]
id = "shut"
when = "window is open"
at_most = "low"
authority = "EQUIPMENT"
because = "the window is open"
"""


def test_a_word_of_a_sensor_is_a_named_flip_now_and_by_the_record() -> None:
    house = House(WINDOW + RULE + SHUT, channels=WINDOWED)
    house.report(1, "off")
    house.say(2, "pane", contact=False)
    house.say(3, "air", pm25=40)
    assert house.last.action == "low"
    for said in (asked(house), flips(Recorded(house.spec, house.last, question(house).around), basis="")):
        named = [(named.what, named.action) for named in said.named]
        assert ("if window were closed", "high") in named
        assert ("window becomes unknown in 2 h 59 min unless it is heard", "high") in named


def test_what_ends_an_override_until_a_condition_is_a_flip() -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    house.say(2, "air", pm25=10, co2=900)
    house.events(3, PersonSpoke("fan", "high", "http", until="co2 < 600"))
    house.say(10, "air", pm25=10, co2=890)
    said = asked(house)
    nearest = said.nearest
    assert nearest is not None
    assert (nearest.channel, nearest.value, nearest.action, nearest.exact) == ("co2", 599.0, "off", True)
    assert ("a person's override ends, once co2 < 600", "off") in [
        (one.what, one.action) for one in said.named
    ]
    house.say(200, "air", pm25=10, co2=600)
    assert house.last.action == "high"
    house.say(240, "air", pm25=10, co2=599)
    assert house.last.action == "off"


def test_an_override_without_an_end_is_named_so() -> None:
    house = House(PROFILE + RULE)
    house.report(1, "off")
    house.say(2, "air", pm25=40)
    house.events(3, PersonSpoke("fan", "low", "http", open_ended=True))
    assert ("a person hands it back", "high") in [(one.what, one.action) for one in asked(house).named]


def test_an_action_that_needs_a_person_is_no_flip_but_what_lies_below_it_is() -> None:
    text = PROFILE.replace('rest = "off"', 'rest = "off"\nneeds_person = ["high"]') + RULE
    house = House(text)
    house.report(1, "off")
    house.say(2, "air", pm25=10)
    nearest = asked(house).nearest
    assert nearest is not None
    assert (nearest.value, nearest.action) == (35.1, "low")
    house.say(40, "air", pm25=40)
    then = Recorded(house.spec, house.last, question(house).around)
    assert then.decided() == house.last.action == "low"


def test_what_is_done_instead_of_resting_flips_as_a_rule_does() -> None:
    text = (
        PROFILE + RULE + '[[fallback.instead]]\nwhen = "co2 is unknown"\nexactly = "low"\nbecause = "blind"\n'
    )
    house = House(text)
    house.report(1, "off")
    house.say(2, "air", pm25=10)
    assert house.last.action == "low"
    heard = next(change for change in asked(house).changes if change.channel == "co2")
    assert (heard.steps, heard.action) == (None, "off")
    then = Recorded(house.spec, house.last, question(house).around)
    assert then.decided() == "low"


def test_asking_changes_nothing() -> None:
    house = somebody()
    before, state = house.last, house.controller.state
    asked(house)
    assert house.controller.state is state
    assert house.last is before


@pytest.mark.parametrize("seed", range(20))
def test_by_what_was_recorded_the_flip_of_simple_rules_is_the_one_of_that_time(seed) -> None:
    dice = random.Random(1000 + seed)
    house = House(SMALL + some_rules(dice), channels=CHANNELS)
    house.report(1, "off")
    house.say(2, "air", voc_index=dice.randint(1, 500), temperature=round(dice.uniform(17, 23), 2))
    live = question(house)
    then = Recorded(house.spec, house.last, live.around)
    assert then.decided() == live.decided()
    values = [(change.channel, change.steps, change.action) for change in flips(live, basis="").changes]
    assert [
        (change.channel, change.steps, change.action) for change in flips(then, basis="").changes
    ] == values


def test_what_was_not_recorded_stands_as_it_was_said() -> None:
    house = House(PROFILE + rule(1, "mean(co2, 2 min) > 800", 'at_least = "high"') + RULE)
    house.report(1, "off")
    for at in range(2, 200, 20):
        house.say(at, "air", co2=900, pm25=10 + at % 3)
    assert house.last.action == "high"
    then = Recorded(house.spec, house.last, question(house).around)
    assert then.decided() == "high"
    said = flips(then, basis="")
    assert said.nearest is None
    assert [named.what.partition(" (")[0] for named in said.named] == ["without rule r1"]
