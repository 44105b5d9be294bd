"""Owns training a model anew on one home's own days, with the recipe's lessons beside them, and the card that says so.

The features, the labels and the gate are those of the shipped model, so that both are asked the same rows and either can stand in for the
other. Never in here: a store, a shelf, or test files.
"""

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from appliance.bundle import Bundle, Card, Retrained
from appliance.core.trust import ALPHAS, Region, Sets
from appliance.core.trust.fitting import novelty_region
from appliance.errors import BudgetError, LearnError
from appliance.learn import choosing
from appliance.learn.architectures import architectures
from appliance.learn.calibrating import Calibration, best_temperature, heated
from appliance.learn.carding import card_of, told_of
from appliance.learn.choosing import Choice, Trial
from appliance.learn.cycle import Cycle
from appliance.learn.days import for_a_new_day
from appliance.learn.export import softmax
from appliance.learn.features import GROUPS, Told
from appliance.learn.judging import calibration_error
from appliance.learn.lessons import JUDGE, LEARN, Lessons
from appliance.learn.recipe import Recipe
from appliance.learn.splitting import folds
from appliance.refit import (
    Material,
    Outcome,
    as_right,
    better_loss,
    enough,
    enough_to_train,
    golden,
    next_number,
    region_of,
    row_weights,
    said_now,
    score,
    seen_until,
    since_then,
)
from appliance.refit.head import LOOKS_A_DAY

HOME_DAY = 2.0
"""A day of this home that was labelled from morning to night weighs as much as so many of the recipe's own days (assumed)."""
MOST = 1.0
"""Yet all days of this home together weigh at most so much as all lessons of the recipe: what was learnt elsewhere stays half of it."""
HERE = "held-out days of this home"


class Anew(msgspec.Struct, frozen=True):
    """What training anew came to: the gate's `outcome`; where its card is not None the `model` (ONNX), and what that says of the shipped golden rows
    (G, L), computed without onnxruntime. `tried` are the students that were tried.
    """

    outcome: Outcome
    model: bytes
    golden: NDArray[np.float32]
    tried: tuple[Choice, ...] = ()


class _About(msgspec.Struct, frozen=True):
    recipe: Recipe
    lessons: Lessons


def retrain(
    cycle: Cycle, shipped: Bundle, current: Card, home: Material, *, at: str, alpha: float, tell: Told
) -> Anew:
    """Return a model that was trained on the recipe of `cycle` and on `home` together, where that holds before the gate: better on held-out days
    of this home than the version in force, whose card is `current`, and no worse on the golden rows of `shipped`.

    Days of this home are held out in their turn, each from teachers and students alike. `at` names the time, for the card; `alpha` is the error
    level that must be promised of a new day.

    Raises:
        LearnError: the recipe is of another model, or as its cycle's lessons; BudgetError: nothing that is small enough is good enough.
    """
    nothing = Anew(Outcome(None, ()), b"", np.empty((0, 0), np.float32))
    checks = [*enough(shipped.card, home, alpha), *enough_to_train(shipped.card, home, alpha)]
    fresh = home.days > seen_until(current)
    checks.append(since_then(home.labels[fresh], home.days[fresh]))
    if not all(check.holds for check in checks):
        return replace(nothing, outcome=Outcome(None, tuple(checks)))
    recipe = _recipe(cycle.recipe, shipped.card)
    lessons, share = with_home(cycle.lessons, shipped.card, home, recipe.split.folds)
    names = tuple(feature.name for feature in shipped.card.features.features)
    _, teacher, taught = choosing.choose_teacher(recipe, lessons, cycle.parallel, tell, names)
    by_fold, whole = choosing.taught_answers(recipe, lessons, teacher)
    tried, chosen = choosing.choose_student(recipe, lessons, teacher, names, by_fold, cycle.parallel, tell)
    if chosen.features != names or chosen.bytes > recipe.budgets.bytes:
        raise BudgetError(
            f"the smallest student on the features of {shipped.card.name} has {chosen.bytes} bytes, budgeted are {recipe.budgets.bytes}",
            hint="raise budgets.bytes, or try smaller students",
        )
    columns = tuple(range(len(names)))
    steps = recipe.students.steps
    trial = Trial(lessons, chosen.kind, chosen.size, columns, recipe.seed, by_fold, steps=steps)
    held_out = cycle.parallel([trial])[0].probabilities
    here = lessons.room == len(lessons.rooms) - 1
    cold = held_out[here]
    then, temperature = _each_day_heated(cold, home)
    sets = for_a_new_day(then, home.labels, home.days, tuple(sorted({*ALPHAS, alpha}, reverse=True)))
    region, region_check = region_of(
        shipped.card.novelty, home, lambda rows, days: _region(lessons, here, rows, days)
    )
    with threadpool_limits(1):
        learn = (lessons.uses & LEARN) > 0
        student = choosing.fit_student(
            lessons, chosen.kind, chosen.size, list(columns), learn, whole[learn], recipe.seed, steps
        ).cooled(temperature)
    model = choosing.exported(student, len(columns), len(recipe.labels))
    answers = softmax(student.logits(shipped.golden_rows.astype(np.float64))).astype(np.float32)
    now = said_now(current, home)
    before, after = (
        score(said[fresh], home.labels[fresh], some, current.threshold, alpha)
        for said, some in ((now, current.trust.sets), (then, sets))
    )
    checks += [
        better_loss(now[fresh], then[fresh], home.labels[fresh], home.days[fresh]),
        as_right(now[fresh], then[fresh], home.labels[fresh]),
        golden(shipped, answers.astype(np.float64)),
        region_check,
    ]
    error = (calibration_error(cold, home.labels), calibration_error(then, home.labels))
    found = Calibration(
        temperature, sets, region or _region(lessons, here, home.lived, home.lived_days), error
    )
    said = heated(held_out, temperature)
    said[here] = then
    days = len(np.unique(home.days))
    made = Retrained(
        next_number(current),
        shipped.digest,
        at,
        days,
        len(home.labels),
        cycle.recipe.digest,
        int((~here).sum()),
        round(share, 4),
        int(home.days.max()),
    )
    card = replace(
        card_of(_About(recipe, lessons), told_of(recipe, chosen), found, chosen, said, taught),
        name=shipped.card.name,
        version=shipped.card.version,
        data=f"{len(home.labels)} labelled rows of {days} days of this home, which weigh {share:.0%}; beside them {recipe.card.data}",
        calibration=f"temperature {temperature:.3f}, fitted on held-out days of this home; expected calibration error there {error[0]:.3f} before,"
        f" {error[1]:.3f} after; prediction sets for each label by itself, each labelled day with the same weight",
        guarantees=_promised(shipped.card, sets, home),
        retrained=made,
    )
    held = all(check.holds for check in checks)
    return Anew(Outcome(card if held else None, tuple(checks), before, after), model, answers, tuple(tried))


def with_home(lessons: Lessons, card: Card, home: Material, most_folds: int) -> tuple[Lessons, float]:
    """Return the lessons with the features of `card` alone, and this home's labelled rows as one more room, whose days are held out; and the share
    of all weight that these rows have.

    Each day weighs as `LOOKS_A_DAY` rows at most, and each label as much as any other; all of them as `HOME_DAY` and `MOST` say.

    Raises:
        LearnError: the recipe does not offer a feature of the card.
    """
    offered = {feature.name: (at, feature) for at, feature in enumerate(lessons.spec.features)}
    for feature in card.features.features:
        if offered.get(feature.name, (0, None))[1] != feature:
            raise LearnError(
                f"the recipe offers no feature {feature.name!r}, which {card.name} looks at",
                hint="train anew by the recipe that the shipped model was made by",
            )
    columns = [offered[feature.name][0] for feature in card.features.features]
    _, of_day, many = np.unique(home.days, return_inverse=True, return_counts=True)
    weights = row_weights(home.labels, home.days)
    recorded = ((lessons.uses & LEARN) > 0) & (lessons.room == 0)
    a_day = lessons.weights[recorded].sum() / len(np.unique(lessons.block[recorded]))
    all_else = float(lessons.weights.sum())
    wanted = min(HOME_DAY * a_day * float(np.minimum(1.0, many / LOOKS_A_DAY).sum()), MOST * all_else)
    count = len(home.labels)
    joined = Lessons(
        card.features,
        np.concatenate([lessons.rows[:, columns], home.rows]),
        np.concatenate([lessons.labels, home.labels]),
        np.concatenate([lessons.block, lessons.block.max() + 1 + of_day]),
        np.concatenate([lessons.fold, folds(of_day, home.labels, most_folds)]),
        np.concatenate([lessons.room, np.full(count, len(lessons.rooms))]),
        np.concatenate([lessons.uses, np.full(count, LEARN | JUDGE)]),
        np.concatenate([lessons.weights, weights * wanted / weights.sum()]),
        (*lessons.rooms, HERE),
        lessons.known,
    )
    return joined, wanted / (wanted + all_else)


def _recipe(recipe: Recipe, card: Card) -> Recipe:
    """The recipe for features that are chosen already: those of `card`, judged by days. What distilling may cost is the gate's to say: a student that
    is better here than what decides is worth having, however much better its teacher is.
    """
    if (recipe.name, recipe.labels) != (card.name, card.labels):
        raise LearnError(
            f"the recipe is of {recipe.name!r} ({', '.join(recipe.labels)}), the home's model is {card.name!r} ({', '.join(card.labels)})",
            hint=f"appliance learn run {card.name} --from-store",
        )
    series = any(feature.kind == "change" for feature in card.features.features)
    known = architectures()
    return replace(
        recipe,
        split=replace(recipe.split, judged="days"),
        budgets=replace(recipe.budgets, distil=1.0),
        features=replace(recipe.features, groups=recipe.features.groups or tuple(GROUPS)),
        students=replace(
            recipe.students,
            architectures=tuple(
                name
                for name in recipe.students.architectures
                if name not in known or known[name].series == series
            ),
        ),
    )


def _each_day_heated(said: NDArray[np.float64], home: Material) -> tuple[NDArray[np.float64], float]:
    """Return `said` (N, L), each day calibrated by the other days' temperature, and the temperature of all of them."""
    then = np.empty_like(said)
    for day in np.unique(home.days):
        own = home.days == day
        then[own] = heated(said[own], best_temperature(said[~own], home.labels[~own]))
    return then, best_temperature(said, home.labels)


def _region(
    lessons: Lessons, here: NDArray[np.bool_], rows: NDArray[np.float32], days: NDArray[np.int64]
) -> Region:
    """The region of what was learnt from and of this home's ordinary time, each day of it a group of its own."""
    learnt = ((lessons.uses & LEARN) > 0) & ~here
    _, group = np.unique(days, return_inverse=True)
    return novelty_region(
        np.concatenate([lessons.rows[learnt], rows]),
        np.concatenate([lessons.block[learnt], lessons.block.max() + 1 + group]),
    )


def _promised(card: Card, sets: Sets, home: Material) -> str:
    days = ", ".join(
        f"{len(np.unique(home.days[home.labels == at]))} of {label!r}" for at, label in enumerate(card.labels)
    )
    return (
        f"for each label by itself, at the error levels down to {sets.alphas[-1]:g}, a row of a new day of this home misses the truth with at most that"
        f" probability, as long as that day is like the labelled ones ({days}), each of which counts alike and was judged by a model that had not seen it;"
        " another season, other people or other habits are not, and hours that nobody labelled were never asked"
    )
