"""What `prove` says of small appliances, whose answers anybody can find by hand; and that it says nothing false of random ones."""

import time
from random import Random

import pytest

pytest.importorskip("z3")

from msgspec.structs import replace

from appliance.core.arbitration import Authority
from appliance.core.profile import Invariant
from appliance.errors import ProfileError
from appliance.prove import Asked, Outcome, insist, prove
from appliance.prove.child import examine
from appliance.prove.deciding import decide
from tests.core.home import PROFILE, appliance_of
from tests.prove import generator

WINDOW = """
[channels.window]
metric = "contact"
words = { open = false, closed = true }
"""


def rule(name: str, when: str, more: str) -> str:
    return f'[[rules]]\nid = "{name}"\nwhen = "{when}"\n{more}\nbecause = "so"\n'


def claim(name: str, when: str, more: str) -> str:
    return f'[[invariants]]\nid = "{name}"\nwhen = "{when}"\n{more}\nbecause = "so it must be"\n'


def answers(*parts: str, bound: frozenset[str] | None = None) -> list:
    text = PROFILE.replace("[fallback]", f"{WINDOW}[fallback]") + "\n".join(parts)
    spec = appliance_of(text)
    return list(examine(spec, bound, deadline=time.monotonic() + 60).answers)


def of(found: list, question: str, subject: str):
    return next(
        (answer for answer in found if (answer.question, answer.subject) == (question, subject)), None
    )


DUSTY = rule("dusty", "pm2_5 > 35", 'until = "pm2_5 < 20"\nat_least = "high"')
AIRING = rule("airing", "window is open", 'exactly = "off"')
STRICT = rule("airing", "window is open", 'exactly = "off"\nauthority = "EQUIPMENT"')
CLAIM = claim("open", "window is open", 'exactly = "off"\nunless = ["MANUAL"]')


def test_a_broken_claim_is_found_and_a_mended_one_is_proved() -> None:
    broken = of(answers(DUSTY, CLAIM), "invariant", "open")
    assert broken.outcome is Outcome.FAILS
    assert broken.witness.kind == "readings"
    assert (broken.witness.decided, broken.witness.source) == ("high", "rule dusty")
    assert "window = open" in broken.witness.text
    assert "pm2_5 = 36" in broken.witness.text
    (phase,) = broken.witness.scenario.phases
    assert (phase.reads["pm2_5"], phase.says) == (36.0, {"window": "open"})
    assert of(answers(DUSTY, STRICT, CLAIM), "invariant", "open").outcome is Outcome.HOLDS


def test_a_contradiction_that_ends_in_rest_keeps_the_claim() -> None:
    # Both are RULEs: the point nearest to safe is off, and that is what the claim wants.
    found = answers(DUSTY, AIRING, CLAIM)
    assert of(found, "invariant", "open").outcome is Outcome.HOLDS
    against = of(found, "contradict", "dusty and airing")
    assert "dusty yields, to off" in against.text
    assert against.witness.kind == "state"


def test_a_claim_without_a_person_in_it_is_broken_by_a_person() -> None:
    found = of(
        answers(DUSTY, STRICT, claim("open", "window is open", 'at_most = "low"')), "invariant", "open"
    )
    assert found.outcome is Outcome.HOLDS  # EQUIPMENT is stronger than a person
    found = of(
        answers(DUSTY, AIRING, claim("open", "window is open", 'at_most = "low"')), "invariant", "open"
    )
    assert found.outcome is Outcome.FAILS
    assert "a person chose" in found.witness.text
    assert found.witness.kind == "readings"
    assert found.witness.scenario.phases[-1].person is not None


def test_a_claim_that_only_a_hold_breaks_is_led_to_in_two_phases() -> None:
    found = of(
        answers(DUSTY, claim("clean", "pm2_5 < 30", 'at_most = "low"\nunless = ["MANUAL"]')),
        "invariant",
        "clean",
    )
    assert found.witness.kind == "readings"
    first, second = found.witness.scenario.phases
    assert first.reads["pm2_5"] > 35
    assert 20 <= second.reads["pm2_5"] < 30


def test_a_claim_that_a_lost_input_breaks_is_led_to_by_silence() -> None:
    parts = (
        rule("dusty", "pm2_5 > 35", 'until = "pm2_5 < 20"\nat_least = "high"\nauthority = "EQUIPMENT"'),
        claim("blind", "pm2_5 is unknown", 'exactly = "off"\nunless = ["MANUAL"]'),
    )
    found = of(answers(*parts), "invariant", "blind")
    assert found.witness.kind == "readings"
    first, second = found.witness.scenario.phases
    assert first.reads["pm2_5"] > 35
    assert "pm2_5" not in second.reads


def test_what_only_means_give_apart_from_readings_is_abstract() -> None:
    parts = (
        rule("dusty", "mean(pm2_5, 10 min) > 35 and pm2_5 < 20", 'at_least = "high"'),
        claim("rests", "pm2_5 < 20", 'exactly = "off"\nunless = ["MANUAL"]'),
    )
    found = of(answers(*parts), "invariant", "rests")
    assert found.outcome is Outcome.FAILS
    assert found.witness.kind == "abstract"
    assert "mean of pm2_5 over 10 min" in found.witness.text


@pytest.mark.parametrize("when", ["rising(pm2_5) > 5 per min", "mean(pm2_5, 10 min) > 35 and pm2_5 < 20"])
def test_a_mean_or_rate_that_nobody_lived_through_is_abstract(when) -> None:
    found = answers(rule("smoky", when, 'at_least = "high"'), AIRING)
    assert of(found, "contradict", "smoky and airing").witness.kind == "abstract"
    found = answers(rule("smoky", "mean(pm2_5, 10 min) > 35 and pm2_5 > 20", 'at_least = "high"'), AIRING)
    assert of(found, "contradict", "smoky and airing").witness.kind == "state"


def test_no_rate_is_steeper_than_the_range_allows() -> None:
    spec = appliance_of(PROFILE + rule("leap", "rising(pm2_5) > 6000 per min", 'at_least = "high"'))
    found = list(examine(spec, None, deadline=time.monotonic() + 60).answers)
    assert of(found, "never matters", "leap") is None
    leap = spec.rules[0]
    steeper = replace(leap, when=replace(leap.when, threshold=7000.0))
    found = list(examine(replace(spec, rules=(steeper,)), None, deadline=time.monotonic() + 60).answers)
    assert "never be true" in of(found, "never matters", "leap").text


def test_rules_that_never_matter_are_named_with_the_reason() -> None:
    found = answers(
        DUSTY,
        rule("dustier", "pm2_5 > 40", 'at_least = "low"'),
        rule("impossible", "pm2_5 > 40 and pm2_5 < 30", 'at_least = "low"'),
    )
    assert "others ask for as much" in of(found, "never matters", "dustier").text
    assert "never be true" in of(found, "never matters", "impossible").text
    assert of(found, "never matters", "dusty") is None


def test_a_rule_on_what_is_not_measured_in_this_home_never_matters() -> None:
    found = answers(DUSTY, AIRING, bound=frozenset({"pm2_5"}))
    assert "window is not measured here" in of(found, "never matters", "airing").text


def test_a_cap_that_falls_silent_with_its_input_is_told_and_one_that_does_not_is_not() -> None:
    found = of(answers(DUSTY, AIRING), "fails open", "airing")
    assert "window becomes unknown" in found.text
    careful = rule("airing", "window is open or window is unknown", 'exactly = "off"')
    assert of(answers(DUSTY, careful), "fails open", "airing") is None


def test_a_held_cap_of_the_equipment_does_not_fall_silent() -> None:
    held = rule("wet", "pm2_5 > 50", 'until = "pm2_5 < 10"\nexactly = "off"\nauthority = "EQUIPMENT"')
    other = rule("stale", "co2 > 900", 'at_least = "high"')
    assert of(answers(held, other), "fails open", "wet") is None
    plain = rule("wet", "pm2_5 > 50", 'exactly = "off"\nauthority = "EQUIPMENT"')
    assert of(answers(plain, other), "fails open", "wet") is not None


def test_a_rule_that_begins_and_ends_at_once_is_told() -> None:
    found = answers(rule("mad", "pm2_5 > 35", 'until = "co2 < 600"\nat_least = "low"'), DUSTY)
    assert of(found, "begins and ends", "mad").witness.kind == "state"
    assert of(found, "begins and ends", "dusty") is None


def test_states_left_to_the_fallback_are_shown() -> None:
    assert of(answers(DUSTY), "fallback alone", "fallback").witness.source == "fallback"
    always = rule("always", "pm2_5 >= 0 or pm2_5 is unknown", 'at_least = "low"')
    assert of(answers(always), "fallback alone", "fallback").witness is None


def test_minimum_times_are_kept_by_induction_and_by_whom_not_is_told() -> None:
    guards = '[guards.minimum_on]\nfor = "3 min"\n[guards.minimum_off]\nfor = "1 min"\n'
    alarm = rule("smoke", "pm2_5 > 300", 'at_least = "high"\nauthority = "LIFE_SAFETY"')
    found = answers(DUSTY, alarm, guards)
    runs, rests = of(found, "switching", "minimum_on"), of(found, "switching", "minimum_off")
    assert runs.outcome is rests.outcome is Outcome.HOLDS
    assert "by induction" in runs.text
    assert "MANUAL" in runs.text
    assert "LIFE_SAFETY" in rests.text
    assert "MANUAL" not in rests.text
    assert of(answers(DUSTY), "switching", "minimum_on").outcome is Outcome.NOTED


def test_what_is_proved_of_random_appliances_no_snapshot_breaks() -> None:
    random = Random(7)
    proved = broken = 0
    for _ in range(40):
        spec = generator.appliance(random)
        low, high = sorted((random.randint(0, spec.ladder.top), random.randint(0, spec.ladder.top)))
        unless = frozenset(one for one in Authority if random.random() < 0.6)
        wanted = Invariant("claim", generator.node(random, "claim when", 2), low, high, unless, "so")
        spec = replace(spec, invariants=(wanted,))
        found = of(list(examine(spec, None, deadline=time.monotonic() + 30).answers), "invariant", "claim")
        if found.outcome is Outcome.FAILS:
            broken += 1
            continue
        assert found.outcome is Outcome.HOLDS
        proved += 1
        allowed = spec.ladder.actions[low : high + 1]
        for _ in range(150):
            snapshot = generator.snapshot(random, spec)
            decided = decide(spec, snapshot)
            if wanted.when.truth(snapshot) and decided.action is not None:
                assert decided.action in allowed or decided.authority in unless
    assert proved >= 5
    assert broken >= 5


def test_the_solver_runs_in_a_process_of_its_own_and_is_bounded() -> None:
    spec = appliance_of(PROFILE + DUSTY)
    (report,) = prove([Asked(spec)])
    assert report.proved
    assert report.appliance == "fan"
    (late,) = prove([Asked(spec)], seconds_each=0.0)
    assert {answer.outcome for answer in late.answers} <= {Outcome.UNDECIDED, Outcome.NOTED}


def test_a_solver_that_does_not_end_is_ended(monkeypatch) -> None:
    monkeypatch.setattr("appliance.prove.GRACE_S", 0.01)
    (report,) = prove([Asked(appliance_of(PROFILE + DUSTY))], seconds_each=0.0)
    assert not report.proved
    assert "ended before" in report.answers[0].text


def test_a_profile_that_contradicts_itself_is_refused_with_the_readings() -> None:
    broken = appliance_of(
        PROFILE + DUSTY + claim("clean", "pm2_5 < 50", 'exactly = "off"\nunless = ["MANUAL"]')
    )
    with pytest.raises(ProfileError, match="pm2_5 = 36 µg/m³; decided: high by rule dusty"):
        insist([Asked(broken)])
    insist(
        [
            Asked(
                appliance_of(
                    PROFILE + DUSTY + claim("clean", "pm2_5 < 20", 'exactly = "off"\nunless = ["MANUAL"]')
                )
            )
        ]
    )


def test_a_claim_about_what_never_is_says_so() -> None:
    found = of(
        answers(DUSTY, claim("vain", "pm2_5 > 50 and pm2_5 < 40", 'exactly = "off"')), "invariant", "vain"
    )
    assert found.outcome is Outcome.HOLDS
    assert "can never be true" in found.text
