"""Owns what sensors' faults do to novelty: faults written into clean held-out days, and how well the region tells the rows apart.

Never in here: fitting for use, or data files. The readings go straight into windows here; on a device many of these faults are refused
before, as BAD readings (a jump too fast, a value frozen for too long), and never reach a model.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.trust import Region
from appliance.core.trust.fitting import novelty_region
from appliance.errors import LearnError

Kind = Literal["spike", "drift", "noise", "stuck", "missing"]
SIZES: dict[Kind, tuple[float, ...]] = {
    "spike": (0.5, 0.25),
    "drift": (0.10, 0.05),
    "noise": (0.10, 0.05),
    "stuck": (120.0, 30.0, 15.0),
    "missing": (60.0, 30.0, 15.0),
}
"""Spike: one reading off by this share of it. Drift: 1 % a day until the error is this large. Noise: of every reading, this deviation, as a share
of it. Stuck and missing: minutes. Stuck for 30 minutes, a single spike, and 1 % a day up to 10 % are those of the fault matrix (B20 to B22)."""
EVERY = 240
"""Rows from one fault to the next, so that features forget most of it; spikes, which pass sooner, come four times as often."""
LEAST_ROWS = 20

Values = Mapping[str, NDArray[np.float64]]
Matrix = Callable[[Values], NDArray[np.float32]]
"""From channel -> readings (N,), NaN where nothing was heard, to features (N, F): what the device would see."""


class Line(msgspec.Struct, frozen=True):
    """How well one fault of one channel is told from clean rows, over held-out days: the mean, the worst and the best AUROC (0.5: not at all), the
    share of faulty rows outside the region (mean, worst day, best day), and of clean ones (mean).
    """

    fault: Kind
    size: float
    channel: str
    auroc: float
    worst: float
    best: float
    found: float
    found_worst: float
    found_best: float
    false: float


def novelty_table(
    values: Values,
    days: NDArray[np.int64],
    interval_s: float,
    matrix: Matrix,
    *,
    seed: int = 0,
    region: Callable[[int], Region] | None = None,
    sensor: NDArray[np.int64] | None = None,
) -> list[Line]:
    """Return a line for each fault, size and channel. Each day of `days` (N,) is held out in turn: the region is of the others; `region` gives it,
    where a model was made from more than these rows. `sensor` (N,) tells rows of different rooms apart, whose sensors break each by itself.

    A faulty row is one while the fault lasts (a spike: its row and the next); of drift, those of the days on which it has grown to its size.

    Raises:
        LearnError: fewer than three days.
    """
    each = np.unique(days)
    if len(each) < 3:
        raise LearnError(f"{len(each)} days: novelty needs three to hold one out", hint="record for longer")
    clean = matrix(values)
    known = np.isfinite(clean).all(axis=1)
    sensor = np.zeros(len(days), np.int64) if sensor is None else sensor
    regions = {
        day: novelty_region(clean[known & (days != day)], days[known & (days != day)])
        if region is None
        else region(day)
        for day in each.tolist()
    }
    scores = {day: _scores(regions[day], clean[known & (days == day)]) for day in each}
    lines = []
    for fault, sizes in SIZES.items():
        for size in sizes:
            for channel in values:
                rng = np.random.default_rng(seed)
                altered, faulty = values[channel].copy(), np.zeros(len(days), dtype=bool)
                for one in np.unique(sensor):
                    own = sensor == one
                    altered[own], faulty[own] = broken(values[channel][own], fault, size, interval_s, rng)
                rows = matrix({**values, channel: altered})
                found: list[tuple[float, float, float]] = []
                for day in each:
                    of_it = faulty & (days == day) & known
                    if of_it.sum() >= LEAST_ROWS and len(scores[day]) >= LEAST_ROWS:
                        told = _scores(regions[day], rows[of_it])
                        found.append(
                            (
                                auroc(scores[day], told),
                                float((told > 1).mean()),
                                float((scores[day] > 1).mean()),
                            )
                        )
                if found:
                    areas, outside, false = zip(*found, strict=True)
                    lines.append(
                        Line(
                            fault,
                            size,
                            channel,
                            *(
                                round(float(one), 4)
                                for one in (
                                    *_spread(areas),
                                    *_spread(outside),
                                    np.mean(false),
                                )
                            ),
                        )
                    )
    return lines


def broken(
    values: NDArray[np.float64], fault: Kind, size: float, interval_s: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the readings (N,) of a sensor with the fault, and which rows are of it."""
    altered, faulty = values.copy(), np.zeros(len(values), dtype=bool)
    if fault == "noise":
        return values * (1 + size * rng.standard_normal(len(values))), ~faulty
    if fault == "drift":
        grown = np.minimum(size, 0.01 * np.arange(len(values)) * interval_s / 86_400)
        # A recording is seldom so long: it has drifted for the days before it, and goes on to its size on its last day.
        grown = size - (grown[-1] - grown)
        return values * (1 + grown), grown > 0.8 * size
    lasts = 2 if fault == "spike" else max(1, round(size * 60 / interval_s))
    every = EVERY // 4 if fault == "spike" else EVERY + lasts
    for start in range(every // 2, len(values) - lasts, every):
        if fault == "spike":
            altered[start] *= 1 + size * rng.choice((-1.0, 1.0))
        else:
            altered[start : start + lasts] = altered[start] if fault == "stuck" else np.nan
        faulty[start : start + lasts] = True
    return altered, faulty


def auroc(clean: NDArray[np.float64], faulty: NDArray[np.float64]) -> float:
    """Return the chance that a faulty row scores higher than a clean one, ties counting half (Mann and Whitney 1947)."""
    both = np.concatenate([clean, faulty])
    _, place, many = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(many) - (many - 1) / 2)[place]
    above = ranks[len(clean) :].sum() - len(faulty) * (len(faulty) + 1) / 2
    return float(above / (len(clean) * len(faulty)))


def table(lines: Sequence[Line]) -> list[list[str]]:
    """Return the lines as cells, a row each, the heads of the columns first."""
    head = [
        "fault",
        "size",
        "channel",
        "found (worst to best day)",
        "AUROC (worst to best day)",
        "clean rows outside",
    ]
    return [head] + [
        [
            one.fault,
            sized(one),
            one.channel,
            f"{one.found:.0%} ({one.found_worst:.0%} to {one.found_best:.0%})",
            f"{one.auroc:.2f} ({one.worst:.2f} to {one.best:.2f})",
            f"{one.false:.1%}",
        ]
        for one in lines
    ]


def sized(one: Line) -> str:
    """Return the size of a fault as people say it."""
    return f"{one.size:g} min" if one.fault in ("stuck", "missing") else f"{one.size:.0%}"


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return float(np.mean(values)), min(values), max(values)


def _scores(region: Region, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    # What is not known is as far out as anything can be: the model says nothing there.
    return np.array([region.score(row) for row in rows])
