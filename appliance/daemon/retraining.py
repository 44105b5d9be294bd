"""Owns training a model anew on this home's history, from a store to a watched version: a process of its own, on any computer.

Never in here: the training (learn, extra [learn]), or who decides (the shelf's standing, which a person changes).
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance.bundle import Shelf
from appliance.core.home import Home
from appliance.core.profile import Appliance
from appliance.daemon.refitting import material_of
from appliance.refit import Outcome

if TYPE_CHECKING:
    from appliance.learn.cycle import Cycle
    from appliance.learn.features import Told


class Trained(msgspec.Struct, frozen=True):
    """What it came to: the gate's `outcome`, the `number` of the new version (None: nothing moved), how many labelled rows there were, how many
    more were told both ways, and the seconds by the wall clock that it took.
    """

    outcome: Outcome
    number: int | None
    rows: int
    contradicted: int
    took_s: float


def retrain_here(
    folder: Path,
    shelf: Shelf,
    home: Home,
    spec: Appliance,
    channel: str,
    since_ns: int,
    at: str,
    cycle: "Cycle",
    tell: "Told",
) -> Trained:
    """Train the model of `channel` of `spec` anew by the recipe of `cycle`, on the labels and readings in `folder` since `since_ns` (Unix time)
    beside that recipe's own lessons; keep what holds.

    Raises:
        ConfigError: nothing was told yet.
        StoreError: the history can't be read.
        ModelError: the shipped model can't be used.
        LearnError: the recipe's data are missing, or are of another model.
    """
    from appliance.learn.retraining import retrain  # noqa: PLC0415  the extra [learn]: a daemon has no use for it

    began = time.perf_counter()
    base = shelf.bundle(0)
    current = shelf.bundle(shelf.standing().current)
    material = material_of(folder, base, current, home, spec, channel, since_ns)
    made = retrain(cycle, base, current.card, material, at=at, alpha=spec.alpha(channel), tell=tell)
    card = made.outcome.card
    number = None if card is None else shelf.put_retrained(base, card, made.model, made.golden)
    return Trained(
        made.outcome, number, len(material.labels), material.contradicted, time.perf_counter() - began
    )
