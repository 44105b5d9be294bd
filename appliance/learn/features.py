"""Owns the way from rows to a matrix: each row pushed into windows and extracted by the very functions that the device runs.

Never in here: choosing features. Nothing of the future is seen: a row's features come from it and the rows before it.
"""

from collections.abc import Sequence
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import SECOND, Instant
from appliance.core.features import FeatureSpec, extract
from appliance.core.quantities import QUANTITIES
from appliance.core.readings import Channel
from appliance.core.windows import Window
from appliance.learn.data import Row

CHANNELS = ("co2", "temperature", "humidity")
COLD_EVERY_NS = 6 * 3600 * SECOND
"""How far apart the pretended starts of `starts` lie, so that each time of day sees some (assumed)."""
COLD_FOR_NS = 24 * 3600 * SECOND
"""How long each goes on: the longest that any feature remembers."""


def starts(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Return `rows` as they are, and then a day of them from each of many starts, as if we began to listen there.

    A device starts with empty windows, often with somebody in the room; the file itself holds one such start only.
    """
    times = range(rows[0].at_ns + COLD_EVERY_NS, rows[-1].at_ns - COLD_EVERY_NS, COLD_EVERY_NS)
    return [
        rows,
        *([row for row in rows if at_ns <= row.at_ns < at_ns + COLD_FOR_NS] for at_ns in times),
    ]


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
