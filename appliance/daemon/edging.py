"""Owns what a home has with the edge: which bigger models stand behind the local ones, and the client that asks them.

Never in here: what an answer is worth (core), or how one is got (the edge adapter).
"""

import logging
from collections.abc import Iterable

from appliance.config.tables import EdgeTable
from appliance.core.clock import SECOND
from appliance.core.edge import BiggerModel
from appliance.errors import ModelError

log = logging.getLogger(__name__)

DAY_NS = 86_400 * SECOND


def bigger(
    settings: EdgeTable | None, models: Iterable[str]
) -> tuple[dict[str, BiggerModel], dict[str, str]]:
    """Return the bigger models that stand behind `models`, by the local one's name; and why one has none, though the config asks for it.

    A model without one decides as if there were no edge.
    """
    if settings is None:
        return {}, {}
    from appliance.bundle import TEACHER  # noqa: PLC0415  only where there is an edge

    found: dict[str, BiggerModel] = {}
    missing: dict[str, str] = {}
    for model in sorted(models):
        name = settings.models.get(model, model + TEACHER)
        try:
            found[model] = _bigger(model, name, settings.audits_a_day)
        except ModelError as broken:
            missing[model] = broken.message
            log.warning("no bigger model stands behind %s: %s", model, broken)
    return found, missing


def _bigger(model: str, name: str, audits_a_day: int) -> BiggerModel:
    from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped  # noqa: PLC0415  only where there is an edge

    local = load_bundle(shipped(model)).card
    teacher = load_bundle(shipped(name), allowed=TEACHER_OPERATORS).card
    if set(teacher.labels) != set(local.labels):
        raise ModelError(
            f"{name} says {', '.join(teacher.labels)}, and {model} {', '.join(local.labels)}",
            hint=f"name another in [edge.models]: {model} = ...",
        )
    if len(teacher.steps) != len(teacher.features.features) or not all(step > 0 for step in teacher.steps):
        raise ModelError(
            f"the card of {name} does not say which cases are alike",
            hint="train it anew: appliance learn run",
        )
    shared = [
        (teacher.held_out[key].accuracy, local.held_out[key].accuracy)
        for key in teacher.held_out
        if key in local.held_out
    ]
    # On all that both were judged by, and on what was recorded, where that is among it.
    better = bool(shared) and sum(one for one, _ in shared) > sum(two for _, two in shared)
    return BiggerModel(
        name,
        teacher.version,
        teacher.features,
        teacher.trust,
        teacher.steps,
        better,
        local.disagreement,
        DAY_NS // audits_a_day if audits_a_day else 0,
    )
