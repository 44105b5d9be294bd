"""Owns what a model's probabilities are worth: temperature, prediction sets and the novelty region, all from held-out rows.

A calibration block from inside the days that were trained on is over-confident by far; each row here is judged by a model that saw nothing
of its day. Never in here: choosing, or test files.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.trust import Region, Sets, needed
from appliance.core.trust.fitting import novelty_region
from appliance.errors import LearnError
from appliance.learn.days import WAYS, Way, case_of, choose_way
from appliance.learn.judging import calibration_error, log_loss
from appliance.learn.lessons import COLD, LEARN, RECORDED, Lessons
from appliance.learn.recipe import Recipe


class Calibration(msgspec.Struct, frozen=True):
    """`temperature` divides the logits; `error` is the expected calibration error before and after, on held-out rows. `way`: how the sets came to
    their thresholds, and `ways` what each that was tried covers on a day that it did not see.
    """

    temperature: float
    sets: Sets
    novelty: Region
    error: tuple[float, float]
    way: str = "rows"
    ways: tuple[Way, ...] = ()


def calibrate(
    recipe: Recipe, lessons: Lessons, probabilities: NDArray[np.float64], columns: list[int]
) -> Calibration:
    """Return the calibration that held-out `probabilities` (N, L) give; `columns` are the model's features in the lessons' spec.

    The rows are those of the recorded rooms, also after cold starts: what is promised is for such days, not for other rooms. Thresholds come
    from them too, but where the recipe's ways say otherwise.

    Raises:
        LearnError: a label has fewer held-out rows than the smallest error level of the recipe needs.
    """
    rooms = [at for at, name in enumerate(lessons.rooms) if name in (RECORDED, COLD)]
    rows = np.isin(lessons.room, rooms) & np.isfinite(probabilities).all(axis=1)
    said, labels = probabilities[rows], lessons.labels[rows]
    enough_for(recipe, labels)
    temperature = best_temperature(said, labels)
    warm = heated(said, temperature)
    case = case_of(lessons, heated(probabilities, temperature))
    ways, way = choose_way(recipe.calibration.ways, case)
    sets = WAYS[way](case, recipe.alphas)
    learnt = (lessons.uses & LEARN) > 0
    known = np.isfinite(lessons.rows[:, columns]).all(axis=1) & learnt
    region = novelty_region(lessons.rows[known][:, columns], lessons.block[known])
    return Calibration(
        temperature,
        sets,
        region,
        (calibration_error(said, labels), calibration_error(warm, labels)),
        way,
        ways,
    )


def enough_for(recipe: Recipe, labels: NDArray[np.int64]) -> None:
    """Refuse fewer rows of a label than the smallest error level needs. Raises LearnError, with the number needed."""
    counts = np.bincount(labels, minlength=len(recipe.labels))
    alpha = min(recipe.alphas)
    if counts.min() < needed(alpha):
        label = recipe.labels[int(np.argmin(counts))]
        raise LearnError(
            f"{counts.min()} rows are {label!r}: a guarantee at the error level {alpha:g} needs {needed(alpha)}",
            hint="record longer, or leave the smallest out of `alphas`",
        )


def best_temperature(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return by what to divide the logits, so that the held-out log loss is least (Guo et al. 2017, temperature scaling)."""
    tried = np.geomspace(0.25, 8.0, 141)
    losses = [log_loss(heated(probabilities, float(one)), labels) for one in tried]
    return round(float(tried[int(np.argmin(losses))]), 4)


def heated(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the probabilities (N, L) that logits divided by `temperature` would have given."""
    logs = np.log(np.clip(probabilities, 1e-9, 1.0)) / temperature
    grown = np.exp(logs - logs.max(axis=1, keepdims=True))
    said: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return said


def prediction_sets(probabilities: NDArray[np.float64], sets: Sets, alpha: float) -> NDArray[np.bool_]:
    """Return which labels belong to the set of each row (N, L); a row that is NaN has all."""
    thresholds = sets.at(alpha)
    if thresholds is None:
        return np.ones(probabilities.shape, dtype=np.bool_)
    found: NDArray[np.bool_] = ~(probabilities < np.array(thresholds))
    return found
