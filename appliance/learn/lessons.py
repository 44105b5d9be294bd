"""Owns what is learnt from and what is judged on: features of the recorded rooms, of cold starts, of imitated and of simulated rooms.

Never in here: fitting. An imitated room that is judged on was drawn apart from those that are learnt from, and its rows keep their day, so
a held-out day is held out of every room.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.features import FeatureSpec
from appliance.errors import LearnError
from appliance.learn.features import Told, matrix, offered, starts
from appliance.learn.judging import Judged, judge_rooms
from appliance.learn.recipe import Recipe
from appliance.learn.recordings import Recording, channels_of
from appliance.learn.rooms import Room, drawn, imitated
from appliance.learn.splitting import blocks, folds

RECORDED, COLD = "as recorded", "after a cold start"
WEIGHTS = {"recorded": 1.0, "cold": 0.5, "imitated": 2.0, "simulated": 1.0}
"""What the rows of each kind of room weigh together (assumed)."""
LEARN, JUDGE = 1, 2
MAX_FEATURE_ROWS = 400_000


class Lessons(msgspec.Struct):
    """All rows that are learnt from or judged on; rows whose features are not known are left out.

    `rows` (N, F) float32 in the order of `spec`; `labels`, `block`, `fold` and `room` (N,); `rooms` names the rooms; `uses` (N,)
    says what a row is for (LEARN, JUDGE or both), `weights` (N,) what it counts when learning; fold -1 is learnt from in
    every fold and never held out (simulated rooms); -2 is judged in every fold and never learnt from.
    """

    spec: FeatureSpec
    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    block: NDArray[np.int64]
    fold: NDArray[np.int64]
    room: NDArray[np.int64]
    uses: NDArray[np.int64]
    weights: NDArray[np.float64]
    rooms: tuple[str, ...]
    known: float
    """The share of the recorded rows whose features are known."""

    def judged(self) -> dict[str, NDArray[np.bool_]]:
        """Return for each room that is judged on which rows (N,) those are."""
        judged = (self.uses & JUDGE) > 0
        found = {name: judged & (self.room == at) for at, name in enumerate(self.rooms)}
        return {name: rows for name, rows in found.items() if rows.any()}

    def judge(self, probabilities: NDArray[np.float64], by: str) -> Judged:
        """Judge `probabilities` (N, L), NaN where nothing was judged, by "rooms" or "days"."""
        said = np.nan_to_num(probabilities, nan=0.0)
        return judge_rooms(said, self.labels, self.judged(), self.block if by == "days" else None)


class _Part(msgspec.Struct):
    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    block: NDArray[np.int64]
    room: int
    uses: int
    kind: str


def lessons(
    recipe: Recipe,
    recordings: Sequence[Recording],
    simulated: Sequence[Recording],
    tell: Told,
    parallel: "Callable[[Sequence[Job]], list[NDArray[np.float32]]]",
) -> Lessons:
    """Return what is learnt from and judged on. `simulated` are further rooms, the last third of them to be judged by.

    Raises:
        LearnError: too little, or too coarse, to learn from; a channel is missing in some recording.
    """
    channels = [
        name
        for name in channels_of(recordings)
        if name in (recipe.features.channels or channels_of(recordings))
    ]
    for one in recordings:
        missing = set(recipe.features.channels or channels) - set(one.values)
        if missing:
            raise LearnError(
                f"{one.group} has no {min(missing)}",
                hint="leave the channel out of the recipe, or the group out of the data",
            )
    interval = float(np.median([one.interval_s for one in recordings]))
    if max(one.interval_s for one in recordings) > 2 * interval:
        raise LearnError(
            "some groups were recorded at quite another interval than others",
            hint="thin out the denser ones, so that features mean the same in all",
        )
    spec = offered(
        channels,
        interval,
        time_of_day=recipe.features.time_of_day,
        series="cnn" in recipe.students.architectures,
        groups=recipe.features.groups,
    )
    own_blocks = blocks(recordings, recipe.split.by)
    every = recipe.features.every or max(1, round(60.0 / max(interval, 1.0)))
    sparse = every * recipe.rooms.every
    jobs: list[Job] = []
    parts: list[_Part] = []
    names = [RECORDED, COLD]

    def add(
        recording: Recording, block: NDArray[np.int64], step: int, room: int, uses: int, kind: str
    ) -> None:
        jobs.append(Job(recording, spec, step))
        parts.append(
            _Part(np.empty(0, np.float32), recording.labels[::step], block[::step], room, uses, kind)
        )

    for one, block in zip(recordings, own_blocks, strict=True):
        add(one, block, every, 0, LEARN | JUDGE, "recorded")
        for part in starts(one):
            if len(part.at_ns) > 1:
                place = np.searchsorted(one.at_ns, part.at_ns)
                add(part, block[place], sparse, 1, LEARN | JUDGE, "cold")
    for number in range(recipe.rooms.imitated + recipe.rooms.judged):
        to_judge = number >= recipe.rooms.imitated
        for at, (one, block) in enumerate(zip(recordings, own_blocks, strict=True)):
            rng = np.random.default_rng([recipe.seed, number, at, 1])
            other, order = imitated(one, _room(recipe, number), rng)
            add(other, block[order], sparse, len(names), JUDGE if to_judge else LEARN, "imitated")
        names.append(
            f"imitated {number + 1 - recipe.rooms.imitated * to_judge}{' (judged)' if to_judge else ''}"
        )
    first = 1 + max(int(block.max()) for block in own_blocks)
    cut = len(simulated) - len(simulated) // 3
    for number, one in enumerate(simulated):
        kept = Recording(one.group, one.at_ns, {name: one.values[name] for name in channels}, one.labels)
        use = LEARN if number < cut else JUDGE
        room = len(names)
        add(kept, np.full(len(one.at_ns), first + number), sparse, room, use, "simulated")
        if use == LEARN:
            names.append(f"simulated {number + 1}")
    if cut < len(simulated):
        names.append("simulated (judged)")
    if sum(len(part.labels) for part in parts) > MAX_FEATURE_ROWS:
        raise LearnError(
            f"{sum(len(part.labels) for part in parts)} rows of features, at most {MAX_FEATURE_ROWS}",
            hint="raise features.every or rooms.every, or imitate fewer rooms",
        )
    tell("features", 0, len(jobs))
    for number, (made, rows) in enumerate(zip(parts, parallel(jobs), strict=True)):
        made.rows = rows
        tell("features", number + 1, len(jobs))
    return _joined(recipe, spec, parts, names, first)


def _room(recipe: Recipe, number: int) -> Room:
    return drawn(np.random.default_rng([recipe.seed, number, 2]), recipe.rooms.rhythm)


class Job(msgspec.Struct):
    """One recording whose features are to be made."""

    recording: Recording
    spec: FeatureSpec
    every: int

    def done(self) -> NDArray[np.float32]:
        """Return its features."""
        return matrix(self.recording, self.spec, self.every)


def _joined(recipe: Recipe, spec: FeatureSpec, parts: list[_Part], names: list[str], first: int) -> Lessons:
    rows = np.concatenate([part.rows for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    block = np.concatenate([part.block for part in parts])
    room = np.concatenate([np.full(len(part.labels), part.room) for part in parts])
    uses = np.concatenate([np.full(len(part.labels), part.uses) for part in parts])
    kinds = np.concatenate([np.full(len(part.labels), list(WEIGHTS).index(part.kind)) for part in parts])
    # A series reaches back two hours; what has none yet is an architecture's own business.
    needed = [at for at, feature in enumerate(spec.features) if feature.kind != "change"]
    known = np.isfinite(rows[:, needed]).all(axis=1)
    share = float(known[room == 0].mean())
    if share < 0.5:
        raise LearnError(
            f"only in {share:.0%} of the rows all features are known",
            hint="leave out channels that are seldom heard",
        )
    rows, labels, block, room, uses, kinds = (
        column[known] for column in (rows, labels, block, room, uses, kinds)
    )
    weights = np.zeros(len(labels))
    learnt = (uses & LEARN) > 0
    scale = float((learnt & (kinds == 0)).sum())
    for at, weight in enumerate(WEIGHTS.values()):
        own = learnt & (kinds == at)
        if own.any():
            weights[own] = weight * scale / own.sum()
    real = block < first
    fold = np.where(learnt, -1, -2)
    fold[real] = folds(block[real], labels[real], recipe.split.folds)
    _moving(rows[room == 0], spec)
    return Lessons(spec, rows, labels, block, fold, room, uses, weights, tuple(names), share)


def _moving(rows: NDArray[np.float32], spec: FeatureSpec) -> None:
    if not len(rows):
        raise LearnError("no row has all its features", hint="record longer than an hour at a time")
    still = np.ptp(rows, axis=0) == 0
    if still.any():
        name = spec.features[int(np.argmax(still))].name
        raise LearnError(
            f"{name} never changes in the training data", hint="leave its channel out of the recipe"
        )
