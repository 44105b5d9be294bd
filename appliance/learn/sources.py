"""Owns where recordings come from: the data set known by name, tables of one's own, and simulated rooms that are handed in.

Never in here: what is done with them. Test files are read by `tests` alone, which the report calls.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from appliance.errors import LearnError
from appliance.learn.data import DIGESTS, TESTS, TRAINING, Row, rows
from appliance.learn.recipe import Recipe
from appliance.learn.recordings import Recording, checked, no_shared_rows
from appliance.learn.tables import read_table

Simulate = Callable[[range, float, float, str], Sequence[Recording]]
"""Gives simulated homes as recordings: from seeds, days, the interval in seconds, and what is true of a row."""
SIMULATED_FROM = 1000
"""Seeds of homes that a recorded room's recipe learns from besides."""
TESTED_FROM = 5000
"""Seeds of the homes that only the report of a simulated recipe sees."""


def training(recipe: Recipe, beside: Path, simulate: Simulate | None) -> list[Recording]:
    """Return the recordings that the recipe trains on, checked.

    Raises:
        LearnError: they are missing, other than expected, or nothing can be learnt from them.
    """
    data = recipe.data
    if data.kind == "uci_occupancy":
        found = [recorded(rows(TRAINING))]
    elif data.kind == "simulated":
        found = list(_simulated(recipe, simulate, range(data.homes), data.days))
    else:
        found = [one for name in data.training for one in read_table(name, beside, recipe)]
        _one_group_a_name(found)
    wanted = recipe.features.channels
    found = [
        Recording(
            one.group,
            one.at_ns,
            {n: c for n, c in one.values.items() if not wanted or n in wanted},
            one.labels,
        )
        for one in found
    ]
    checked(found, recipe.labels, recipe.name)
    return found


def tests(
    recipe: Recipe, beside: Path, simulate: Simulate | None, learnt: Sequence[Recording]
) -> dict[str, list[Recording]]:
    """Open the test files, and return their recordings by test. For `report` alone.

    Raises:
        LearnError: as `training`; or a day, or rows, of a test lie in `learnt` too.
    """
    data = recipe.data
    if data.kind == "uci_occupancy":
        found = {test: [recorded(rows(name))] for test, name in TESTS.items()}
    elif data.kind == "simulated":
        homes = range(TESTED_FROM, TESTED_FROM + max(3, data.homes // 2))
        found = {"homes that nobody learnt from": list(_simulated(recipe, simulate, homes, data.days))}
    else:
        found = {test: read_table(name, beside, recipe) for test, name in data.tests.items()}
    if data.kind != "uci_occupancy":  # Those are the very files, whose days are known.
        no_shared_rows({"training": learnt, **found})
    return found


def apart(recipe: Recipe, beside: Path, learnt: Sequence[Recording]) -> None:
    """Refuse tests that share days or rows with training, before anything is fitted. Nothing of what this reads is kept.

    Raises:
        LearnError: as `tests`.
    """
    if recipe.data.kind == "table" and recipe.data.tests:
        no_shared_rows(
            {
                "training": learnt,
                **{test: read_table(name, beside, recipe) for test, name in recipe.data.tests.items()},
            }
        )


def digests(recipe: Recipe) -> dict[str, str]:
    """Return the test files whose digests are known, with these."""
    if recipe.data.kind == "uci_occupancy":
        return {name: DIGESTS[name] for name in TESTS.values()}
    return {
        name: recipe.data.sha256[name] for name in recipe.data.tests.values() if name in recipe.data.sha256
    }


def further(recipe: Recipe, simulate: Simulate | None, interval_s: float) -> Sequence[Recording]:
    """Return the simulated homes that a recipe learns from besides its recordings."""
    if not recipe.rooms.simulated:
        return []
    count = recipe.rooms.simulated + -(-recipe.rooms.simulated // 2)
    homes = range(SIMULATED_FROM, SIMULATED_FROM + count)
    return _asked(recipe, simulate, homes, recipe.rooms.simulated_days, max(interval_s, 10.0))


def recorded(table: Sequence[Row]) -> Recording:
    """Return the rows of a known data set as a recording."""
    return Recording(
        "office",
        np.array([row.at_ns for row in table], dtype=np.int64),
        {
            name: np.array([getattr(row, name) for row in table])
            for name in ("co2", "temperature", "humidity")
        },
        np.array([row.somebody for row in table], dtype=np.int64),
    )


def _simulated(recipe: Recipe, simulate: Simulate | None, homes: range, days: float) -> Sequence[Recording]:
    return _asked(recipe, simulate, homes, days, recipe.data.interval_s)


def _asked(
    recipe: Recipe, simulate: Simulate | None, homes: range, days: float, interval_s: float
) -> Sequence[Recording]:
    if simulate is None:
        raise LearnError("nobody simulates rooms here", hint="run it as `appliance learn run`")
    return simulate(homes, days, interval_s, recipe.data.truth_of)


def _one_group_a_name(found: Sequence[Recording]) -> None:
    names = [one.group for one in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise LearnError(
            f"the group {min(twice)!r} is in two files",
            hint="put a room's rows into one file, or name the rooms apart",
        )
