"""Owns the way from a home's history to rows: the readings of then through the senses and features of now, a row every five minutes.

Never in here: where a history is kept, or what a model says to the rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import SECOND, Instant
from appliance.core.events import Labelled, ReadingArrived
from appliance.core.features import FeatureSpec, row
from appliance.core.profile import Appliance
from appliance.core.senses import Sense
from appliance.core.windows import Window

STEP_NS = 300 * SECOND
"""How far apart rows lie: features look at minutes to a day, and rows that are closer say the same."""
MOST_ROWS = 20_000
"""Ten weeks of rows; of a longer history the newest count."""
MOMENT_NS = 150 * SECOND
"""A label of a moment is true for so long before and after it: half a step, so that a row meets it."""


class Gathered(msgspec.Struct, frozen=True):
    """Rows (N, F) float32 in order of time, their wall times (N,) in Unix nanoseconds, and the local days (N,) that they are of."""

    rows: NDArray[np.float32]
    walls: NDArray[np.int64]
    days: NDArray[np.int64]


def gather(
    spec: Appliance,
    features: FeatureSpec,
    history: Iterable[tuple[Instant, ReadingArrived] | None],
    zone: tzinfo,
) -> Gathered:
    """Return the rows that a model with `features` would have seen in `history`; None in it: nobody knows what was between.

    Readings are checked as they are live: what is BAD or UNCERTAIN reaches no window.
    """
    routes: dict[tuple[str, str], str] = {
        (device, metric): channel for device, metric, channel in spec.sources if channel in features.channels
    }
    senses = _fresh(spec, features)
    table: list[list[float]] = []
    walls: list[int] = []
    due_ns = None
    for happened in history:
        if happened is None:
            senses, due_ns = _fresh(spec, features), None
            continue
        at, event = happened
        due_ns = at.boottime_ns + STEP_NS if due_ns is None else due_ns
        while due_ns <= at.boottime_ns:
            then = at.plus(due_ns - at.boottime_ns)
            windows: Mapping[str, Window] = {name: sense.window for name, sense in senses.items()}
            table.append(row(windows, features, then, zone))
            walls.append(then.wall_ns)
            due_ns += STEP_NS
            if at.boottime_ns - due_ns > STEP_NS * 12:
                # Silent for an hour: nothing is known there.
                due_ns = at.boottime_ns + STEP_NS
        if event.retained or event.resent:
            continue
        for reading in event.readings:
            channel = routes.get((event.device, reading.metric))
            if channel is not None:
                senses[channel] = senses[channel].hear(
                    f"{event.device}:{reading.metric}", reading, at, retained=False, resent=False
                )
    del table[:-MOST_ROWS], walls[:-MOST_ROWS]
    rows = np.array(table, dtype=np.float32).reshape(len(table), len(features.features))
    days = [Instant("", 0, wall).local(zone).toordinal() for wall in walls]
    return Gathered(rows, np.array(walls, dtype=np.int64), np.array(days, dtype=np.int64))


def told(
    gathered: Gathered, labels: Sequence[Labelled], words: Sequence[str]
) -> tuple[NDArray[np.int64], int]:
    """Return for each row the number of the label that was told of its time, -1 where none was, and how many rows were told two.

    A later word of the same span and kind of saying is as good as an earlier: both at once count as neither.
    """
    seen = np.zeros((len(gathered.walls), len(words)), dtype=bool)
    for label in labels:
        if label.label in words:
            wide = MOMENT_NS if label.until_ns - label.since_ns < 2 * MOMENT_NS else 0
            low, high = np.searchsorted(gathered.walls, (label.since_ns - wide, label.until_ns + wide + 1))
            seen[low:high, words.index(label.label)] = True
    many = seen.sum(axis=1)
    return np.where(many == 1, seen.argmax(axis=1), -1).astype(np.int64), int((many > 1).sum())


def _fresh(spec: Appliance, features: FeatureSpec) -> dict[str, Sense]:
    return {
        name: Sense(channel, {}, Window.empty(channel.max_age_ns, channel.quantity.resolution))
        for name, channel in spec.channels.items()
        if name in features.channels
    }
