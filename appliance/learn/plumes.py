"""Owns the check of `air-event` on real plumes: a rule on particles alone, written down before any model was trained, and how the model
compares with it. Never in here: the label column of that file, which contradicts the physics and is not even read.

The rule. A plume begins at the first moment at which PM2.5, as the mean of a minute, lies 10 µg/m³ or more above the least minute of the ten minutes
before it and stays there for two minutes; it ends when a minute lies less than 5 µg/m³ above that least minute. Stretches further than 30 minutes
from any plume are quiet. An onset is found where the model says its last label, surely or not, within two minutes of it, before or after; an alarm in a
quiet stretch is false, and counted once for as long as it goes on.
"""

import csv
import gzip
import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Bundle
from appliance.core.clock import SECOND
from appliance.core.home import Classifier
from appliance.learn.cycle import Cycle
from appliance.learn.data import VARIABLE
from appliance.learn.features import matrix
from appliance.learn.recordings import Recording

FILE = "smoke_iot_dedup_sessions.csv.gz"
SOURCE = "derived from Blatts01/ai-smokedetector (MIT): rows with a synthetic temperature dropped, three sessions at 1 Hz"
MINUTE_S = 60
RISE, FALL = 10.0, 5.0
BEFORE_MIN, STAYS_MIN, QUIET_MIN = 10, 2, 30
WITHIN_MIN = 2
COLUMNS = {
    "pm2_5": "PM2.5",
    "eco2": "eCO2[ppm]",
    "voc_ppb": "TVOC[ppb]",
    "humidity": "Humidity[%]",
    "temperature": "Temperature[C]",
}
"""Of that file. Its "Fire Alarm" is not among them."""


def checks(cycle: Cycle, bundle: Bundle, classifier: Classifier) -> dict[str, str]:
    """Return what the check came to, by its title; nothing for another model, or where the file is not there."""
    folder = os.environ.get(VARIABLE)
    path = Path(folder or ".") / FILE
    if cycle.recipe.name != "air-event" or not path.is_file():
        return {}
    if not bundle.card.features.channels <= set(COLUMNS):
        return {
            "Real plumes": f"not checked: the file has no {', '.join(sorted(bundle.card.features.channels - set(COLUMNS)))}"
        }
    return {"Real plumes": _told(path, bundle, classifier)}


def sessions(path: Path) -> list[Recording]:
    """Return the sessions, a row each ten seconds; labels are all 0, as there is no truth."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = list(csv.DictReader(io.StringIO(file.read())))
    found = []
    for session in sorted({line["session"] for line in lines}):
        own = sorted(
            (line for line in lines if line["session"] == session), key=lambda line: int(line["UTC"])
        )
        at, kept = -10, []
        for line in own:
            if int(line["UTC"]) >= at + 10:
                at = int(line["UTC"])
                kept.append(line)
        found.append(
            Recording(
                session,
                np.array([int(line["UTC"]) * SECOND for line in kept]),
                {name: np.array([float(line[column]) for line in kept]) for name, column in COLUMNS.items()},
                np.zeros(len(kept), np.int64),
            )
        )
    return found


def plumes(
    at_ns: NDArray[np.int64], pm2_5: NDArray[np.float64]
) -> tuple[list[int], NDArray[np.bool_], NDArray[np.int64]]:
    """Return the minutes of onset, which minutes are quiet, and the minutes' numbers since the first row."""
    minute = (at_ns - at_ns[0]) // (MINUTE_S * SECOND)
    numbers = np.unique(minute)
    means = np.array([pm2_5[minute == one].mean() for one in numbers])
    onsets: list[int] = []
    plume = np.zeros(len(numbers), dtype=np.bool_)
    base = None
    for at in range(len(numbers)):
        recent = means[max(0, at - BEFORE_MIN) : at]
        if base is None:
            if len(recent) >= BEFORE_MIN // 2 and len(means) > at + STAYS_MIN - 1:
                least = float(recent.min())
                if (means[at : at + STAYS_MIN] >= least + RISE).all():
                    base = least
                    onsets.append(int(numbers[at]))
        elif means[at] < base + FALL:
            base = None
        plume[at] = base is not None
    near = np.zeros(len(numbers), dtype=np.bool_)
    for place in np.flatnonzero(plume).tolist():
        near |= np.abs(numbers - numbers[place]) <= QUIET_MIN
    return onsets, ~near, numbers


def _told(path: Path, bundle: Bundle, classifier: Classifier) -> str:
    found = onsets_all = false = known_onsets = 0
    quiet_h = 0.0
    for one in sessions(path):
        onsets, quiet, numbers = plumes(one.at_ns, one.values["pm2_5"])
        rows = matrix(one, bundle.card.features)
        said = classifier.predict(rows).astype(np.float64)
        known = np.asarray(np.isfinite(said).all(axis=1))
        event = np.where(
            known, np.nan_to_num(said, nan=-1.0).argmax(axis=1) == len(bundle.card.labels) - 1, False
        )
        minute = (one.at_ns - one.at_ns[0]) // (MINUTE_S * SECOND)
        alarm = np.array([event[minute == number].any() for number in numbers])
        knows = np.array([known[minute == number].any() for number in numbers])
        for onset in onsets:
            near = np.abs(numbers - onset) <= WITHIN_MIN
            onsets_all += 1
            known_onsets += bool(knows[near].any())
            found += bool(alarm[near].any())
        calm = quiet & knows
        quiet_h += float(calm.sum()) / 60
        false += int((alarm[1:] & ~alarm[:-1] & calm[1:]).sum()) + int(alarm[0] and calm[0])
    return (
        f"On the recorded plumes ({SOURCE}; its label column is not used) a rule on PM2.5 alone, written down before training, finds {onsets_all}"
        f" onsets, at {known_onsets} of which the model's features are known; the model says “{bundle.card.labels[-1]}” within {WITHIN_MIN} min of"
        f" {found}. In {quiet_h:.1f} h that are quiet by the rule and known to the model it raises {false} false alarms"
        + (f", {false / quiet_h:.2f} an hour." if quiet_h else ".")
    )
