"""Owns one appliance under question: its formulas, the solver over them, and the plainest witness of whatever is asked.

Never in here: the questions (claims), or how a witness is staged as readings (staging).
"""

import time
from collections.abc import Callable
from contextlib import suppress

import z3

from appliance.core.profile import Appliance
from appliance.core.snapshot import Snapshot
from appliance.prove.bits import Bit, same, term
from appliance.prove.deciding import Decided, decide
from appliance.prove.formulas import Pair
from appliance.prove.moments import Moment, values_in
from appliance.prove.report import Witness
from appliance.prove.rounding import rounded
from appliance.prove.scene import exact
from appliance.prove.situation import Situation
from appliance.prove.solving import Solver, Undecided

Check = Callable[[Snapshot, Decided], bool]


class Examination:
    """One appliance under question. `bound` are the channels that something feeds (None: all)."""

    def __init__(
        self,
        spec: Appliance,
        *,
        deadline: float,
        bound: frozenset[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.bound = bound
        self.deadline = deadline
        self.here = Situation(spec, bound=bound)
        self.claims: dict[str, Pair] = {
            claim.id: self.here.formulas.of(claim.when) for claim in spec.invariants
        }
        self.solver = Solver(self.here.facts(), deadline=deadline, clock=clock)

    def witness(self, wanted: list[Bit], real: Check | None) -> Witness | None:
        """Return a state in which all of `wanted` is true, as plain as can be found, or None: there is none.

        Without `real`, which puts it to the core, the decision alone is compared.

        Raises:
            Undecided: it could not be found out in time.
        """
        model = self.solver.find(*wanted)
        if model is None:
            return None
        # Where the time ends here there is one all the same, though not as plain as it could be.
        with suppress(Undecided):
            model = rounded(self.solver, [self.here], wanted, self._plain()) or model
        moment = Moment(self.here, values_in(self.here, model))
        snapshot = moment.snapshot()
        decided = decide(self.spec, snapshot)
        agrees = self._decision(model) == decided.action and (real is None or real(snapshot, decided))
        return Witness(
            moment.text(),
            "state" if agrees and moment.steady() else "abstract",
            decided.action if agrees else self._decision(model),
            decided.source if agrees else None,
        )

    def _decision(self, model: z3.ModelRef) -> str | None:
        def true(bit: Bit) -> bool:
            return bool(z3.is_true(model.eval(term(bit), model_completion=True)))

        if true(self.here.mode):
            return self.spec.ladder.modes[0]
        if not true(self.here.decides):
            return None
        return self.spec.ladder.actions[sum(true(bit) for bit in self.here.weighed.action)]

    def _plain(self) -> list[Bit]:
        """Return what makes a state plain: no timers, nobody's word, no holds, averages as the readings, all known, noon."""
        variables = self.here.scene.variables
        off = (
            "timer",
            "others",
            "person",
            "person chose a mode",
            "in a mode",
            "acknowledged",
            "held",
            "current",
        )
        wishes: list[Bit] = [z3.Not(variables[key]) for kind in off for key in variables if key[0] == kind]
        for key, variable in variables.items():
            if key[0] == "known" and len(key) == 4:
                wishes.append(same(variable, variables.get(("known", key[1]), True)))
                level = exact(0.0) if key[2] == "slope" else variables.get(("value", key[1]))
                if level is not None:
                    wishes.append(variables["value", *key[1:]] == level)
            elif key[0] == "known" and len(key) == 2:
                wishes.append(variable)
            elif key[0] == "age":
                wishes.append(variable == 0)
        if ("minute",) in variables:
            wishes.append(variables["minute",] == 720)
        return wishes
