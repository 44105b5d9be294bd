"""Owns when homes ask: the minutes at which the shipped model is unsure in recorded and simulated rooms, and which of these are like earlier ones.

By the rules of the core, minute by minute: a hard case is offered unless a like one was answered last, and what the home's own cache knows
goes no further. Never in here: what a server makes of it.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import Bundle
from appliance.cli.learning import simulated
from appliance.core.readings import Quality
from appliance.core.trust import judge
from appliance.learn.features import matrix
from appliance.learn.recipe import load_recipe
from appliance.learn.recordings import Recording
from appliance.learn.sources import training

DAY = 1440


class Asks(msgspec.Struct, frozen=True):
    """Minutes (N,) of one room: `clock` of the day, whether it was `known`, `hard`, offered to the edge (`offered`), and sent over the network (`sent`)."""

    name: str
    clock: NDArray[np.int64]
    known: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    offered: NDArray[np.bool_]
    sent: NDArray[np.bool_]

    @property
    def days(self) -> float:
        return len(self.clock) / DAY

    def a_day(self, which: str, *, after: int = 0) -> float:
        """How many a day, after so many days."""
        column = getattr(self, which)[after * DAY :]
        return float(column.sum()) / (len(column) / DAY)


def rooms(local: Bundle, teacher: Bundle, homes: int, days: int = 7) -> list[Asks]:
    """The office that the model learnt from, and simulated homes that it never saw."""
    recipe, beside = load_recipe("presence")
    found = [*training(recipe, beside, None), *simulated(range(homes), days, 60.0, "somebody")]
    return [asks(one, local, teacher) for one in found]


def asks(found: Recording, local: Bundle, teacher: Bundle) -> Asks:
    rows, more = matrix(found, local.card.features), matrix(found, teacher.card.features)
    known = np.isfinite(rows).all(axis=1) & np.isfinite(more).all(axis=1)
    said = np.full((len(rows), len(local.card.labels)), np.nan)
    said[known] = OnnxClassifier(local).predict(rows[known])
    hard = np.zeros(len(rows), bool)
    for number in np.flatnonzero(known):
        hard[number] = judge(said[number].tolist(), rows[number], local.card.trust)[1] is not Quality.GOOD
    buckets = np.round(np.nan_to_num(more) / np.array(teacher.card.steps)).astype(np.int64)
    offered, sent = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    cache: set[bytes] = set()
    answered = b""
    for number in np.flatnonzero(hard):
        bucket = buckets[number].tobytes()
        if bucket == answered:
            continue
        offered[number], sent[number], answered = True, bucket not in cache, bucket
        cache.add(bucket)
    clock = found.at_ns // 60_000_000_000 % DAY
    return Asks(found.group, clock, known, hard, offered, sent)
