"""The core under a random walk, and the oracle under a broken core: it must be able to fail, once for each promise."""

import ast
import dataclasses
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.core import controller, deciding, edge, guards, overrides, readings, rules, senses, weighing
from appliance.core.arbitration import Authority, Proposal
from appliance.core.clock import Instant
from appliance.core.events import PersonSpoke, Tick
from appliance.core.home import Home
from appliance.core.snapshot import Snapshot
from tests.oracle import oracle
from tests.oracle.oracle import Plan, PlannedRule, left_after
from tests.oracle.walk import Failure, Walk


@pytest.mark.parametrize("seed", range(1000, 1008))
def test_no_promise_is_broken_in_a_random_walk(seed: int) -> None:
    Walk(seed).run(2500)


@pytest.mark.parametrize("seed", range(1000, 1006))
def test_an_edge_that_lies_breaks_no_promise(seed: int) -> None:
    walk = Walk(seed, lied_to=True)
    walk.run(2500)


@pytest.mark.parametrize(
    ("seed", "steps"),
    [
        *((0, 100), (2, 250), (4, 800), (10, 950), (11, 550), (12, 50), (16, 1700), (19, 250)),
        *((40, 100), (41, 60), (43, 2000), (54, 350), (58, 250), (59, 300), (61, 550)),
    ],
)
def test_walks_that_once_broke_a_promise_break_none(seed: int, steps: int) -> None:
    Walk(seed).run(steps)


def test_the_oracle_imports_nothing_of_what_it_judges() -> None:
    tree = ast.parse(Path(oracle.__file__).read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.startswith("appliance")]


def test_the_oracle_weighs_voices_as_the_design_says() -> None:
    life = (2, 3, 4, "smoke")
    assert left_after(5, 0, [life, (8, 0, 0, "person")], 16) == [3]
    assert left_after(5, 0, [(10, 0, 1, "quiet"), (10, 3, 4, "dusty")], 16) == [1]
    assert left_after(5, 4, [(10, 0, 1, "quiet"), (10, 3, 4, "dusty")], 16) == [3]
    assert left_after(5, 0, [(10, 0, 1, "quiet"), (8, 3, 3, "person")], 8) == [3]


# ---------------------------------------------------------------- a core that breaks a promise is found out


DUSTY = PlannedRule("dusty", ("gt", "pm2_5", 40), ("lt", "pm2_5", 35), 2, 3)
AGES = {"pm2_5": 120 * oracle.SECOND, "co2": 120 * oracle.SECOND, "temperature": 120 * oracle.SECOND}
PLAN = Plan(size=4, modes=1, hold=600 * oracle.SECOND, max_age=AGES, rules=(DUSTY,))


def found_out(plan: Plan, *promises: str, lied_to: bool = False) -> None:
    """Walk with several seeds until one of these promises is broken; some broken core breaks others before."""
    seen = set()
    for seed in range(60):
        try:
            Walk(seed, plan, lied_to=lied_to).run(1500)
        except Failure as failure:
            seen.add(failure.promise)
            if failure.promise in promises:
                return
    pytest.fail(f"the oracle saw nothing of {promises}, only {seen}")


def silent(*_: object) -> None:
    return None


def test_it_sees_a_minimum_off_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards.minimum_off.MinimumOff, "propose", silent)
    found_out(replaced(PLAN, minimum_off=300 * oracle.SECOND), "minimum_off")


def test_it_sees_a_minimum_on_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards.minimum_on.MinimumOn, "propose", silent)
    found_out(replaced(PLAN, minimum_on=600 * oracle.SECOND), "minimum_on")


def test_it_sees_more_switches_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards.switches.Switches, "propose", silent)
    found_out(replaced(PLAN, per_hour=3), "switches")


def test_it_sees_a_minimum_off_that_is_a_second_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    propose = guards.minimum_off.MinimumOff.propose
    monkeypatch.setattr(
        guards.minimum_off.MinimumOff,
        "propose",
        lambda guard, snapshot: propose(replace(guard, span_ns=guard.span_ns - oracle.SECOND), snapshot),
    )
    found_out(replaced(PLAN, minimum_off=300 * oracle.SECOND), "minimum_off", "awake")


def test_it_sees_timers_that_follow_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Instant, "since", lambda now, earlier: now.wall_ns - earlier.wall_ns)
    found_out(
        replaced(PLAN, minimum_off=300 * oracle.SECOND), "minimum_off", "authority", "override", "awake"
    )


def test_it_sees_timers_that_a_reboot_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Home._fresh

    def forgetful(home: Home, spec: object, memory: object, now: Instant) -> object:
        state = fresh(home, spec, memory, now)
        return replace(state, memory=replace(state.memory, stopped=None))

    monkeypatch.setattr(Home, "_fresh", forgetful)
    found_out(replaced(PLAN, minimum_off=300 * oracle.SECOND), "minimum_off", "authority", "override")


def test_it_sees_a_restart_that_forgets_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Home._fresh

    def forgetful(home: Home, spec: object, memory: object, now: Instant) -> object:
        state = fresh(home, spec, memory, now)
        return replace(state, memory=replace(state.memory, override=None))

    monkeypatch.setattr(Home, "_fresh", forgetful)
    found_out(PLAN, "override", "authority")


def test_it_sees_a_command_before_the_device_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "WITHOUT_ANSWER", frozenset(Authority))
    found_out(PLAN, "answer")


def test_it_sees_a_person_who_is_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        overrides,
        "propose",
        lambda override, ladder, zone: Proposal(0, ladder.top, Authority.MANUAL, "person", "whatever"),
    )
    found_out(PLAN, "override")


def test_it_sees_a_person_who_is_obeyed_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrides, "in_force", lambda override, now: override is not None)
    found_out(PLAN, "authority", "awake")


def test_it_sees_an_override_of_more_than_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrides, "LONGEST_NS", 1000 * oracle.HOUR)
    monkeypatch.setattr(Walk, "happens", lambda walk: walk.handle(Tick()))
    monkeypatch.setattr(Walk, "pause", lambda walk: 600.0)
    walk = Walk(0, PLAN)
    walk.run(0)
    word = ("person", 3, 400_000 * oracle.SECOND)
    walk.handle(PersonSpoke("fan", "high", "http", word[2]), told=((word,),))
    with pytest.raises(Failure, match=r"authority|awake"):
        walk.run(4000)


def test_it_sees_tries_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "TRIES", 100)
    found_out(PLAN, "repeat")


def test_it_sees_a_device_that_is_tried_again_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "FAULT_RETRY_NS", 20 * oracle.SECOND)
    found_out(PLAN, "repeat")


def test_it_sees_a_command_that_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "_command", lambda spec, state, *_: (state, False))
    found_out(PLAN, "idle")


def test_it_sees_a_rule_that_acts_where_it_may_only_recommend(monkeypatch: pytest.MonkeyPatch) -> None:
    conclude = rules.conclude

    def presumptuous(spoken: object, snapshot: object) -> rules.Conclusion:
        conclusion = conclude(spoken, snapshot)
        return replace(conclusion, proposals=(*conclusion.proposals, *conclusion.recommendations))

    monkeypatch.setattr(deciding, "conclude", presumptuous)
    advice = PlannedRule("advice", ("gt", "pm2_5", 20), None, 3, 3, standing="recommend")
    found_out(replaced(PLAN, rules=(DUSTY, advice)), "authority", "override")


def test_it_sees_a_model_that_speaks_as_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = rules.Rule.proposal
    monkeypatch.setattr(
        rules.Rule,
        "proposal",
        lambda rule, snapshot: proposal(
            replace(rule, authority=min(rule.authority, Authority.RULE)), snapshot
        ),
    )
    said = PlannedRule("said", ("is", "presence", "nobody"), None, 0, 1, oracle.MODEL)
    plan = replaced(PLAN, rules=(DUSTY, said), learned=frozenset({"presence"}))
    found_out(plan, "authority")


def test_it_sees_an_edge_that_speaks_as_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = rules.Rule.proposal

    def loud(rule: rules.Rule, snapshot: Snapshot) -> Proposal:
        said = proposal(rule, snapshot)
        return replace(said, authority=Authority.RULE) if said.authority is Authority.EDGE else said

    monkeypatch.setattr(rules.Rule, "proposal", loud)
    said = PlannedRule("said", ("is", "presence", "nobody"), None, 0, 1, oracle.MODEL)
    plan = replaced(PLAN, rules=(DUSTY, said), learned=frozenset({"presence"}))
    found_out(plan, "authority", lied_to=True)


def test_it_sees_an_edges_nonsense_that_is_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "fits", lambda _, event: len(event.probabilities) == 2 and event.audit is None)
    said = PlannedRule("said", ("is", "presence", "nobody"), None, 2, 3, oracle.MODEL)
    plan = replaced(PLAN, rules=(DUSTY, said), learned=frozenset({"presence"}))
    found_out(plan, "authority", lied_to=True)


def test_it_sees_a_reading_that_should_not_be_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    check = readings.check

    def credulous(
        reading: readings.Reading, *given: object, **named: object
    ) -> tuple[readings.Quality, None]:
        quality, reason = check(reading, *given, **named)
        return (quality, reason) if reason == "no number" else (readings.Quality.GOOD, None)

    monkeypatch.setattr(readings, "check", credulous)
    found_out(PLAN, "authority", "awake")


def test_it_sees_a_reading_that_is_believed_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senses, "known", lambda heard, channel, now: heard.good_value)
    found_out(PLAN, "authority", "awake")


def test_it_sees_a_timer_that_nobody_is_woken_for(monkeypatch: pytest.MonkeyPatch) -> None:
    wake_ns = deciding._wake_ns
    monkeypatch.setattr(deciding, "_wake_ns", lambda *given: wake_ns(*given) + 60 * oracle.SECOND)
    found_out(PLAN, "awake")


def test_it_sees_a_state_that_is_altered(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = controller.decide

    def careless(home: object, state: object, events: object, now: object, **named: object) -> object:
        after, effects = decide(home, state, events, now, **named)
        state.appliances.update(after.appliances)
        return after, effects

    monkeypatch.setattr(controller, "decide", careless)
    found_out(PLAN, "argument")


def replaced(plan: Plan, **changes: object) -> Plan:
    """Return another plan."""
    return dataclasses.replace(plan, **changes)


def test_it_sees_an_action_that_needs_a_person_and_is_taken_by_a_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weighing, "reach", lambda needs_person, top, current: (0, top))
    monkeypatch.setattr(deciding, "entitled", lambda *_: True)
    very = PlannedRule("very_dusty", ("gt", "pm2_5", 60), None, 3, 3)
    found_out(replaced(PLAN, rules=(DUSTY, very), needs_person=frozenset({3})), "needs_person")


def test_it_sees_a_lease_that_is_not_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "_lease_ends_ns", lambda spec, state: 1 << 62)
    found_out(replaced(PLAN, lease=600 * oracle.SECOND, hold=86_400 * oracle.SECOND), "lease")


def test_it_sees_a_run_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards.longest_run.LongestRun, "propose", silent)
    found_out(replaced(PLAN, longest_run=(120 * oracle.SECOND, 60 * oracle.SECOND)), "authority", "override")


def test_it_sees_a_model_that_changes_its_mind_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards.dwell.Dwell, "propose", silent)
    said = PlannedRule("said", ("is", "presence", "somebody"), None, 3, 3, oracle.MODEL)
    plan = replaced(PLAN, rules=(said,), learned=frozenset({"presence"}), dwell=900 * oracle.SECOND)
    found_out(plan, "authority")


def test_it_sees_an_alarm_that_ends_before_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Snapshot, "acknowledged", lambda snapshot, rule: True)
    smoke = PlannedRule("smoke", ("gt", "pm2_5", 150), ("seen",), 3, 3, oracle.LIFE_SAFETY)
    found_out(replaced(PLAN, rules=(DUSTY, smoke)), "authority")
