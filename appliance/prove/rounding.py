"""Owns making the readings of a witness as round as the question allows: whole numbers, else steps of the resolution.

Never in here: what a witness is for.
"""

from collections.abc import Callable, Sequence
from typing import Any

import z3

from appliance.core.quantities import Quantity
from appliance.prove.bits import Bit
from appliance.prove.moments import plain
from appliance.prove.scene import exact
from appliance.prove.situation import Situation
from appliance.prove.solving import Solver

_NEAR: tuple[Callable[[Quantity, float], float], ...] = (
    lambda quantity, value: float(round(value)),
    lambda quantity, value: quantity.value(quantity.steps(value)),
    lambda quantity, value: quantity.value(quantity.steps(value) + 1),
    lambda quantity, value: quantity.value(quantity.steps(value) - 1),
)


def rounded(
    solver: Solver, situations: Sequence[Situation], wanted: Sequence[Bit], wishes: Sequence[Bit]
) -> z3.ModelRef | None:
    """Return a model of `wanted`, with as many `wishes` as can be, and round readings where these allow; None: there is none.

    Raises:
        Undecided: the time is over.
    """
    found = solver.find_plainest(wanted, wishes)
    if found is None:
        return None
    model, kept = found
    fixed = [*wanted, *kept]
    left = [
        (variable, here.spec.channels[key[1]].quantity)
        for here in situations
        for key, variable in here.scene.variables.items()
        if key[0] == "value" and len(key) == 2
    ]
    for near in _NEAR:
        tried: list[tuple[Any, Quantity, Any]] = []
        for variable, quantity in left:
            candidate = round(near(quantity, float(plain(model.eval(variable, model_completion=True)))), 6)
            # What a sensor says when it has nothing to say would not be believed.
            if candidate not in quantity.sentinels:
                tried.append((variable, quantity, variable == exact(candidate)))
        better = solver.find_plainest(fixed, [wish for _, _, wish in tried])
        if better is None:
            break
        model, came = better
        fixed += came
        true = {id(wish) for wish in came}
        left = [(variable, quantity) for variable, quantity, wish in tried if id(wish) not in true]
        if not left:
            break
    return model
