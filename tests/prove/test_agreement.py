"""A proof of another program proves nothing: the formulas and the core say the same on random rules and snapshots."""

from random import Random

import pytest

z3 = pytest.importorskip("z3")

from appliance.core import guards  # noqa: E402
from appliance.core.arbitration import Authority  # noqa: E402
from appliance.core.conditions import nodes  # noqa: E402
from appliance.core.registry import discover  # noqa: E402
from appliance.core.rules import Standing  # noqa: E402
from appliance.prove.bits import term  # noqa: E402
from appliance.prove.deciding import decide  # noqa: E402
from appliance.prove.guarding import GUARDS  # noqa: E402
from appliance.prove.situation import Situation  # noqa: E402
from appliance.prove.valuation import pairs, values  # noqa: E402
from tests.prove import generator  # noqa: E402

PROFILES, SNAPSHOTS = 210, 50


def outputs(here: Situation) -> list[object]:
    spec = here.spec
    facts = here.facts()
    bits = [here.mode, here.decides, z3.And(facts) if facts else True]
    bits += [here.decided(action) for action in range(spec.ladder.top + 1)]
    bits += [here.by(authority) for authority in Authority]
    bits += [here.speaks[rule.id] for rule in spec.rules if rule.standing is Standing.ACT]
    bits += [here.stays.get(rule.id, False) for rule in spec.rules]
    return [term(bit) for bit in bits]


def expected(here: Situation, snapshot) -> list[bool]:
    spec = here.spec
    decided = decide(spec, snapshot)
    action, authority, conclusion = decided.action, decided.authority, decided.conclusion
    mode = action in spec.ladder.modes
    said = {wish.source for wish in conclusion.proposals}
    bits = [mode, action is not None and not mode, True]
    bits += [action == name for name in spec.ladder.actions]
    bits += [authority is one for one in Authority]
    bits += [f"rule {rule.id}" in said for rule in spec.rules if rule.standing is Standing.ACT]
    bits += [rule.id in conclusion.holds for rule in spec.rules]
    return bits


@pytest.mark.parametrize("part", range(3))
def test_formulas_say_what_the_core_says(part) -> None:
    random = Random(part)
    acting = 0
    for _ in range(PROFILES // 3):
        spec = generator.appliance(random)
        here = Situation(spec)
        made = outputs(here)
        joined = z3.Function(f"all {len(made)}", *[z3.BoolSort()] * (len(made) + 1))(*made)
        for _ in range(SNAPSHOTS):
            snapshot = generator.snapshot(random, spec)
            given = pairs(here, values(here, snapshot))
            found = z3.simplify(z3.substitute(joined, *given))
            said = [z3.is_true(found.arg(number)) for number in range(found.num_args())]
            want = expected(here, snapshot)
            assert said == want, (spec.rules, snapshot)
            acting += want[1]
    assert acting > PROFILES // 3 * SNAPSHOTS / 3


def test_every_guard_and_every_kind_of_condition_is_known() -> None:
    assert set(GUARDS) == {module.GUARD.name for module in discover(guards, "GUARD").values()}
    kinds = {
        type(part)
        for seed in range(40)
        for rule in generator.appliance(Random(seed)).rules
        for part in rule.nodes()
    }
    assert kinds == {
        kind
        for kind in vars(nodes).values()
        if isinstance(kind, type) and issubclass(kind, nodes.Node) and kind.truth is not nodes.Node.truth
    }


def test_the_solver_itself_agrees() -> None:
    # Substituting values and simplifying is one way through the solver, checking is another: what it proves, it proves there.
    random = Random(99)
    for _ in range(20):
        spec = generator.appliance(random)
        here = Situation(spec)
        made = outputs(here)
        for _ in range(5):
            snapshot = generator.snapshot(random, spec)
            given = [variable == value for variable, value in pairs(here, values(here, snapshot))]
            solver = z3.Solver()
            solver.add(*given)
            assert solver.check() == z3.sat
            model = solver.model()
            said = [z3.is_true(model.eval(bit, model_completion=True)) for bit in made]
            assert said == expected(here, snapshot)
            solver.add(z3.Or([z3.Not(bit) if true else bit for bit, true in zip(made, said, strict=True)]))
            assert solver.check() == z3.unsat
