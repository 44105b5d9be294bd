"""Owns the scenes: rows in order of time, their truth, and what the local model and its teacher say of each, by the core's own verdict.

Never in here: who is asked about which row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import Bundle
from appliance.core.readings import Quality
from appliance.core.trust import ALPHA, UNKNOWN, judge
from appliance.learn.features import matrix
from appliance.learn.recordings import Recording


@dataclass(frozen=True)
class Said:
    """What one model says of N rows. `word` (N,): the label as a number, the first where a feature is unknown, as reports count it; `sure`
    (N,): GOOD, so that rules act on it; `known` (N,); `top` (N,): its greatest probability, 0 where unknown; `rows` (N, F): its features.
    """

    word: np.ndarray
    sure: np.ndarray
    known: np.ndarray
    top: np.ndarray
    rows: np.ndarray


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
    """Return what the bundle's model says of every row, judged as the device judges it."""
    rows = np.concatenate([matrix(one, bundle.card.features) for one in recordings])
    probabilities = OnnxClassifier(bundle).predict(rows)
    trust = bundle.card.trust
    word, sure, known = (np.zeros(len(rows), kind) for kind in (np.int64, bool, bool))
    for at, row in enumerate(rows):
        label, quality, reason = judge(probabilities[at].tolist(), row, trust, ALPHA)
        word[at] = 0 if label is None else trust.labels.index(label)
        sure[at] = quality is Quality.GOOD
        known[at] = reason != UNKNOWN
    return Said(word, sure, known, np.where(known, np.nan_to_num(probabilities).max(axis=1), 0.0), rows)


def scene(name: str, recordings: Sequence[Recording], local: Bundle, edge: Bundle, *, by_day: bool) -> Scene:
    """Return the recordings as one scene; a block is a day, or a whole home."""
    mine, bigger = said(local, recordings), said(edge, recordings)
    home = np.concatenate([np.full(len(one.at_ns), at) for at, one in enumerate(recordings)])
    day = np.concatenate([one.days for one in recordings])
    _, block = np.unique(np.stack([home, day if by_day else 0 * day]), axis=1, return_inverse=True)
    places = np.rint(np.nan_to_num(bigger.rows) / np.array(edge.card.steps)).astype(np.int64)
    _, bucket = np.unique(np.column_stack([home, places]), axis=0, return_inverse=True)
    return Scene(
        name,
        np.concatenate([one.labels for one in recordings]),
        block,
        home,
        np.concatenate([one.at_ns for one in recordings]) / 1e9,
        bucket,
        mine,
        bigger,
        86_400 / float(np.median([one.interval_s for one in recordings])),
    )
