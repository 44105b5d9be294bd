"""The words of a rule: what they mean, in three truth values, and how a wrong one is refused."""

import pytest
from hypothesis import given, strategies as st

from appliance.core.conditions import Vocabulary, parse
from appliance.core.conditions.nodes import And, Node, Not, Or
from appliance.core.quantities import QUANTITIES
from appliance.errors import ProfileError
from tests.core.home import PROFILE, House, appliance_of

WORDS = Vocabulary(
    {"pm2_5": QUANTITIES["pm2_5"], "temperature": QUANTITIES["temperature"]},
    {"presence": ("nobody", "somebody")},
)


class Fixed(Node, frozen=True, tag=False):
    value: bool | None

    def truth(self, around: object) -> bool | None:
        return self.value


THREE = st.sampled_from([True, False, None])


@given(st.lists(THREE, min_size=1, max_size=5))
def test_and_or_not_follow_kleene(values) -> None:
    parts = tuple(Fixed(value) for value in values)
    assert And(parts).truth(None) == (False if False in values else None if None in values else True)
    assert Or(parts).truth(None) == (True if True in values else None if None in values else False)
    assert Not(parts[0]).truth(None) == (None if values[0] is None else not values[0])


@pytest.mark.parametrize(
    ("text", "column", "word"),
    [
        ("pm2_5 > ", 8, "number is missing"),
        ("pm25 > 3", 1, "no channel"),
        ("pm2_5 > 3 kg", 11, "no unit"),
        ("pm2_5 > 99999", 9, "never reaches"),
        ("temperature < -300 °C", 15, "never reaches"),
        ("mean(pm2_5, 10) > 3", 15, "unit of time"),
        ("pm2_5 > 3 for 5", 16, "unit of time"),
        ("not pm2_5 > 3 for 5 min", 15, "two ways"),
        ("presence is somebdy", 13, "never"),
        ("presence > 3", 10, "words, not numbers"),
        ("pm2_5 is high", 10, "number, not a word"),
        ("(pm2_5 > 3", 11, "missing"),
        ("pm2_5 > 3 pm2_5 > 4", 11, "no unit"),
        ("pm2_5 > 3 and", 14, "condition is missing"),
        ("time is between 25:00 and 07:00", 17, "time of day"),
        ("pm2_5 > 3 $", 11, "not understood"),
        ("rising(pm2_5) > 3", 18, "missing"),
        ("time is between 22:00 and 22:00", 27, "no time at all"),
        ("pm2_5 > 20000", 9, "never passes"),
        ("pm2_5 < 0", 9, "never passes"),
        ("max(pm2_5, 5 min) > 20 mg/m³", 21, "never passes"),
        ("rising(pm2_5) > 1000000000 per min", 17, "never reaches"),
        ("falling(temperature) < -100 °C per min", 24, "never reaches"),
        ("pm2_5 > 3 for " + "9" * 400 + " h", 15, "longer than a year"),
        ("age(pm2_5) > 9000 h", 14, "longer than a year"),
        ("mean(pm2_5, 30 h) > 3", 13, "windows keep 24 h"),
    ],
)
def test_a_wrong_condition_is_refused_with_a_caret_under_the_place(text, column, word) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(text, WORDS, where="rule x, when")
    assert f"column {column}:" in caught.value.message
    assert word in caught.value.message
    assert caught.value.message.splitlines()[-1] == "    " + " " * (column - 1) + "^"
    assert caught.value.hint


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused_and_never_crashes(text) -> None:
    try:
        parse(text, WORDS, where="x")
    except ProfileError:
        return


@given(
    st.lists(
        st.sampled_from(
            [
                "pm2_5",
                "presence",
                "is",
                "not",
                "and",
                "or",
                "(",
                ")",
                ">",
                "<",
                "3",
                "for",
                "5",
                "min",
                "mean",
                "age",
                ",",
                "somebody",
                "unknown",
                "time",
                "between",
                "22:00",
                "per",
            ]
        ),
        max_size=25,
    )
)
def test_any_words_are_parsed_or_refused_and_never_crash(words) -> None:
    try:
        parse(" ".join(words), WORDS, where="x")
    except ProfileError:
        return


@pytest.mark.parametrize(
    "text",
    ["(" * 50 + "pm2_5 > 3" + ")" * 50, "not " * 50 + "pm2_5 > 3", "pm2_5 > 3 and " * 60 + "pm2_5 > 3"],
)
def test_length_and_depth_are_bounded(text) -> None:
    with pytest.raises(ProfileError):
        parse(text, WORDS, where="x")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("pm2_5 > 3 AND pm2_5 < 9", "words are lower case"),
        ("Not pm2_5 > 3", "words are lower case"),
        ("time is between 22:00 and 24:00", "midnight is 00:00"),
    ],
)
def test_an_ordinary_slip_is_answered_with_what_to_write(text, remedy) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(text, WORDS, where="x")
    assert remedy in caught.value.hint


def test_as_many_brackets_as_are_allowed_are_read_and_one_more_is_not() -> None:
    parse("(" * 12 + "pm2_5 > 3" + ")" * 12, WORDS, where="x")
    with pytest.raises(ProfileError, match="more than 12 brackets"):
        parse("(" * 13 + "pm2_5 > 3" + ")" * 13, WORDS, where="x")


def rule(when: str, extra: str = "") -> str:
    return PROFILE + f'[[rules]]\nid = "r"\nwhen = "{when}"\nat_least = "high"\nbecause = "so"\n{extra}'


def test_units_are_converted() -> None:
    when = appliance_of(rule("pm2_5 > 0.035 mg/m³")).rules[0].when
    assert when.threshold == 35.0  # type: ignore[attr-defined]


def test_for_needs_the_whole_time_and_unknown_restarts_it() -> None:
    house = House(rule("pm2_5 > 35 for 2 min"))
    house.report(1, "off")
    for at in (10, 60, 120):
        house.say(at, "air", pm25=40 + at / 100)
    assert house.commands == []
    house.let_pass(131)
    assert [action for _, action in house.commands] == ["high"]
    house = House(rule("pm2_5 > 35 for 6 min"))
    house.report(1, "off")
    house.say(10, "air", pm25=40)
    house.let_pass(330)  # unknown from 310 on
    house.say(340, "air", pm25=41)
    house.say(600, "air", pm25=42)
    assert house.commands == []


def test_a_mean_over_time_is_unknown_until_the_time_is_full() -> None:
    house = House(rule("mean(pm2_5, 2 min) > 35"))
    house.report(1, "off")
    for at in range(10, 80, 10):
        house.say(at, "air", pm25=40 + at / 100)
    assert house.commands == []
    for at in range(80, 160, 10):
        house.say(at, "air", pm25=40 + at / 100)
    assert [action for _, action in house.commands][:1] == ["high"]


def test_times_of_day_reach_across_midnight() -> None:
    house = House(rule("time is between 23:00 and 00:10"))
    house.report(1, "off")
    assert [action for _, action in house.commands] == ["high"]
    house.report(2, "9")
    house.let_pass(700)
    assert house.commands[-1][1] == "off"


def test_is_unknown_is_true_before_anything_was_heard() -> None:
    house = House(rule("pm2_5 is unknown"))
    house.report(1, "off")
    assert [action for _, action in house.commands] == ["high"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (rule("pm2_5 > 3", 'at_most = "low"\n'), "lies above"),
        (rule("pm2_5 > 3", 'exactly = "low"\n'), "excludes"),
        (rule("pm2_5 > 3").replace('because = "so"', 'because = "{dust}"'), "no channel"),
        (rule("pm2_5 > 3").replace('because = "so"', 'because = " "'), "empty"),
        (rule("pm2_5 > 3").replace('at_least = "high"', 'at_least = "full"'), "no action"),
        (rule("pm2_5 > 3", 'authority = "MANUAL"\n'), "no rule speaks"),
        (rule("pm2_5 > 3") + rule("pm2_5 > 3")[len(PROFILE) :], "same id"),
        (PROFILE + '[guards.nothing]\nfor = "1 min"\n', "no guard"),
        (PROFILE + '[guards.minimum_on]\nfor = "1"\n', "no duration"),
        (PROFILE + "[guards.minimum_on]\nfor = '" + "9" * 400 + " s'\n", "longer than a year"),
        (PROFILE.replace('hold = "10 min"', 'hold = "25 h"'), "longer than a day"),
        (PROFILE.replace('modes = ["auto"]', 'modes = ["unknown"]'), "'unknown' is a word of the rules"),
        (PROFILE.replace('"high"]', '"high", "not"]'), "'not' is a word of the rules"),
        (
            PROFILE.replace("[fallback]", "[channels.tank]\nwords = { unknown = 1, full = 2 }\n[fallback]"),
            "'unknown' is a word of the rules",
        ),
        (
            PROFILE.replace(
                "[fallback]", "[channels.tank]\nwords = { 'half full' = 1, full = 2 }\n[fallback]"
            ),
            "can't say 'half full'",
        ),
        (PROFILE.replace("[channels.co2]", "[channels.'my room']\nquantity = 'co2'"), "can't name 'my room'"),
        (PROFILE.replace("[channels.co2]", "[channels.rising]\nquantity = 'co2'"), "a word of the rules"),
        (PROFILE.replace("[channels.co2]", "[channels.And]\nquantity = 'co2'"), "can't name 'And'"),
        (PROFILE + "[guards.switches]\nper_hour = 0\n", "per_hour"),
        (
            PROFILE.replace('safe = "off"', 'safe = "high"') + '[guards.minimum_off]\nfor = "1 min"\n',
            "safe action",
        ),
        (PROFILE.replace("[channels.co2]", "[channels.cow]"), "no quantity"),
        (PROFILE.replace('rest = "off"', 'rest = "of"'), "no action"),
        (PROFILE.replace("off = { set", "of = { set"), "nobody says how"),
        (PROFILE.replace('title = "A fan"', ""), "title"),
        ("colour = 3\n" + PROFILE, "colour"),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused_with_a_remedy(text, word) -> None:
    with pytest.raises(ProfileError) as caught:
        appliance_of(text)
    assert word in caught.value.message
    assert caught.value.hint


def test_a_stronger_rule_cannot_be_changed_by_a_config() -> None:
    text = rule("pm2_5 > 3", 'authority = "EQUIPMENT"\n')
    with pytest.raises(ProfileError, match="can't be changed"):
        appliance_of(text, rules={"r": {"when": "pm2_5 > 5"}})
    with pytest.raises(ProfileError, match="must speak as RULE"):
        appliance_of(
            PROFILE,
            rules={
                "mine": {"when": "pm2_5 > 5", "at_least": "low", "because": "x", "authority": "EQUIPMENT"}
            },
        )


def test_a_rule_of_a_config_replaces_only_what_it_names() -> None:
    changed = appliance_of(rule("pm2_5 > 3"), rules={"r": {"when": "pm2_5 > 5"}}).rules[0]
    assert changed.when.threshold == 5.0  # type: ignore[attr-defined]
    assert changed.because == "so"


def test_a_config_gives_no_rule_another_id() -> None:
    with pytest.raises(ProfileError, match="another id") as caught:
        appliance_of(rule("pm2_5 > 3"), rules={"r": {"id": "other"}})
    assert (caught.value.rule, caught.value.key) == ("r", "id")


@pytest.mark.parametrize("name", ["", "1st", "so bad", "a#1", "ä", "x" * 65, "r\n"])
def test_an_id_of_a_rule_is_a_plain_name(name) -> None:
    with pytest.raises(ProfileError, match="no id of a rule"):
        appliance_of(PROFILE, rules={name: {"when": "pm2_5 > 5", "at_least": "low", "because": "x"}})


def test_a_config_lowers_how_far_a_rule_goes_and_never_raises_it() -> None:
    careful = rule("pm2_5 > 3", 'standing = "recommend"\n')
    with pytest.raises(ProfileError, match="no further than 'recommend'") as caught:
        appliance_of(careful, rules={"r": {"standing": "act"}})
    assert (caught.value.rule, caught.value.key) == ("r", "standing")
    assert "never raise" in caught.value.hint
    assert appliance_of(careful, rules={"r": {"standing": "off"}}).rules[0].standing == "off"


def test_a_misspelt_rule_of_a_config_is_refused_by_its_name() -> None:
    with pytest.raises(ProfileError, match="rule smok: ") as caught:
        appliance_of(rule("pm2_5 > 3"), rules={"smok": {"when": "pm2_5 > 5"}})
    assert "r" in caught.value.hint
