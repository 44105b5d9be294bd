"""Voices and their reach: who may act, who only recommends, what only a person enters, and what a person says."""

from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from appliance.core.arbitration import Authority
from appliance.core.clock import SECOND, Instant
from appliance.core.events import (
    AdviceAnswered,
    AlarmAcknowledged,
    Memory,
    PersonSpoke,
    Recommend,
    Record,
    Repeat,
    SendCommand,
    Tick,
)
from appliance.core.overrides import begin, in_force
from appliance.errors import ProfileError
from tests.core.home import PROFILE, RULE, START, House, appliance_of

NEEDS = PROFILE.replace('rest = "off"', 'rest = "off"\nneeds_person = ["high"]')
RAISED = """
[[rules]]
id = "raised"
when = "pm2_5 > 12"
at_least = "low"
because = "{pm2_5}"
"""
ALARM = """
[[rules]]
id = "smoke"
when = "pm2_5 > 150"
until = "acknowledged and pm2_5 < 100"
at_least = "high"
authority = "LIFE_SAFETY"
because = "smoke: {pm2_5}"
"""


def air(house: House, at: float, value: float) -> None:
    house.say(at, "air", pm25=value)


def test_an_action_that_needs_a_person_is_recommended_and_not_entered() -> None:
    house = House(NEEDS + RULE)
    house.report(0, "off")
    air(house, 1, 50)
    assert house.commands == [(1, "low")]
    assert [advice.action for advice in house.memory.advice] == ["high"]
    assert any(not voice.acts and voice.at_least == "high" for voice in house.last.voices)


def test_an_accepted_recommendation_is_done_and_its_rule_may_keep_it() -> None:
    house = House(NEEDS + RULE)
    house.report(0, "off")
    air(house, 1, 50)
    house.report(2, "2")
    house.events(5, AdviceAnswered("fan", "rule dusty", accepted=True, by="http"))
    assert house.commands[-1] == (5, "high")
    house.report(6, "9")
    for at in range(60, 700, 60):
        air(house, at, 50)
    # The override is over after ten minutes; who is there already, may stay.
    assert house.memory.override is None
    assert house.last.action == "high"
    assert house.last.source == "rule dusty"


def test_of_all_that_is_recommended_the_strongest_is_done() -> None:
    """A rule that recommends stands first in the profile; what protects the device, and needs a person too, before it."""
    strong = RULE.replace("dusty", "strong").replace(
        'at_least = "high"', 'exactly = "high"\nauthority = "EQUIPMENT"'
    )
    weak = RULE.replace("dusty", "weak").replace(
        'at_least = "high"', 'exactly = "off"\nstanding = "recommend"'
    )
    house = House(NEEDS + weak + strong)
    house.report(0, "off")
    air(house, 1, 50)
    assert [one.source for one in house.memory.advice] == ["rule strong", "rule weak"]
    house.events(5, AdviceAnswered("fan", None, accepted=True, by="http"))
    assert house.memory.override is not None
    assert house.memory.override.action == "high"


def test_a_dismissed_recommendation_is_not_said_again_before_its_reason_has_gone() -> None:
    house = House(NEEDS + RULE)
    house.report(0, "off")
    air(house, 1, 50)
    house.events(5, AdviceAnswered("fan", None, accepted=False, by="http"))
    air(house, 60, 51)
    assert all(advice.answered for advice in house.memory.advice)
    air(house, 120, 15)
    assert house.memory.advice == ()
    air(house, 180, 50)
    assert [advice.answered for advice in house.memory.advice] == [False]


def test_a_recommendation_without_an_answer_is_taken_back_after_an_hour() -> None:
    house = House(NEEDS + RULE)
    house.report(0, "off")
    for at in range(0, 3700, 60):
        air(house, at + 1, 50 + at % 7)
    told = [effect.advice for _, effect in house.effects if isinstance(effect, Recommend)]
    assert [len(advice) for advice in told] == [1, 0]
    house.events(3701, AdviceAnswered("fan", None, accepted=True, by="http"))
    assert house.memory.override is None


@pytest.mark.parametrize("voices", [{"rules": "recommend"}, {"rules": "off"}])
def test_where_no_rule_may_act_nothing_is_commanded(voices) -> None:
    house = House(PROFILE + RULE, voices=voices)
    house.report(0, "off")
    air(house, 1, 50)
    assert house.commands == []
    assert house.last.action is None
    assert len(house.memory.advice) == (1 if voices["rules"] == "recommend" else 0)


def test_where_no_rule_may_act_going_back_to_rest_is_recommended_to_a_person() -> None:
    house = House(PROFILE + RULE, voices={"rules": "recommend"})
    house.report(0, "off")
    air(house, 1, 50)
    house.events(2, AdviceAnswered("fan", None, accepted=True, by="http"))
    house.report(3, "9")
    for at in range(60, 700, 60):
        air(house, at, 5)
    assert house.last.action is None
    assert [(advice.source, advice.action) for advice in house.memory.advice] == [("fallback", "off")]


def test_of_equal_voices_that_recommend_the_one_that_asks_for_most_is_accepted_first() -> None:
    house = House(PROFILE + RAISED + RULE, voices={"rules": "recommend"})
    house.report(0, "off")
    air(house, 1, 50)
    house.events(2, AdviceAnswered("fan", None, accepted=True, by="http"))
    assert house.memory.override.action == "high"


def test_a_config_cannot_let_a_voice_go_further_than_its_profile() -> None:
    profile = PROFILE + RULE + '[voices]\nrules = "recommend"\n'
    house = House(profile, voices={"rules": "act"})
    house.report(0, "off")
    air(house, 1, 50)
    assert house.commands == []


def test_life_safety_acts_whatever_the_voices_say_and_enters_what_needs_a_person() -> None:
    house = House(NEEDS + ALARM, voices={"rules": "off"})
    house.report(0, "off")
    air(house, 1, 200)
    air(house, 2, 200)
    assert house.commands[-1][1] == "high"


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ('needs_person = ["low"]', "one end"),
        ('needs_person = ["off"]', "without rest"),
        ('needs_person = ["warp"]', "no action"),
        ('[voices]\nrules = "perhaps"', "voices"),
        ('[ends]\n"it is cosy" = "cosiness > 3"', "cosy"),
        ('[[invariants]]\nid = "x"\nwhen = "pm2_5 > 3"\nbecause = "y"', "asks for nothing"),
        (
            '[[invariants]]\nid = "x"\nwhen = "pm2_5 > 3"\nat_most = "low"\nunless = ["BOSS"]\nbecause = "y"',
            "no authority",
        ),
        ('[channels.state]\nquantity = "co2"', "word of the rules"),
        ("[channels.window]\nwords = { open = false, closed = false }", "same meaning"),
        ('[guards.exclusion]\nwith = "heater"', "exclusions"),
        ('[guards.feedback]\nchannel = "co2"\non_above = "1 W"\noff_below = "5 W"', "measures power"),
        ('[guards.longest_run]\nfor = "8 h"', "durations"),
        ('[lease]\nfor = "10 min"\nrequired = true', "would go on"),
    ],
)
def test_a_profile_that_gives_a_voice_what_it_cannot_have_is_refused(lines, word) -> None:
    top, _, rest = PROFILE.partition("[channels.pm2_5]")
    text = top + lines + "\n[channels.pm2_5]" + rest if lines.startswith("needs") else PROFILE + lines
    with pytest.raises(ProfileError) as refused:
        appliance_of(text)
    assert word in str(refused.value)


# ---------------------------------------------------------------- alarms


def test_an_alarm_goes_on_until_its_cause_is_gone_and_a_person_saw_it() -> None:
    house = House(PROFILE + ALARM)
    house.report(0, "off")
    air(house, 1, 200)
    air(house, 2, 200)
    house.report(3, "9")
    air(house, 60, 20)
    assert house.last.source == "rule smoke"
    house.events(61, AlarmAcknowledged("fan", "smoke", "http"))
    assert house.last.action == "off"
    assert house.memory.acknowledged == ()
    assert [text for text in house.notices if "alarm" in text] == ["alarm: rule smoke: smoke: 200 µg/m³"]


def test_an_alarm_acknowledged_while_its_cause_lasts_ends_with_the_cause() -> None:
    house = House(PROFILE + ALARM)
    house.report(0, "off")
    air(house, 1, 200)
    air(house, 2, 200)
    house.events(3, AlarmAcknowledged("fan", None, "http"))
    assert house.last.action == "high"
    air(house, 60, 20)
    assert house.last.action == "off"
    # The next one needs a word of its own.
    air(house, 120, 200)
    air(house, 130, 200)
    air(house, 180, 20)
    assert house.last.source == "rule smoke"


def test_an_acknowledgement_of_what_does_not_sound_is_worth_nothing_later() -> None:
    house = House(PROFILE + ALARM)
    house.report(0, "off")
    house.events(1, AlarmAcknowledged("fan", "smoke", "http"))
    air(house, 2, 200)
    air(house, 3, 200)
    air(house, 60, 20)
    assert house.last.source == "rule smoke"


def test_an_alarm_outlives_a_restart_and_an_unknown_sensor() -> None:
    house = House(PROFILE + ALARM)
    house.report(0, "off")
    air(house, 1, 200)
    air(house, 2, 200)
    memory = msgspec.msgpack.decode(msgspec.msgpack.encode(house.memory), type=Memory)
    again = House(PROFILE + ALARM, memory=memory, start=START.plus(60 * SECOND))
    again.report(1, "9")
    assert again.last.source == "rule smoke"


def test_only_an_alarm_may_wait_for_an_acknowledgement() -> None:
    with pytest.raises(ProfileError, match="acknowledged"):
        appliance_of(PROFILE + RULE.replace('until = "pm2_5 < 20"', 'until = "acknowledged"'))


# ---------------------------------------------------------------- overrides

ZONE = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "until", "hours"),
    [
        (
            1_774_731_600,
            "07:00",
            8.0,
        ),  # 28 March 2026, 22:00 in Berlin: the night in which an hour is skipped
        (1_767_225_600, "07:00", 6.0),  # 1 January 2026, 01:00 in Berlin
        (1_792_872_000, "07:00", 10.0),  # 24 October 2026, 22:00 in Berlin: the night with an hour more
        (1_767_225_600, "01:00", 24.0),
        (1_792_891_800, "02:45", 0.25),  # 25 October 2026, 02:30 in Berlin for the second time
        (1_792_889_400, "02:10", 20 / 60),  # 02:50 for the first time: 02:10 comes once more
    ],
)
def test_until_a_time_of_day_means_the_clock_on_the_wall_also_across_a_clock_change(
    now, until, hours
) -> None:
    at = Instant("b", 0, now * SECOND)
    override = begin("low", "http", at, SECOND, until=until, zone=ZONE)
    assert (override.until.wall_ns - at.wall_ns) / 3600 / SECOND == hours
    # A clock step to beyond it ends it, though no time passed.
    assert in_force(override, at)
    assert not in_force(override, Instant("b", 1, override.until.wall_ns))


def test_an_override_until_a_condition_ends_when_that_is_true() -> None:
    house = House(PROFILE + RULE + '[ends]\n"the air is clean" = "pm2_5 < 5"\n')
    house.report(0, "off")
    house.events(1, PersonSpoke("fan", "high", "http", until="the air is clean"))
    house.report(2, "9")
    for at in range(60, 7200, 60):
        air(house, at, 9)
    assert house.last.action == "high"
    assert "until the air is clean" in house.last.because
    air(house, 7200, 4)
    assert house.last.action == "off"
    assert house.memory.override is None


def test_a_condition_that_never_comes_true_holds_a_day_at_most() -> None:
    house = House(PROFILE + RULE)
    house.report(0, "off")
    house.events(1, PersonSpoke("fan", "high", "http", until="pm2_5 < 5"))
    house.report(2, "9")
    house.let_pass(86_399)
    assert house.last.action == "high"
    house.let_pass(86_500)
    assert house.last.action == "off"


def test_until_they_say_otherwise_outlives_days_and_a_reboot() -> None:
    house = House(PROFILE)
    house.report(0, "off")
    house.events(1, PersonSpoke("fan", "low", "http", open_ended=True))
    house.report(2, "2")
    house.let_pass(3 * 86_400)
    assert house.last.source == "person by http"
    again = House(PROFILE, memory=house.memory, start=Instant("boot-2", 0, START.wall_ns + 10**15))
    again.report(1, "2")
    assert again.last.source == "person by http"
    again.person(2, None)
    assert again.last.source != "person by http"


def test_an_override_whose_action_a_new_config_lacks_ends() -> None:
    house = House(PROFILE)
    house.report(0, "off")
    house.person(1, "high", 3600)
    without = PROFILE.replace('"off", "low", "high"', '"off", "low"').replace("high = {", "#")
    again = House(without, memory=house.memory, start=START.plus(10 * SECOND))
    again.report(1, "2")
    assert again.memory.override is None


def test_a_hand_over_is_bumpless_in_both_directions() -> None:
    house = House(PROFILE + RAISED + '[guards.minimum_on]\nfor = "3 min"\n')
    house.report(0, "off")
    air(house, 1, 20)
    house.report(2, "2")
    before = len(house.commands)
    house.report(30, "9")
    assert len(house.commands) == before, "a hand is not answered by a command"
    for at in range(60, 690, 30):
        air(house, at, 20 + at % 3)
        if len(house.commands) > before:
            house.report(at + 1, "2")
    # When the hand's time is over, one command leads back, and none beyond it.
    assert [action for _, action in house.commands[before:]] == ["low"]


# ---------------------------------------------------------------- the one place where commands leave

RULES = st.lists(
    st.tuples(
        st.sampled_from([">", "<"]),
        st.integers(1, 60),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from(["RULE", "EQUIPMENT", "LIFE_SAFETY"]),
        st.sampled_from(["act", "recommend", "off"]),
    ),
    max_size=5,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("air"), st.integers(0, 70)),
        st.tuples(st.just("report"), st.integers(0, 3)),
        st.tuples(st.just("person"), st.integers(-1, 3)),
        st.tuples(st.just("answer"), st.booleans()),
        st.tuples(st.just("wait"), st.integers(1, 4000)),
    ),
    max_size=25,
)
LEVELS = ("off", "low", "mid", "high")
FOUR = """
name = "fan"
title = "A fan"
actions = ["off", "low", "mid", "high"]
rest = "off"
safe = "off"
hold = "10 min"
{needs}
[channels.pm2_5]
[fallback]
because = "nobody asks"
""" + "".join(
    f'[commands.zigbee2mqtt.{name}]\nset = {{ fan_mode = "{name}" }}\nseen = {{ fan_mode = "{name}" }}\n'
    for name in LEVELS
)


@settings(max_examples=300, deadline=None)
@given(rules=RULES, needed=st.integers(0, 3), steps=STEPS)
def test_no_command_leaves_that_no_voice_had_the_authority_for(rules, needed, steps) -> None:
    needs = list(LEVELS[4 - needed :]) if needed else []
    text = FOUR.replace("{needs}", f"needs_person = {needs}" if needs else "")
    for number, (op, limit, low, high, authority, standing) in enumerate(rules):
        low, high = sorted((low, high))  # noqa: PLW2901
        if (low, high) != (0, 3):
            text += (
                f'[[rules]]\nid = "r{number}"\nwhen = "pm2_5 {op} {limit}"\nat_least = "{LEVELS[low]}"\n'
                f'at_most = "{LEVELS[high]}"\nauthority = "{authority}"\nstanding = "{standing}"\nbecause = "b"\n'
            )
    house = House(text, channels={"pm2_5": (("zigbee2mqtt/air", None),)})
    house.say(0, "fan", fan_mode="off")
    at, doing = 1.0, "off"
    for what, value in steps:
        at += value if what == "wait" else 1.0
        first = len(house.effects)
        match what:
            case "air":
                air(house, at, value)
            case "report":
                doing = LEVELS[value]
                house.say(at, "fan", fan_mode=doing)
            case "person":
                house.person(at, None if value < 0 else LEVELS[value])
            case "answer":
                house.let_pass(at)
                house.events(at, AdviceAnswered("fan", None, accepted=value, by="http"))
            case _:
                house.let_pass(at)
                house.events(at, Tick())
        by_id = {decision.id: decision for decision in house.decisions}
        happened = [effect for _, effect in house.effects[first:]]
        for place, effect in enumerate(happened):
            if not isinstance(effect, SendCommand):
                continue
            # What was decided is said right behind the command that follows from it.
            said = next(one for one in happened[place:] if isinstance(one, Record | Repeat))
            decision = said.decision if isinstance(said, Record) else by_id[said.decision_id]
            acting = [voice for voice in decision.voices if voice.acts]
            index = LEVELS.index(effect.action)
            named = next(voice for voice in acting if voice.source == decision.source)
            within = LEVELS.index(named.at_least) <= index <= LEVELS.index(named.at_most)
            # Else a stronger voice stood in its way, or an equal one that contradicts it: then the action is that one's.
            by = named.limited_by or named.contradicts
            stronger = next((voice for voice in acting if voice.source == by), None)
            assert within or (
                stronger is not None
                and LEVELS.index(stronger.at_least) <= index <= LEVELS.index(stronger.at_most)
            )
            for number, rule in enumerate(rules):
                if rule[5] != "act" and rule[4] == "RULE":
                    assert f"rule r{number}" not in {voice.source for voice in acting}
            earlier = [one.action for _, one in house.effects[:first] if isinstance(one, SendCommand)]
            # What it was told last counts until it reports: from there, too, it may go back.
            stands = max(LEVELS.index(doing), LEVELS.index(earlier[-1]) if earlier else 0)
            if effect.action in needs and index > stands:
                # It was entered, not come back to: a person or life safety did that, or it is on its way there already.
                assert decision.authority in (Authority.MANUAL, Authority.LIFE_SAFETY)
