"""Owns simulated homes as recordings to learn from: what sensors told each minute, and the truth beside it.

Never in here: what is learnt from them. People and weather differ from home to home; a purifier is present and does what chance says, as
a model must not learn that clean air is an empty home.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from appliance.simulate.home import Home
from appliance.simulate.parameters import HomeParameters

STEP_S = 30.0
FIRST_SEED = 50_000
"""Homes to learn from; the outcome benchmark's are others."""
LEVELS = ("off", "off", "low", "medium", "high")
"""What the purifier is set to, by chance, for a few hours at a time."""
EMITTING_UGH = 1500.0
"""Particles that are set free, in µg/h, from which on the air is being spoilt: 0.025 mg/min, the least that a candle or vacuuming gives
(people.py); walking about is far below."""
EMITTING_VOC_UGH = 10_000.0
"""The same for vapours: cooking and cleaning are above, people (0.74 mg/h each) below."""


class Lived(msgspec.Struct, frozen=True):
    """One home over some days. `at_s` (N,): Unix seconds; `values`: metric -> (N,), NaN before the first report; `somebody`
    and `emitting` (N,): whether anybody is home, and whether particles or vapours are being set free.
    """

    name: str
    at_s: np.ndarray
    values: dict[str, np.ndarray]
    somebody: np.ndarray
    emitting: np.ndarray


def lived(seed: int, days: float, interval_s: float) -> Lived:
    """Return the home of `seed` over `days`, told each `interval_s` seconds."""
    rng = np.random.default_rng([seed, 7])
    parameters = HomeParameters.draw(rng)
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
        days=int(rng.integers(0, 365)), hours=int(rng.integers(0, 24))
    )
    home = Home(FIRST_SEED + seed, start=start, step_s=min(STEP_S, interval_s), parameters=parameters)
    count = int(days * 86_400 / interval_s)
    values: dict[str, np.ndarray] = {}
    somebody, emitting = np.zeros(count, np.int64), np.zeros(count, np.int64)
    turns = 0.0
    for row in range(count):
        if row * interval_s >= turns:
            home.set_level(str(rng.choice(LEVELS)))
            turns += float(rng.uniform(1.0, 8.0)) * 3600.0
        home.elapse(interval_s)
        for metric, value in home.measure().items():
            values.setdefault(metric, np.full(count, np.nan))[row] = value
        moment = home.dwelling.moment
        somebody[row] = moment.home > 0
        emitting[row] = moment.sources.pm2_5 > EMITTING_UGH or moment.sources.voc > EMITTING_VOC_UGH
    at_s = start.timestamp() + interval_s * np.arange(1, count + 1)
    return Lived(f"home {seed}", at_s, values, somebody, emitting)


def many(seeds: range, days: float, interval_s: float) -> Iterator[Lived]:
    """Yield the homes of `seeds`."""
    return (lived(seed, days, interval_s) for seed in seeds)
