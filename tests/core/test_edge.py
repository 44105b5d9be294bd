"""The second opinion, where decisions are made: what is offered to a bigger model, and what its word may do."""

from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from appliance.core.arbitration import Authority
from appliance.core.clock import SECOND
from appliance.core.controller import Controller
from appliance.core.edge import AGAIN_NS, BiggerModel
from appliance.core.events import AskEdge, EdgeAnswered, Memory, Remember, Tick
from appliance.core.features import Feature, FeatureSpec
from appliance.core.home import Home
from appliance.core.readings import Quality
from appliance.core.restoring import reconfigured
from appliance.core.trust import Sets, Trust
from tests.core.home import PROFILE, House
from tests.core.test_labels import RULE, Nose

HOUR = 3600.0


class Unsure(Nose):
    """A model that smells people well above 800 ppm, and can't tell between 700 and 900."""

    def predict(self, rows):
        co2 = rows[:, 0]
        somebody = np.select([np.isnan(co2), co2 > 900, co2 > 700], [np.nan, 0.95, 0.5], 0.05).astype("f4")
        return np.stack([1 - somebody, somebody], axis=1)


BIGGER = BiggerModel(
    "nose-teacher",
    2,
    FeatureSpec((Feature("co2", "mean", "co2", 300), Feature("dust", "mean", "pm2_5", 300))),
    Trust(("somebody", "nobody"), 0.5, Sets((0.1,), ((0.4, 0.4),), (100, 100)), None, ("co2", "dust"), 2),
    (20.0, 1.0),
    better=True,
    budget=0.05,
)


def house(edge: BiggerModel | None = BIGGER, memory: Memory | None = None) -> House:
    learned = '[channels.presence]\nmodel = "nose"\nwords = ["nobody", "somebody"]\n'
    made = House(PROFILE.replace("[fallback]", learned + "[fallback]") + RULE)
    edges = {} if edge is None else {"nose": edge}
    made.home = Home([made.spec], {"nose": Unsure()}, ZoneInfo("UTC"), edges=edges)
    memories = {} if memory is None else {"fan": memory}
    made.controller = Controller(made.home, made.home.at_start(memories, made.start))
    made.report(1, "off")
    return made


def asked(made: House) -> list[AskEdge]:
    return [effect for _, effect in made.effects if isinstance(effect, AskEdge)]


def said(made: House):
    return made.controller.state.appliances["fan"].learned["presence"]


def answer(made: House, at: float, somebody: float, **other) -> None:
    case = asked(made)[-1]
    made.let_pass(at)
    given = {
        "appliance": case.appliance, "channel": case.channel, "edge": case.edge, "version": case.version,
        "bucket": case.bucket, "probabilities": (somebody, 1 - somebody), "audit": case.audit,
    }  # fmt: skip
    made.events(at, EdgeAnswered(**{**given, **other}))


def test_a_hard_case_acts_on_rules_at_once_and_is_offered_once_with_the_bigger_models_own_features() -> None:
    made = house()
    made.say(2, "air", co2=800, pm25=3)
    assert made.last.action == "off", "nobody waits"
    (case,) = asked(made)
    assert (case.model, case.edge, case.version, case.audit) == ("nose", "nose-teacher", 2, None)
    assert (case.row, case.bucket) == ((800.0, 3.0), (40, 3))
    made.say(4, "air", co2=801, pm25=3)
    assert len(asked(made)) == 1, "a like case"
    made.let_pass(40 + AGAIN_NS / SECOND)
    assert 1 <= len(asked(made)) - 1 <= 2, "nobody answered: it is offered again, and not at every turn"


def test_an_easy_case_is_not_offered() -> None:
    made = house()
    made.say(2, "air", co2=1200, pm25=3)
    made.say(300, "air", co2=400, pm25=3)
    assert asked(made) == []


def test_the_answer_stands_while_the_case_is_alike_and_speaks_as_the_edge() -> None:
    made = house()
    made.say(2, "air", co2=800, pm25=3)
    answer(made, 2.2, 0.9)
    assert (said(made).label, said(made).quality, said(made).by) == ("somebody", Quality.GOOD, "nose-teacher")
    assert (made.last.action, made.last.authority, made.last.source) == (
        "high",
        Authority.EDGE,
        "rule people",
    )
    assert next(one for one in made.last.inputs if one.channel == "presence").by == "nose-teacher"
    made.say(10, "air", co2=804, pm25=3)
    assert made.last.action == "high", "a like case"
    made.say(300, "air", co2=720, pm25=3)
    made.say(700, "air", co2=721, pm25=3)
    assert (said(made).quality, said(made).by) == (Quality.UNCERTAIN, None)
    assert made.last.action == "off"
    made.say(1000, "air", co2=1200, pm25=3)
    made.say(1200, "air", co2=1201, pm25=3)
    assert (made.last.action, made.last.authority) == ("high", Authority.MODEL), (
        "the local model is sure itself"
    )


def test_an_answer_that_the_bigger_models_own_card_doubts_moves_nothing() -> None:
    made = house()
    made.say(2, "air", co2=800, pm25=3)
    answer(made, 2.2, 0.55)
    assert said(made).quality is Quality.UNCERTAIN
    assert "is not sure either" in (said(made).reason or "")
    assert made.last.action == "off"


def test_a_bigger_model_that_is_not_known_to_be_better_is_shown_and_not_heard() -> None:
    made = house(msgspec.structs.replace(BIGGER, better=False))
    made.say(2, "air", co2=800, pm25=3)
    answer(made, 2.2, 0.9)
    assert made.last.action == "off"
    assert "nose-teacher" in (said(made).reason or "")


@pytest.mark.parametrize(
    "other",
    [
        {"edge": "another"},
        {"version": 1},
        {"bucket": (40,)},
        {"probabilities": (0.9, 0.9)},
        {"probabilities": (float("nan"), 0.1)},
        {"probabilities": (1.4, -0.4)},
        {"probabilities": (1.0,)},
        {"channel": "co2"},
        {"appliance": "oven"},
        {"audit": "a label that there is not"},
    ],
    ids=str,
)
def test_an_answer_of_another_model_or_that_is_none_moves_nothing(other) -> None:
    made = house()
    made.say(2, "air", co2=800, pm25=3)
    answer(made, 2.2, 0.9, **other)
    assert (said(made).quality, made.last.action) == (Quality.UNCERTAIN, "off")
    assert made.memory.audits == {}


def test_a_rule_stands_against_the_edge_and_the_edge_against_the_model() -> None:
    text = PROFILE + '[[rules]]\nid = "quiet"\nwhen = "pm2_5 > 1"\nat_most = "low"\nbecause = "q"\n'
    made = house()
    made.spec = House(
        text.replace(
            "[fallback]", '[channels.presence]\nmodel = "nose"\nwords = ["nobody", "somebody"]\n[fallback]'
        )
        + RULE
    ).spec
    made.home = Home([made.spec], {"nose": Unsure()}, ZoneInfo("UTC"), edges={"nose": BIGGER})
    made.controller = Controller(made.home, made.home.at_start({}, made.start))
    made.report(1, "off")
    made.say(2, "air", co2=800, pm25=3)
    answer(made, 2.2, 0.99)
    assert said(made).by == "nose-teacher"
    assert made.last.action == "low"
    voice = next(one for one in made.last.voices if one.source == "rule people")
    assert voice.limited_by == "rule quiet"


def sometimes(every_s: float = 600.0) -> BiggerModel:
    return msgspec.structs.replace(BIGGER, audit_every_ns=round(every_s * SECOND))


def through(made: House, hours: float, somebody: float, every_s: float = 60.0) -> list[AskEdge]:
    """Let hours of easy cases pass, every audit answered; return the audits."""
    audits = []
    until = made.at + hours * HOUR
    while made.at < until:
        made.say(made.at + every_s, "air", co2=1200 + made.at // every_s % 7, pm25=3 + made.at // every_s % 2)
        for case in asked(made):
            if case.audit is not None:
                audits.append(case)
                answer(made, made.at, somebody)
        made.effects = [one for one in made.effects if isinstance(one[1], Remember)][-1:]
    return audits


def test_audits_come_by_time_as_often_as_asked_and_change_nothing_where_both_agree() -> None:
    made = house(sometimes())
    audits = through(made, 15, 0.95)
    assert 60 < len(audits) < 120, "90 in the mean"
    assert {case.audit for case in audits} == {"somebody"}
    assert said(made).quality is Quality.GOOD
    assert made.last.authority is Authority.MODEL


def test_audits_do_not_wait_for_a_sure_word_and_so_do_not_crowd_where_one_begins() -> None:
    made, counts = house(sometimes(300)), {"first": 0, "all": 0}
    for minute in range(2400):
        sure = minute // 30 % 2
        made.say(made.at + 60, "air", co2=1200 if sure else 800, pm25=3)
        if any(case.audit for case in asked(made)):
            counts["all"] += 1
            # The mean of five minutes leaves the hard ones some minutes after the air did.
            counts["first"] += minute % 30 < 6
        made.effects.clear()
    assert counts["all"] > 150
    assert counts["first"] / counts["all"] < 0.25, "a fifth or less; those that wait would be a half"


def test_an_audit_that_was_due_while_nobody_listened_is_none() -> None:
    made = house(sometimes(3600))
    made.say(2, "air", co2=1200, pm25=3)
    for day in range(1, 6):
        made.say(day * 86_400.0, "air", co2=1200, pm25=3)
        at_once = made.effects[-20:]
        assert not any(
            isinstance(one, AskEdge) and one.audit for at, one in at_once if at >= day * 86_400.0
        ), day


def test_a_model_that_the_edge_contradicts_only_recommends_is_remembered_and_rises_again() -> None:
    made = house(sometimes())
    through(made, 96, 0.05, 240)
    assert (said(made).quality, said(made).by) == (Quality.UNCERTAIN, None), "nobody speaks in its stead"
    kept = [effect.memory for _, effect in made.effects if isinstance(effect, Remember)][-1]
    again = house(sometimes(), memory=msgspec.json.decode(msgspec.json.encode(kept), type=Memory))
    again.say(2, "air", co2=1200, pm25=3)
    assert said(again).quality is Quality.UNCERTAIN, "a restart does not make it bolder"
    assert again.last.action == "off"
    through(made, 72, 0.95, 240)
    assert (said(made).quality, said(made).by) == (Quality.GOOD, None)


def test_a_doubted_model_that_no_better_one_stands_behind_goes_on() -> None:
    made = house(msgspec.structs.replace(sometimes(), better=False))
    through(made, 96, 0.05, 240)
    assert said(made).quality is Quality.GOOD


def test_an_answer_of_another_version_does_not_outlive_the_config_that_asked_it() -> None:
    made = house()
    made.say(2, "air", co2=800, pm25=3)
    answer(made, 3, 0.98)
    assert said(made).label == "somebody"
    # The newer one names its labels the other way round.
    judged = Trust(
        ("nobody", "somebody"), 0.5, Sets((0.1,), ((0.4, 0.4),), (100, 100)), None, ("co2", "dust"), 3
    )
    newer = msgspec.structs.replace(BIGGER, version=3, trust=judged)
    after = Home([made.spec], {"nose": Unsure()}, ZoneInfo("UTC"), edges={"nose": newer})
    now, state = made.start.plus(4 * SECOND), made.controller.state
    made.controller = Controller(after, reconfigured(state, after.at_start({}, now), set()))
    made.events(4, Tick())
    assert (said(made).by, said(made).quality) == (None, Quality.UNCERTAIN), (
        "those of before were read as this one's"
    )
    assert asked(made)[-1].version == 3, "a hard case, and the newer one was not asked yet"


def test_an_audit_holds_words_of_the_same_kind_against_each_other() -> None:
    # Sets that are unlike for the two labels: "somebody" alone fits though "nobody" is likelier, as with the shipped cards.
    sets = Sets((0.1,), ((0.05, 0.9),), (100, 100))
    trust = msgspec.structs.replace(BIGGER.trust, sets=sets)
    made = house(msgspec.structs.replace(sometimes(), trust=trust))
    through(made, 5, 0.33)
    audits = made.controller.state.appliances["fan"].memory.audits["presence"]
    assert audits.trials > 10
    assert audits.disagreed == 0, "both say that somebody is there"
