"""Owns which faults of its sensors a finished model would find: its novelty, on the recipe's own days, each held out of the region in its turn.

Never in here: test files, or the shipped region itself, which has seen all of these days.
"""

import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Card
from appliance.core.trust import Region
from appliance.core.trust.fitting import novelty_region
from appliance.learn import choosing
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
