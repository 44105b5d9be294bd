"""Owns the way from rows to a matrix: each row pushed into windows and extracted by the very functions that the device runs.

Never in here: choosing features. Nothing of the future is seen: a row's features come from it and the rows before it.
"""

from collections.abc import Sequence
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import Instant
from appliance.core.features import FeatureSpec, extract
from appliance.core.quantities import QUANTITIES
from appliance.core.readings import Channel
from appliance.core.windows import Window
from appliance.learn.data import Row

CHANNELS = ("co2", "temperature", "humidity")


def matrix(rows: Sequence[Row], spec: FeatureSpec) -> NDArray[np.float32]:
    """Return the features (N, F) of `rows`, which lie in order of time; NaN where one is not known yet.

    Times of day are the data's own local ones.
    """
    channels = {name: Channel.of(name, QUANTITIES[name]) for name in CHANNELS}
    windows = {
        name: Window.empty(channel.max_age_ns, channel.quantity.resolution)
        for name, channel in channels.items()
    }
    table = np.empty((len(rows), len(spec.features)), dtype=np.float32)
    for number, row in enumerate(rows):
        for name in CHANNELS:
            windows[name] = windows[name].push(channels[name].quantity.steps(getattr(row, name)), row.at_ns)
        table[number] = extract(windows, spec, Instant("data", row.at_ns, row.at_ns), UTC)
    return table


def truth(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Return the labels (N,): 1 where somebody is there."""
    return np.array([row.somebody for row in rows], dtype=np.int64)
