"""Owns what a card says of a model: in words and figures, every one of them measured here on held-out rows.

Never in here: test files; their figures are the report's.
"""

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Card
from appliance.core.features import FeatureSpec
from appliance.core.trust import ALPHA
from appliance.learn.architectures import architectures
from appliance.learn.calibrating import Calibration, prediction_sets
from appliance.learn.choosing import Choice, features_of, index_of
from appliance.learn.judging import interval, score
from appliance.learn.lessons import Lessons
from appliance.learn.recipe import Recipe

SURE_ACCURACY = 0.95
"""What `threshold`, for those who know no prediction sets, is chosen for: of the held-out rows that reach it, so many are right."""
STEPS_ACROSS = 32
"""Feature steps, for caching: so many between the hundredth least and hundredth greatest value (assumed)."""


_WAYS_SAID = {
    "rows": "from the same rows",
    "rooms": "from the same rows and those of imitated rooms",
    "days_alike": "from the same rows, each day with the same weight",
    "median_day": "from the median of the days' own thresholds",
    "worst_day": "from the most careful of the days' own thresholds",
    "worst_room": "from the most careful of the thresholds of the recorded and the imitated rooms",
}


class About(Protocol):
    """What a card is told from: a cycle."""

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""

    @property
    def lessons(self) -> Lessons:
        """What was learnt from."""


class Told(msgspec.Struct, frozen=True):
    """What a card says of its model in words, beside what is measured: its name, its architecture, what it is for, and what it is not for."""

    name: str
    architecture: str
    intended_use: str
    not_for: str


def told_of(recipe: Recipe, chosen: Choice) -> Told:
    """Return the words on a student."""
    title = architectures()[chosen.kind].title
    return Told(
        recipe.name,
        f"{title}, size {chosen.size}, on {len(chosen.features)} features",
        recipe.card.intended_use,
        recipe.card.not_for,
    )


def card_of(
    about: About,
    words: Told,
    found: Calibration,
    chosen: Choice,
    said: NDArray[np.float64],
    taught: NDArray[np.float64] | None = None,
    steps: tuple[float, ...] = (),
) -> Card:
    """Return the card of `chosen`; `said` (N, L) are calibrated held-out probabilities, `taught` (N, L) those of its teacher, if it had one.
    `steps` (F,) of its features, where they were measured.
    """
    recipe, lessons = about.recipe, about.lessons
    judged = lessons.judged()
    whole = prediction_sets(said, found.sets, ALPHA)
    sure = whole.sum(axis=1) == 1
    held_out = {}
    for name, rows in judged.items():
        held_out[name] = score(said[rows], lessons.labels[rows], sure[rows])
    recorded = lessons.room == 0
    right = (said[recorded].argmax(axis=1) == lessons.labels[recorded]).astype(np.float64)
    low, high = interval(right, lessons.block[recorded], recipe.seed)
    blocks = lessons.block[recorded]
    worst = min(float(right[blocks == one].mean()) for one in np.unique(blocks))
    mean = {name: (one.accuracy, one.macro_f1) for name, one in held_out.items()}
    across = widths(lessons, [index_of(lessons, name) for name in chosen.features])
    word = "days" if recipe.split.by == "day" else "groups"
    return Card(
        name=words.name,
        version=recipe.version,
        title=recipe.title,
        labels=recipe.labels,
        features=FeatureSpec(features_of(lessons, chosen.features)),
        threshold=_threshold(said[recorded], lessons.labels[recorded]),
        data=recipe.card.data,
        licence=recipe.card.licence,
        citation=recipe.card.citation,
        split=f"{len(np.unique(blocks))} {word}, each held out in its turn from every room, for choosing and calibration, so the held-out"
        f" scores flatter a little; from the start and from a cold start every 6 hours; {recipe.rooms.imitated} imitated rooms"
        f"{' that keep the hours' if recipe.rooms.rhythm == 'kept' else ''} and"
        f" {recipe.rooms.simulated} simulated homes to learn from, {recipe.rooms.judged} and {recipe.rooms.simulated // 2} others to be judged by;"
        " test files unopened",
        architecture=words.architecture,
        calibration=f"temperature {found.temperature:.3f} fitted on held-out {word}; expected calibration error"
        f" {found.error[0]:.3f} before, {found.error[1]:.3f} after; prediction sets for each label by itself, {_WAYS_SAID[found.way]}",
        held_out=held_out,
        worst=f"worst held-out {word[:-1]}: accuracy {worst:.3f}; worst room: accuracy {min(a for a, _ in mean.values()):.3f};"
        f" accuracy as recorded between {low:.3f} and {high:.3f} (95 %, {word} drawn anew)",
        intended_use=words.intended_use,
        not_for=words.not_for,
        seed=recipe.seed,
        sets=found.sets,
        novelty=found.novelty,
        guarantees=_promised(recipe, found, word),
        steps=steps or tuple(float(f"{width / STEPS_ACROSS:.3g}") for width in across.tolist()),
        disagreement=None
        if taught is None
        else round(float((said[recorded].argmax(axis=1) != taught[recorded].argmax(axis=1)).mean()), 4),
        sizes={"bytes": chosen.bytes, "parameters": chosen.parameters, "operations": chosen.operations},
    )


def widths(lessons: Lessons, columns: list[int]) -> NDArray[np.float64]:
    """Return how far each of the features `columns` reaches (F,): from the hundredth least to the hundredth greatest value."""
    spread = np.nanpercentile(lessons.rows[:, columns], (1, 99), axis=0)
    reach: NDArray[np.float64] = np.maximum(spread[1] - spread[0], 1e-6)
    return reach


def _threshold(said: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the least top probability at which `SURE_ACCURACY` of the rows are right, for each label alone; 1 where none does."""
    top, word = said.max(axis=1), said.argmax(axis=1)
    for threshold in np.arange(0.50, 0.996, 0.005):
        sure = top >= threshold
        right = [
            (labels[sure & (word == label)] == label).mean() if (sure & (word == label)).any() else 0.0
            for label in range(said.shape[1])
        ]
        if min(right) >= SURE_ACCURACY:
            return round(float(threshold), 3)
    return 1.0


def _promised(recipe: Recipe, found: Calibration, word: str) -> str:
    way = next((one for one in found.ways if one.name == found.way), None)
    if way is None:
        return (
            "for each label by itself, at each error level, the share of rows whose set misses the truth is at most that level, as long as"
            f" rows are like those of the held-out {word}: another room, season or sensor is not, and there the share is only measured, not promised"
        )
    key = f"{ALPHA:g}"
    shares = " and ".join(
        f"{share:.3f} of {label!r}" for share, label in zip(way.covered[key], recipe.labels, strict=True)
    )
    return (
        f"nothing is promised of a new day, which so few {word} cannot carry, it is measured: on {word} that its thresholds did not see, at the"
        f" error level {key}, the set held the truth in {shares} as recorded (mean over {word}; the worst {way.worst[key]:.3f}), and in"
        f" {min(way.anywhere[key]):.3f} of the worse label over all rooms; another room, season or sensor is none of these"
    )
