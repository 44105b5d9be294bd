"""Owns what two models say minute by minute in a room: where the local one is sure, and where the bigger one differs.

Never in here: auditing them, or drawing.
"""

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import Bundle
from appliance.cli.learning import simulated
from appliance.core.readings import Quality
from appliance.core.trust import judge, verdict
from appliance.learn.features import matrix
from appliance.learn.recipe import load_recipe
from appliance.learn.recordings import Recording
from appliance.learn.sources import training


class Room(msgspec.Struct, frozen=True):
    """Minutes (N,) of a room, those in which either model knows nothing left out: whether the local one is sure, the numbers of the labels that
    it and the bigger one say, and the truth.
    """

    name: str
    sure: NDArray[np.bool_]
    local: NDArray[np.int64]
    edge: NDArray[np.int64]
    truth: NDArray[np.int64]

    @property
    def disagreement(self) -> float:
        """The share of sure minutes at which they differ."""
        return float((self.local != self.edge)[self.sure].mean())

    def told(self) -> str:
        right = [float((said == self.truth)[self.sure].mean()) for said in (self.local, self.edge)]
        return (
            f"{self.name}: {len(self.sure)} minutes, the local model sure of {self.sure.mean():.1%}; of these they disagree in"
            f" {self.disagreement:.2%}; right in {right[0]:.1%} (local), {right[1]:.1%} (bigger)"
        )


def office(local: Bundle, teacher: Bundle) -> Room:
    """The recorded office that both learnt from: a room that the card speaks of. Never its test files."""
    recipe, beside = load_recipe("presence")
    (found,) = training(recipe, beside, None)
    return said("the office of the card", found, local, teacher)


def elsewhere(local: Bundle, teacher: Bundle, seed: int, days: int = 7) -> Room:
    """A simulated home that neither saw."""
    (found,) = simulated(range(seed, seed + 1), days, 60.0, "somebody")
    return said(f"simulated home {seed}", found, local, teacher)


def said(name: str, found: Recording, local: Bundle, teacher: Bundle) -> Room:
    rows, more = matrix(found, local.card.features), matrix(found, teacher.card.features)
    known = np.isfinite(rows).all(axis=1) & np.isfinite(more).all(axis=1)
    trust = local.card.trust
    verdicts = [
        judge(answer, row, trust)
        for answer, row in zip(OnnxClassifier(local).predict(rows[known]).tolist(), rows[known], strict=True)
    ]
    session = ort.InferenceSession(teacher.model, providers=["CPUExecutionProvider"])
    answers = session.run(None, {session.get_inputs()[0].name: more[known]})[0]
    # As the core does: each model's word is that of its own card's sets.
    words = [verdict(answer, None, teacher.card.trust)[0] for answer in answers.tolist()]
    return Room(
        name,
        np.array([quality is Quality.GOOD for _, quality, _ in verdicts]),
        np.array([trust.labels.index(label) for label, _, _ in verdicts]),
        np.array([trust.labels.index(label) for label in words if label is not None]),
        found.labels[known],
    )
