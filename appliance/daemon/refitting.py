"""Owns a refit of a model to this home, from its store to a watched version: a process of its own, beside the daemon.

Never in here: the numbers of a refit (refit), or who decides (the shelf's standing, which a person changes).
"""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.adapters.classifier import OnnxClassifier
from appliance.adapters.store import Queries
from appliance.adapters.store.recall import Recall
from appliance.bundle import Bundle, Shelf
from appliance.core.clock import Instant
from appliance.core.events import ReadingArrived
from appliance.core.home import Home
from appliance.core.profile import Appliance
from appliance.errors import ConfigError
from appliance.refit import Material, Outcome, gather, refit, told
from appliance.replay import UNBROKEN, Moment

ASKED = 200
"""So many single inferences are timed."""


class Report(msgspec.Struct, frozen=True):
    """What a refit came to: the gate's `outcome`, the `number` of the new version (None: nothing moved), and what it cost.

    Seconds by the wall clock: `gathered_s` for the rows, `refit_s` for the refit itself, `inference_s` for one inference; `busy_s` the
    refit's processor time; `grown_mb` how far above its size before the rows were gathered the process ever was.
    """

    outcome: Outcome
    number: int | None
    rows: int
    contradicted: int
    gathered_s: float
    refit_s: float
    busy_s: float
    grown_mb: float
    inference_s: float


def refit_here(
    folder: Path, shelf: Shelf, home: Home, spec: Appliance, channel: str, since_ns: int, at: str
) -> Report:
    """Refit the model of `channel` of `spec` to the labels and readings in `folder` since `since_ns` (Unix time); keep what holds.

    Raises:
        ConfigError: nothing was told yet.
        StoreError: the history can't be read.
        ModelError: the shipped model can't be used.
    """
    base = shelf.bundle(0)
    current = shelf.bundle(shelf.standing().current)
    before, began = _now_mb(), time.perf_counter()
    material = material_of(folder, base, current, home, spec, channel, since_ns)
    gathered_s = time.perf_counter() - began
    inference_s = _inference_s(OnnxClassifier(base))
    began, busy = time.perf_counter(), time.process_time()
    outcome = refit(base, current.card, material, at=at, alpha=spec.alpha(channel))
    refit_s, busy_s, grown = time.perf_counter() - began, time.process_time() - busy, _peak_mb() - before
    number = None if outcome.card is None else shelf.put(base, outcome.card)
    return Report(
        outcome,
        number,
        len(material.labels),
        material.contradicted,
        gathered_s,
        refit_s,
        busy_s,
        grown,
        inference_s,
    )


def material_of(
    folder: Path, base: Bundle, current: Bundle, home: Home, spec: Appliance, channel: str, since_ns: int
) -> Material:
    """Return what this home knows of `channel` of `spec` since `since_ns` (Unix time), from the store in `folder`: rows as the shipped `base` sees
    them, what was told of them, and what `base` and the version in force, `current`, say.

    Raises:
        ConfigError: nothing was told yet.
        StoreError: the history can't be read.
        ModelError: a model can't be run.
    """
    labels = Queries(folder).labels(spec.id, channel)
    if not labels:
        raise ConfigError(
            f"nothing was told of {channel} of {spec.id} yet",
            hint=f'tell it: appliance learn label {spec.id} {channel} {base.card.labels[-1]} --from "9:00" --to "11:00"',
        )
    found = gather(spec, base.card.features, _readings(folder, since_ns), home.zone)
    numbers, contradicted = told(found, labels, base.card.labels)
    known = np.isfinite(found.rows).all(axis=1)
    use = known & (numbers >= 0)
    rows = found.rows[use]
    none: NDArray[np.float64] = np.empty((0, len(base.card.labels)))
    return Material(
        rows,
        OnnxClassifier(base).before_head(rows).astype(np.float64) if len(rows) else none,
        numbers[use],
        found.days[use],
        found.rows[known],
        found.days[known],
        contradicted,
        OnnxClassifier(current).predict(rows).astype(np.float64) if len(rows) else none,
    )


def _readings(folder: Path, since_ns: int) -> Iterator[tuple[Instant, ReadingArrived] | None]:
    for happened in Recall(folder, since_ns, 1 << 62, as_it_was=True).history():
        if isinstance(happened, Moment):
            for event in happened.events:
                if isinstance(event, ReadingArrived):
                    yield happened.at, event
        elif happened.why not in UNBROKEN:
            yield None


def _inference_s(classifier: OnnxClassifier) -> float:
    row = np.zeros((1, len(classifier.spec.features)), np.float32)
    classifier.predict(row)
    began = time.perf_counter()
    for _ in range(ASKED):
        classifier.predict(row)
    return (time.perf_counter() - began) / ASKED


def _now_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
