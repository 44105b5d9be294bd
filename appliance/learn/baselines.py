"""Owns what any model has to beat: the majority, the mean, and hysteresis on one channel, each fitted on the training days alone.

Never in here: a model that learns anything more.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.learn.judging import macro_f1
from appliance.learn.recordings import Recording

PREFERRED = ("co2", "eco2", "voc_index", "pm2_5")
"""The channel that hysteresis looks at: the first of these that there is, else the first of all."""
TRIED = np.linspace(0.02, 0.98, 49)
BACK = (1.0, 0.9, 0.8, 0.6)
"""Where it turns off: this share of the way from the channel's lowest to where it turned on."""


def majority(recordings: Sequence[Recording]) -> int:
    """Return the commonest label."""
    return int(np.bincount(np.concatenate([one.labels for one in recordings])).argmax())


def mean_limit(recordings: Sequence[Recording], channel: str) -> float:
    """Return the mean of the channel: above it, somebody; the simplest rule that looks at anything."""
    return float(np.nanmean(np.concatenate([one.values[channel] for one in recordings])))


def channel_for(recordings: Sequence[Recording]) -> str:
    """Return the channel that the simple rules look at."""
    there = [name for name in recordings[0].values if all(name in one.values for one in recordings)]
    return next((name for name in PREFERRED if name in there), there[0])


def above(recording: Recording, channel: str, on: float, off: float) -> NDArray[np.int64]:
    """Return 1 from where the channel rises above `on` until it falls below `off` (N,), else 0. What was not heard changes nothing."""
    said = np.zeros(len(recording.at_ns), np.int64)
    now = 0
    for at, value in enumerate(recording.values[channel].tolist()):
        if value > on:
            now = 1
        elif value < off:
            now = 0
        said[at] = now
    return said


def tuned(recordings: Sequence[Recording], channel: str) -> tuple[float, float]:
    """Return the limits (on, off) with the best macro F1 on the recordings. For two labels; of more, it tells the first from the rest."""
    heard = np.concatenate([one.values[channel] for one in recordings])
    heard = heard[np.isfinite(heard)]
    low = float(heard.min())
    labels = np.minimum(np.concatenate([one.labels for one in recordings]), 1)
    best, limits = -1.0, (low, low)
    for on in np.unique(np.quantile(heard, TRIED)).tolist():
        for share in BACK:
            off = low + share * (on - low)
            said = np.concatenate([above(one, channel, on, off) for one in recordings])
            value = macro_f1(labels, said)
            if value > best:
                best, limits = value, (on, off)
    return limits
