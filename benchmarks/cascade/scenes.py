"""Owns the scenes: rows in order of time, their truth, and what the local model and its teacher say of each, by the core's own verdict.

Never in here: who is asked about which row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import Bundle
from appliance.core.edge import BiggerModel
from appliance.core.readings import Quality
from appliance.core.trust import ALPHA, verdict
from appliance.learn.features import matrix
from appliance.learn.recordings import Recording


@dataclass(frozen=True)
class Said:
    """What one model says of N rows. `word` (N,): the label of its verdict as a number, the first where a feature is unknown, as reports count
    it; `fits` (N,): its set holds one label; `like` (N,): the features are like those of training; `known` (N,); `top` (N,): its greatest
    probability, 0 where unknown, and `likeliest` (N,) the label that has it; `rows` (N, F): its features.
    """

    word: np.ndarray
    fits: np.ndarray
    like: np.ndarray
    known: np.ndarray
    top: np.ndarray
    likeliest: np.ndarray
    rows: np.ndarray

    @property
    def sure(self) -> np.ndarray:
        """Where it is GOOD (N,), so that rules act on it."""
        return self.fits & self.like


@dataclass(frozen=True)
class Scene:
    """Rows of some homes end to end. `home` and `block` (N,): the home, and what an interval draws anew as one; `bucket` (N,): a number for
    each of a home's buckets of the teacher's features; `a_day`: rows a day.
    """

    name: str
    labels: np.ndarray
    block: np.ndarray
    home: np.ndarray
    at_s: np.ndarray
    bucket: np.ndarray
    local: Said
    edge: Said
    a_day: float


def said(bundle: Bundle, recordings: Sequence[Recording]) -> Said:
    """Return what the bundle's model says of every row, by the core's verdict on its card."""
    rows = np.concatenate([matrix(one, bundle.card.features) for one in recordings])
    probabilities = OnnxClassifier(bundle).predict(rows)
    trust = bundle.card.trust
    word, fits, like, known = (np.zeros(len(rows), kind) for kind in (np.int64, bool, bool, bool))
    for at, row in enumerate(rows):
        # Whether it fits and whether it is like are asked apart: a cached answer fits or not, its own row is like or not.
        label, quality, _ = verdict(probabilities[at].tolist(), None, trust, ALPHA)
        if label is not None:
            known[at] = True
            word[at] = trust.labels.index(label)
            fits[at] = quality is Quality.GOOD
            like[at] = trust.novelty is None or trust.novelty.unlike(row) is None
    known_only = np.where(known[:, None], np.nan_to_num(probabilities), 0.0)
    likeliest = known_only.argmax(axis=1)
    word = np.where(like, word, likeliest)  # as the core says of what is unlike
    return Said(word, fits, like, known, known_only.max(axis=1), likeliest, rows)


def scene(
    name: str,
    recordings: Sequence[Recording],
    local: Bundle,
    edge: Bundle,
    bigger: BiggerModel,
    *,
    by_day: bool,
) -> Scene:
    """Return the recordings as one scene; a block is a day, or a whole home."""
    mine, theirs = said(local, recordings), said(edge, recordings)
    home = np.concatenate([np.full(len(one.at_ns), at) for at, one in enumerate(recordings)])
    day = np.concatenate([one.days for one in recordings])
    _, block = np.unique(np.stack([home, day if by_day else 0 * day]), axis=1, return_inverse=True)
    numbers: dict[tuple, int] = {}
    bucket = np.array(
        [
            numbers.setdefault((at, bigger.bucket(row)), len(numbers))
            for at, row in zip(home.tolist(), theirs.rows.tolist(), strict=True)
        ]
    )
    return Scene(
        name,
        np.concatenate([one.labels for one in recordings]),
        block,
        home,
        np.concatenate([one.at_ns for one in recordings]) / 1e9,
        bucket,
        mine,
        theirs,
        86_400 / float(np.median([one.interval_s for one in recordings])),
    )
