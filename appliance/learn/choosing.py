"""Owns choosing: teachers, feature families, architectures and sizes, by held-out days (or groups) in all rooms, and by nothing else.

Every candidate is fitted once for each fold, without it, and judged on it. Never in here: the final fit, or test files.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.features import Feature
from appliance.errors import BudgetError, LearnError
from appliance.learn.architectures import Architecture, Lesson, Student, architectures
from appliance.learn.export import Graph, softmax
from appliance.learn.features import SERIES, Told
from appliance.learn.judging import Judged
from appliance.learn.lessons import JUDGE, LEARN, Lessons
from appliance.learn.recipe import Recipe
from appliance.learn.teaching import available, teach

FAMILIES: dict[str, int] = {"two hours": 7200, "eight hours": 28_800, "a day": 86_400}
"""How far back features look, in seconds: longer baselines know more of the room, and are fooled more by a day that is unlike."""
DROP_SHARE = 5
"""One in so many of the features is left out at each step of pruning."""
LEAST_FEATURES = 4
PRUNED_ENOUGH = 2
"""Below this fraction of the budget of bytes nothing is gained by pruning on."""
SELECTION_ROWS = 3000
"""Rows of a fold on which a feature's worth is measured."""
SCOUTING = 2
"""A fit that only tells which features are worth something gets this fraction of the steps."""

Parallel = Callable[[Sequence["Trial"]], "list[Outcome]"]


class Outcome(msgspec.Struct):
    """What a trial gave: held-out probabilities (N, L), NaN where a row was not judged, and what each feature is worth (F,)."""

    probabilities: NDArray[np.float64]
    worth: NDArray[np.float64]


class Trial(msgspec.Struct):
    """A candidate that is to be fitted for each fold.

    `kind` is a teacher's or an architecture's name; `size` its size, 0 for a teacher; `columns` are places in the lessons' spec; `soft`
    (N, L) is the answer that a student is told, by fold (folds, N, L) where a teacher gave it.
    """

    lessons: Lessons
    kind: str
    size: int
    columns: tuple[int, ...]
    seed: int
    soft: NDArray[np.float32] | None = None
    measure: bool = False
    steps: int = 1500

    def done(self) -> Outcome:
        """Fit it for each fold and return what it says of the fold."""
        lessons = self.lessons
        columns = list(self.columns)
        count = int(lessons.labels.max()) + 1
        said = np.full((len(lessons.labels), count), np.nan)
        worth = np.zeros(len(columns))
        always = lessons.fold == -2
        shared = np.zeros((int(always.sum()), count))
        folds = np.unique(lessons.fold[lessons.fold >= 0]).tolist()
        for fold in folds:
            learn = ((lessons.uses & LEARN) > 0) & (lessons.fold != fold)
            judge = ((lessons.uses & JUDGE) > 0) & (lessons.fold == fold)
            answer, student = self._fitted(learn, fold, columns, count)
            said[judge] = answer(lessons.rows[judge][:, columns])
            if always.any():
                shared += answer(lessons.rows[always][:, columns]) / len(folds)
            if self.measure and student is not None:
                worth += self._worth(student, judge, learn, columns) / len(folds)
        said[always] = shared
        return Outcome(said, worth)

    def _fitted(
        self, learn: NDArray[np.bool_], fold: int, columns: list[int], count: int
    ) -> tuple[Callable[[NDArray[np.float32]], NDArray[np.float64]], Student | None]:
        lessons = self.lessons
        if self.size < 0:
            taught = teach(
                self.kind,
                lessons.rows[learn][:, columns],
                lessons.labels[learn],
                lessons.weights[learn],
                count,
                self.seed,
            )
            return taught, None
        soft = None if self.soft is None else self.soft[fold][learn]
        student = fit_student(lessons, self.kind, self.size, columns, learn, soft, self.seed, self.steps)
        return lambda rows: probabilities_of(student, rows), student

    def _worth(
        self, student: Student, judge: NDArray[np.bool_], learn: NDArray[np.bool_], columns: list[int]
    ) -> NDArray[np.float64]:
        """How much the log loss of the fold grows when a feature's values are exchanged for those of other rows."""
        rng = np.random.default_rng(self.seed)
        places = np.flatnonzero(judge)
        if len(places) > SELECTION_ROWS:
            places = np.sort(rng.choice(places, SELECTION_ROWS, replace=False))
        rows, labels = self.lessons.rows[places][:, columns], self.lessons.labels[places]
        others = self.lessons.rows[rng.choice(np.flatnonzero(learn), len(places))][:, columns]

        def loss(table: NDArray[np.float32]) -> float:
            said = probabilities_of(student, table)[np.arange(len(labels)), labels]
            return float(-np.log(np.clip(said, 1e-4, 1.0)).mean())

        before = loss(rows)
        found = np.zeros(len(columns))
        for at in range(len(columns)):
            changed = rows.copy()
            changed[:, at] = others[:, at]
            found[at] = loss(changed) - before
        return found


def fit_student(
    lessons: Lessons,
    kind: str,
    size: int,
    columns: list[int],
    learn: NDArray[np.bool_],
    soft: NDArray[np.float32] | None,
    seed: int,
    steps: int,
) -> Student:
    """Return a student of this kind and size, fitted on the rows `learn` (N,); `soft` (rows, L) is its teacher's word, mixed already."""
    architecture = architectures()[kind]
    count = int(lessons.labels.max()) + 1
    rows = lessons.rows[learn][:, columns].astype(np.float64)
    answers = np.eye(count)[lessons.labels[learn]] if soft is None else soft.astype(np.float64)
    weights = lessons.weights[learn]
    known = np.isfinite(rows).all(axis=1)
    series = len(
        {lessons.spec.features[at].channel for at in columns if lessons.spec.features[at].kind == "change"}
    )
    return architecture.fit(Lesson(rows[known], answers[known], weights[known], series, steps), size, seed)


def probabilities_of(student: Student, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities (N, L); where a feature is not known all labels are alike."""
    known = np.asarray(np.isfinite(rows).all(axis=1))
    logits = student.logits(np.where(known[:, None], rows, 0.0).astype(np.float64))
    said = softmax(logits)
    said[~known] = 1.0 / said.shape[1]
    return said


def exported(student: Student, features: int, labels: int) -> bytes:
    """Return the student as ONNX."""
    graph = Graph()
    return graph.finished(student.write(graph, "features"), features, labels)


class Choice(msgspec.Struct, frozen=True):
    """One candidate as it was judged. `bytes`: of the pickled teacher, or of the student's ONNX."""

    kind: str
    size: int
    features: tuple[str, ...]
    judged: Judged
    bytes: int
    parameters: int = 0
    operations: int = 0
    family: str = ""


def family_columns(lessons: Lessons, span_s: int) -> tuple[int, ...]:
    """Return the places of the features that look back so far at most; a series is none of them."""
    return tuple(
        at
        for at, feature in enumerate(lessons.spec.features)
        if feature.span_s <= span_s and feature.kind != "change"
    )


def choose_teacher(
    recipe: Recipe, lessons: Lessons, parallel: Parallel, tell: Told, names: Sequence[str] = ()
) -> tuple[list[Choice], Choice, NDArray[np.float64]]:
    """Return all teachers that were tried, the one that is chosen, and its held-out probabilities (N, L). `names`: the features, where these
    were chosen by groups.

    How far back features look is chosen first, with the cheapest teacher that is no line (boosting, where it is among them); then
    the teachers are tried on that family.
    """
    kinds = available(recipe.teacher.kinds)
    scout = next((kind for kind in ("lightgbm", "boosting") if kind in kinds), kinds[0])
    families = {name: family_columns(lessons, span) for name, span in FAMILIES.items()}
    by = recipe.split.judged
    if recipe.features.groups:
        families = {
            "the best set of groups": tuple(index_of(lessons, name) for name in names),
        }
    tell("train", 0, len(families) + len(kinds))
    trials = [Trial(lessons, scout, -1, columns, recipe.seed) for columns in families.values()]
    outcomes = parallel(trials)
    values = [lessons.judge(one.probabilities, by).value for one in outcomes]
    family = list(families)[int(np.argmax(values))]
    tell("train", len(families), len(families) + len(kinds))
    rest = [kind for kind in kinds if kind != scout]
    outcomes = [
        *parallel([Trial(lessons, kind, -1, families[family], recipe.seed) for kind in rest]),
        outcomes[int(np.argmax(values))],
    ]
    seen = tuple(lessons.spec.features[at].name for at in families[family])
    found = []
    learn = (lessons.uses & LEARN) > 0
    for kind, outcome in zip([*rest, scout], outcomes, strict=True):
        taught = teach(
            kind,
            lessons.rows[learn][:, list(families[family])],
            lessons.labels[learn],
            lessons.weights[learn],
            len(recipe.labels),
            recipe.seed,
        )
        judged = lessons.judge(outcome.probabilities, by)
        found.append(Choice(kind, -1, seen, judged, taught.size, family=family))
        tell("train", len(families) + len(found), len(families) + len(kinds))
    best = max(_merit(one) for one in found)
    near = [one for one in found if _merit(one) >= best - recipe.teacher.within]
    chosen = min(near, key=lambda one: one.bytes)
    return found, chosen, outcomes[found.index(chosen)].probabilities


def _merit(one: Choice) -> float:
    """What teachers, and the steps of pruning, are held against: accuracy, but where days are judged the value itself."""
    return one.judged.value if one.judged.days else one.judged.accuracy


def filled(outcome: Outcome) -> NDArray[np.float64]:
    """Return the outcome's probabilities, 0 where nothing was judged."""
    return np.nan_to_num(outcome.probabilities, nan=0.0)


def taught_answers(
    recipe: Recipe, lessons: Lessons, teacher: Choice
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what students are told: the teacher's word mixed with the truth, by fold (folds, N, L) and with nothing held out (N, L)."""
    columns = [index_of(lessons, name) for name in teacher.features]
    count = len(recipe.labels)
    truth = np.eye(count)[lessons.labels]
    learn = (lessons.uses & LEARN) > 0
    folds = [*np.unique(lessons.fold[lessons.fold >= 0]).tolist(), -9]
    found = []
    for fold in folds:
        own = learn & (lessons.fold != fold)
        taught = teach(
            teacher.kind,
            lessons.rows[own][:, columns],
            lessons.labels[own],
            lessons.weights[own],
            count,
            recipe.seed,
        )
        said = np.zeros((len(truth), count))
        said[own] = taught(lessons.rows[own][:, columns])
        found.append((recipe.students.soft * said + (1 - recipe.students.soft) * truth).astype(np.float32))
    return np.stack(found[:-1]), found[-1]


def index_of(lessons: Lessons, name: str) -> int:
    """Return the place of the feature of this name in the lessons' spec."""
    return [feature.name for feature in lessons.spec.features].index(name)


def columns_for(lessons: Lessons, architecture: Architecture, names: Sequence[str]) -> tuple[int, ...]:
    """Return the columns that an architecture takes: the named features; before them whole series, where it looks along such."""
    plain = tuple(index_of(lessons, name) for name in names)
    if not architecture.series:
        return plain
    channels = sorted(
        {lessons.spec.features[at].channel for at in plain if lessons.spec.features[at].channel}
    )
    series = tuple(
        at
        for channel in channels
        for at, feature in enumerate(lessons.spec.features)
        if feature.kind == "change" and feature.channel == channel
    )
    if len(series) != len(SERIES) * len(channels):
        return ()
    # Slopes and changes say the same; of the rest only what no series knows: the baselines.
    rest = tuple(at for at in plain if lessons.spec.features[at].kind not in ("slope", "above_mean"))
    return (*series, *rest)


def choose_student(
    recipe: Recipe,
    lessons: Lessons,
    teacher: Choice,
    names: Sequence[str],
    soft: NDArray[np.float32],
    parallel: Parallel,
    tell: Told,
) -> tuple[list[Choice], Choice]:
    """Return all students that were tried on the features `names`, and the smallest of those that are about as good as the best.

    Raises:
        BudgetError: it loses more accuracy to its teacher than the recipe allows.
    """
    known = architectures()
    if missing := set(recipe.students.architectures) - set(known):
        raise LearnError(f"there is no architecture {min(missing)!r}", hint=f"they are {', '.join(known)}")

    found: list[Choice] = []
    trials, about = [], []
    for name in recipe.students.architectures:
        for size in known[name].sizes[: recipe.students.sizes]:
            columns = columns_for(lessons, known[name], names)
            if columns:
                trials.append(
                    Trial(lessons, name, size, columns, recipe.seed, soft, steps=recipe.students.steps)
                )
                about.append((name, size, columns))
    tell("distil", 0, len(trials))
    for number, (outcome, (name, size, columns)) in enumerate(zip(parallel(trials), about, strict=True)):
        found.append(_choice(recipe, lessons, outcome, name, size, columns, soft))
        tell("distil", number + 1, len(trials))
    fitting = found
    if recipe.split.judged == "days":
        fitting = [one for one in found if one.bytes <= recipe.budgets.bytes] or found
    best = max(fitting, key=lambda one: one.judged.value)
    near = [one for one in fitting if one.judged.value >= best.judged.value - recipe.students.within]
    chosen = min(near, key=lambda one: (-one.judged.worst, one.bytes, -one.judged.value))
    lost = teacher.judged.accuracy - chosen.judged.accuracy
    if lost > recipe.budgets.distil:
        raise BudgetError(
            f"distilling costs {lost:.4f} of accuracy on held-out days ({teacher.judged.accuracy:.4f} of the teacher,"
            f" {chosen.judged.accuracy:.4f} of the {chosen.kind} of size {chosen.size}), budgeted is {recipe.budgets.distil:g}",
            hint="raise budgets.distil or budgets.bytes, or try more sizes",
        )
    return found, chosen


def _choice(
    recipe: Recipe,
    lessons: Lessons,
    outcome: Outcome,
    kind: str,
    size: int,
    columns: Sequence[int],
    soft: NDArray[np.float32],
) -> Choice:
    learn = (lessons.uses & LEARN) > 0
    student = fit_student(
        lessons, kind, size, list(columns), learn, soft[0][learn], recipe.seed, recipe.students.steps
    )
    model = exported(student, len(columns), len(recipe.labels))
    return Choice(
        kind,
        size,
        tuple(lessons.spec.features[at].name for at in columns),
        lessons.judge(outcome.probabilities, recipe.split.judged),
        len(model),
        student.parameters,
        student.operations,
    )


def prune_student(
    recipe: Recipe,
    lessons: Lessons,
    student: Choice,
    soft: NDArray[np.float32],
    parallel: Parallel,
    tell: Told,
) -> tuple[list[Choice], Choice]:
    """Return the steps of making `student` smaller (fewer features, a smaller size), and the smallest that is still good enough.

    Each step is fitted anew. It stops where a step costs more accuracy on held-out days than `budgets.prune` in all.

    Raises:
        BudgetError: what is within that budget has more bytes than `budgets.bytes`.
    """
    sizes = architectures()[student.kind].sizes
    steps, chosen = [student], student
    columns = [index_of(lessons, name) for name in student.features]
    series = architectures()[student.kind].series
    tell("prune", 0, 1)
    while True:
        outcome = parallel(
            [
                Trial(
                    lessons,
                    chosen.kind,
                    chosen.size,
                    tuple(columns),
                    recipe.seed,
                    soft,
                    measure=True,
                    steps=recipe.students.steps,
                )
            ]
        )[0]
        order = np.argsort(outcome.worth, kind="stable").tolist()
        gone = set(order[: max(1, len(columns) // DROP_SHARE)])
        tried: list[tuple[int, list[int]]] = []
        if not series and len(columns) > LEAST_FEATURES:
            tried.append((chosen.size, [column for at, column in enumerate(columns) if at not in gone]))
        tried += [(size, columns) for size in sizes if size < chosen.size][-1:]
        outcomes = parallel(
            [
                Trial(lessons, chosen.kind, size, tuple(some), recipe.seed, soft, steps=recipe.students.steps)
                for size, some in tried
            ]
        )
        made = [
            _choice(recipe, lessons, one, chosen.kind, size, some, soft)
            for one, (size, some) in zip(outcomes, tried, strict=True)
        ]
        steps += made
        enough = [one for one in made if _merit(one) >= _merit(student) - recipe.budgets.prune]
        if not enough:
            break
        chosen = max(enough, key=lambda one: one.judged.value)
        columns = [index_of(lessons, name) for name in chosen.features]
        if chosen.bytes <= recipe.budgets.bytes // PRUNED_ENOUGH:
            break
    tell("prune", 1, 1)
    if chosen.bytes > recipe.budgets.bytes:
        least = min(steps, key=lambda one: one.bytes)
        raise BudgetError(
            f"pruning within {recipe.budgets.prune:g} of accuracy leaves {chosen.bytes} bytes (accuracy {chosen.judged.accuracy:.4f}),"
            f" budgeted are {recipe.budgets.bytes}; the smallest that was tried has {least.bytes} ({least.judged.accuracy:.4f})",
            hint="raise budgets.prune or budgets.bytes",
        )
    return steps, chosen


def fewer(
    recipe: Recipe,
    lessons: Lessons,
    names: Sequence[str],
    soft: NDArray[np.float32],
    parallel: Parallel,
    tell: Told,
) -> tuple[str, ...]:
    """Return the features without which a small net would be worse, at most `features.most`: at each step those are left out whose
    loss costs least on held-out days; of all steps the best stands.
    """
    scout = "mlp" if "mlp" in recipe.students.architectures else recipe.students.architectures[0]
    size = architectures()[scout].sizes[-1 if len(architectures()[scout].sizes) < 2 else 1]
    kept = [index_of(lessons, name) for name in names]
    steps: list[tuple[float, list[int]]] = []
    whole = len(kept)
    while True:
        tell("features kept", whole - len(kept), whole)
        seeds = range(recipe.seed, recipe.seed + min(2, recipe.students.seeds))
        outcomes = parallel(
            [
                Trial(
                    lessons,
                    scout,
                    size,
                    tuple(kept),
                    seed,
                    soft,
                    measure=True,
                    steps=recipe.students.steps // SCOUTING,
                )
                for seed in seeds
            ]
        )
        mixed = np.mean([filled(one) for one in outcomes], axis=0)
        steps.append((lessons.judge(mixed, recipe.split.judged).value, list(kept)))
        if len(kept) <= LEAST_FEATURES:
            break
        worth = np.mean([one.worth for one in outcomes], axis=0)
        gone = set(np.argsort(worth, kind="stable")[: max(1, len(kept) // DROP_SHARE)].tolist())
        kept = [column for at, column in enumerate(kept) if at not in gone]
    tell("features kept", whole, whole)
    allowed = [step for step in steps if len(step[1]) <= recipe.features.most] or steps[-1:]
    best = max(allowed, key=lambda step: step[0])
    near = [step for step in allowed if step[0] >= best[0] - recipe.students.within]
    return tuple(lessons.spec.features[at].name for at in min(near, key=lambda step: len(step[1]))[1])


def features_of(lessons: Lessons, names: Sequence[str]) -> tuple[Feature, ...]:
    """Return the features of these names."""
    return tuple(lessons.spec.features[index_of(lessons, name)] for name in names)
