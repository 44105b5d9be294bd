"""Rooms made up for tests: a channel that rises while somebody is there, and one that does nothing but wander."""

import numpy as np

from appliance.core.clock import SECOND
from appliance.learn.recordings import Recording

START_S = 1_750_032_000
"""A Monday's midnight."""


def room(
    days: int = 4, interval_s: int = 300, *, seed: int = 0, group: str = "room", share: float = 0.4
) -> Recording:
    rng = np.random.default_rng(seed)
    count = days * 86_400 // interval_s
    at_s = START_S + interval_s * np.arange(count)
    hour = at_s % 86_400 / 3600
    begins = 8 + rng.uniform(-1, 1, days).repeat(count // days)
    labels = ((hour >= begins) & (hour < begins + 24 * share)).astype(np.int64)
    voc, pm = np.empty(count), np.empty(count)
    now, dust = 100.0, 8.0
    for at in range(count):
        now += (100.0 + 120.0 * labels[at] - now) * (1 - np.exp(-interval_s / 2400))
        dust += (8.0 + 6.0 * labels[at] - dust) * 0.1 + rng.normal(0, 0.4)
        voc[at], pm[at] = now + rng.normal(0, 3), max(dust, 0.0)
    return Recording(
        group, at_s.astype(np.int64) * SECOND, {"voc_index": np.round(voc), "pm2_5": np.round(pm, 1)}, labels
    )


def as_csv(recordings, *, header: str = "when,place,dust,voc,used") -> str:
    lines = [header]
    for one in recordings:
        for at in range(len(one.at_ns)):
            moment = np.datetime64(int(one.at_ns[at]) // SECOND, "s")
            lines.append(
                f"{moment},{one.group},{one.values['pm2_5'][at] / 1000:.4f},{one.values['voc_index'][at]:.0f},{one.labels[at]}"
            )
    return "\n".join(lines) + "\n"


RECIPE = """
name = "used"
title = "Is the room in use?"
labels = ["empty", "used"]
alphas = [0.10, 0.05]

[data]
training = ["mine.csv"]
time = "when"
label = "used"
group = "place"

[data.channels.pm2_5]
column = "dust"
unit = "mg/m³"

[data.channels.voc_index]
column = "voc"

[split]
folds = 4

[features]
most = 10

[rooms]
imitated = 1
judged = 1

[teacher]
kinds = ["linear", "extra_trees"]

[students]
architectures = ["linear", "mlp"]
sizes = 1
seeds = 1
steps = 200

[budgets]
distil = 0.2
prune = 0.1
"""
