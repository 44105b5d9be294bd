"""Owns which faults of its sensors a finished model would find: its novelty, on the recipe's own days, each held out of the region in its turn.

Never in here: test files, or the shipped region itself, which has seen all of these days.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Card
from appliance.core.trust import Region
from appliance.core.trust.fitting import novelty_region
from appliance.errors import LearnError
from appliance.learn import choosing, pages
from appliance.learn.cycle import Cycle
from appliance.learn.faults import Line, Values, novelty_table
from appliance.learn.features import matrix
from appliance.learn.lessons import LEARN
from appliance.learn.recordings import Recording
from appliance.learn.splitting import blocks


def faults_found(cycle: Cycle, card: Card) -> list[Line]:
    """Return a line for each fault, size and channel of the model of `card`, on the recipe's recorded (or simulated) days.

    A region is made as the shipped one was, from all rooms that were learnt from, but without the day that it is asked of.

    Raises:
        LearnError: as the cycle's `lessons`; or fewer than three days (or groups) to hold out.
    """
    recordings, lessons = cycle.recordings, cycle.lessons
    names = sorted(card.features.channels)
    columns = [choosing.index_of(lessons, feature.name) for feature in card.features.features]
    learnt = ((lessons.uses & LEARN) > 0) & np.isfinite(lessons.rows[:, columns]).all(axis=1)
    ends = np.cumsum([len(one.at_ns) for one in recordings])[:-1]

    def features(values: Values) -> NDArray[np.float32]:
        parts = {name: np.split(column, ends) for name, column in values.items()}
        return np.concatenate(
            [
                matrix(
                    Recording(one.group, one.at_ns, {name: parts[name][at] for name in names}, one.labels),
                    card.features,
                )
                for at, one in enumerate(recordings)
            ]
        )

    def region(day: int) -> Region:
        others = learnt & (lessons.block != day)
        return novelty_region(lessons.rows[others][:, columns], lessons.block[others])

    return novelty_table(
        {name: np.concatenate([one.values[name] for one in recordings]) for name in names},
        np.concatenate(blocks(recordings, cycle.recipe.split.by)),
        float(np.median([one.interval_s for one in recordings])),
        features,
        seed=cycle.recipe.seed,
        region=region,
        sensor=np.concatenate([np.full(len(one.at_ns), at) for at, one in enumerate(recordings)]),
    )


def write_into(folder: Path, lines: Sequence[Line]) -> None:
    """Write the lines into report.json, report.md and report.html of `folder`, in the place of those from before; all else stays as it is.

    Raises:
        LearnError: there is no report, or it has no place for them.
    """
    part = pages.faults_of(lines)
    heading, last = pages.FAULTS.lstrip("# "), pages.UNTESTED.lstrip("# ")
    written = {
        "report.md": (f"## {heading}\n", f"## {last}\n", pages.markdown(part) + "\n"),
        "report.html": (f"<h2>{heading}</h2>", f"<h2>{last}</h2>", pages.html_of(part)),
    }
    try:
        told = json.loads((folder / "report.json").read_text("utf-8"))
        for name, (begins, ends, text) in written.items():
            page = (folder / name).read_text("utf-8")
            page = re.sub(f"{re.escape(begins)}.*?(?={re.escape(ends)})", "", page, flags=re.DOTALL)
            before, found, after = page.partition(ends)
            if not found:
                raise LearnError(f"{folder / name}: no {last!r}", hint="make it anew: appliance learn report")
            (folder / name).write_text(before + text + found + after, encoding="utf-8")
    except (OSError, ValueError) as missing:
        raise LearnError(
            f"{folder}: no report: {missing}", hint="make one first: appliance learn report"
        ) from None
    told["faults"] = msgspec.to_builtins(list(lines))
    (folder / "report.json").write_text(
        json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
