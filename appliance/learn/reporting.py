"""Owns the report: the one place that opens the test files, and says each time that it did.

Beside every result stand the baselines, beside the best number the worst. Never in here: choosing anything, or drawing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Bundle
from appliance.core.features import FeatureSpec
from appliance.core.home import Classifier
from appliance.core.trust import adapt
from appliance.errors import LearnError
from appliance.learn import baselines, choosing, sources
from appliance.learn.calibrating import prediction_sets
from appliance.learn.choosing import Choice
from appliance.learn.cycle import Cycle
from appliance.learn.data import Published, published
from appliance.learn.faults import Line as FaultLine
from appliance.learn.features import matrix
from appliance.learn.judging import calibration_error, interval, macro_f1
from appliance.learn.ledger import Opening, Result, openings
from appliance.learn.lessons import LEARN
from appliance.learn.recordings import Recording
from appliance.learn.splitting import blocks
from appliance.learn.teaching import Taught, teach

ALPHAS = (0.05, 0.10)
LABELS_TOLD = (0, 5, 10, 20, 50, 100, 200, 500)
"""So many random rows of a test are told one after the other to see how many labels mend a shortfall."""
CERTAIN_ROWS = 60
"""A day with fewer rows than this is no worst day."""


class Line(msgspec.Struct, frozen=True):
    """One row of the table: a model, its size, and what it reached by test."""

    model: str
    scores: dict[str, Result]
    bytes: int | None = None
    parameters: int | None = None


class Coverage(msgspec.Struct, frozen=True):
    """At one error level on one test: how often the set held the truth (in all, by label), and how often it held one label."""

    test: str
    alpha: float
    covered: float
    by_label: dict[str, float]
    sure: float
    mended: dict[str, float] = {}
    """After so many labels told: the least coverage of a label over the rest."""


class Report(msgspec.Struct, frozen=True):
    """Everything that the pages show."""

    name: str
    digest: str
    lines: tuple[Line, ...]
    coverage: tuple[Coverage, ...]
    confusion: dict[str, list[list[int]]]
    worst_days: dict[str, str]
    files: dict[str, str]
    openings: tuple[Opening, ...]
    measured: dict[str, float] = {}
    unlike: dict[str, float] = {}
    checks: dict[str, str] = {}
    faults: tuple[FaultLine, ...] = ()


class Shown(msgspec.Struct):
    """One test as the model saw it: for pictures. `said` (N, L) is NaN where a feature was unknown; `kind` (N,) is 0 sure, 1 hard, 2 unlike,
    3 unknown.
    """

    recordings: list[Recording]
    rows: NDArray[np.float32]
    said: NDArray[np.float64]
    labels: NDArray[np.int64]
    block: NDArray[np.int64]
    at_ns: NDArray[np.int64]
    kind: NDArray[np.int64]


def make_report(
    cycle: Cycle,
    bundle: Bundle,
    classifier: Classifier,
    measure: Callable[[], dict[str, float]],
    checks: Callable[[], dict[str, str]],
    broken: Callable[[], Sequence[FaultLine]] = tuple,
) -> tuple[Report, dict[str, Shown]]:
    """Open the tests, judge the bundle on them, and return the report and what was seen. `measure` gives what running costs here, `broken` which faults
    of sensors novelty finds, on held-out days.

    The openings that the report.json beside the bundle tells of are kept: a test file that is opened often is a test no more.

    Raises:
        LearnError: the data are missing or altered, a test shares rows with training, or the report there can't be read.
    """
    before = openings(cycle.folder / "report.json")
    found = sources.tests(cycle.recipe, cycle.beside, cycle.simulate, cycle.recordings)
    spec = bundle.card.features
    shown = {test: _seen(some, spec, classifier, bundle) for test, some in found.items()}
    ours = {test: _result(one) for test, one in shown.items()}
    lines = [
        Line(
            f"{bundle.card.architecture} (ours, shipped)",
            ours,
            len(bundle.model),
            bundle.card.sizes.get("parameters"),
        )
    ]
    lines += _further(cycle, shown)
    opening = Opening(
        datetime.now(UTC).isoformat(timespec="seconds"), bundle.card.version, bundle.digest, ours
    )
    made = Report(
        bundle.card.name,
        bundle.digest,
        tuple(lines),
        tuple(
            coverage
            for test, one in shown.items()
            for coverage in _coverage(test, one, bundle, cycle.recipe.seed)
        ),
        {test: _confusion(one, len(bundle.card.labels)) for test, one in shown.items()},
        {test: _worst_day(one) for test, one in shown.items()},
        sources.digests(cycle.recipe),
        (*before, opening) if found else before,
        measure(),
        {test: round(float((one.kind == 2).mean()), 4) for test, one in shown.items()},
        checks(),
        tuple(broken()),
    )
    (cycle.folder / "report.json").write_text(
        json.dumps(msgspec.to_builtins(made), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return made, shown


def _seen(recordings: list[Recording], spec: FeatureSpec, classifier: Classifier, bundle: Bundle) -> Shown:
    rows = np.concatenate([matrix(one, spec) for one in recordings])
    said = classifier.predict(rows).astype(np.float64)
    known = np.asarray(np.isfinite(said).all(axis=1))
    kind = np.full(len(rows), 3)
    card = bundle.card
    sure = known if card.sets is None else prediction_sets(said, card.sets, 0.10).sum(axis=1) == 1
    kind[known] = np.where(sure[known], 0, 1)
    if card.novelty is not None:
        for at in np.flatnonzero(known).tolist():
            if card.novelty.unlike(rows[at]) is not None:
                kind[at] = 2
    try:
        block = np.concatenate(blocks(recordings, "day"))
    except LearnError:
        # One or two days give no intervals worth the name; hours stand in for days.
        block = np.concatenate([one.at_ns // (3600 * 10**9) for one in recordings])
    return Shown(
        recordings,
        rows,
        said,
        np.concatenate([one.labels for one in recordings]),
        block,
        np.concatenate([one.at_ns for one in recordings]),
        kind,
    )


def _result(one: Shown) -> Result:
    known = np.isfinite(one.said).all(axis=1)
    said = np.where(known, np.nan_to_num(one.said, nan=-1.0).argmax(axis=1), 0)
    right = (said == one.labels).astype(np.float64)
    low, high = interval(right, one.block)
    sure = one.kind == 0
    return Result(
        accuracy=round(float(right.mean()), 4),
        macro_f1=round(macro_f1(one.labels, said), 4),
        low=round(low, 4),
        high=round(high, 4),
        calibration_error=round(calibration_error(one.said[known], one.labels[known]), 4),
        known=round(float(known.mean()), 4),
        where_known=round(float(right[known].mean()), 4),
        where_known_f1=round(macro_f1(one.labels[known], said[known]), 4),
        sure=round(float(sure.mean()), 4),
        sure_right=round(float(right[sure].mean()), 4) if sure.any() else 0.0,
    )


def _plain(said: NDArray[np.int64], one: Shown) -> Result:
    right = (said == one.labels).astype(np.float64)
    low, high = interval(right, one.block)
    known = one.kind != 3
    return Result(
        accuracy=round(float(right.mean()), 4),
        macro_f1=round(macro_f1(one.labels, said), 4),
        low=round(low, 4),
        high=round(high, 4),
        where_known=round(float(right[known].mean()), 4),
        where_known_f1=round(macro_f1(one.labels[known], said[known]), 4),
    )


def _further(cycle: Cycle, shown: Mapping[str, Shown]) -> list[Line]:
    """The mean over seeds, the teacher, the students that were not chosen, the baselines, and what others published."""
    lessons, chosen, taught = cycle.lessons, cycle.pruned.chosen, cycle.taught.chosen
    learn = (lessons.uses & LEARN) > 0
    lines = []

    def words(
        model: Callable[[NDArray[np.float32]], NDArray[np.float64]], rows: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        known = np.isfinite(rows).all(axis=1)
        said = np.zeros(len(rows), np.int64)
        if known.any():
            said[known] = model(rows[known]).argmax(axis=1)
        return said

    seeds = range(cycle.recipe.seed, cycle.recipe.seed + cycle.recipe.students.seeds)
    students = [cycle.student(seed) for seed in seeds]
    results = {
        test: [
            _plain(words(partial(choosing.probabilities_of, student), one.rows), one) for student in students
        ]
        for test, one in shown.items()
    }
    if results:
        lines.append(
            Line(
                f"the same, mean of {len(seeds)} seeds",
                {t: _mean(some) for t, some in results.items()},
                chosen.bytes,
            )
        )
    columns = [choosing.index_of(lessons, name) for name in taught.features]
    model: Taught = teach(
        taught.kind,
        lessons.rows[learn][:, columns],
        lessons.labels[learn],
        lessons.weights[learn],
        len(cycle.recipe.labels),
        cycle.recipe.seed,
    )
    spec = FeatureSpec(choosing.features_of(lessons, taught.features))
    tables = {
        test: np.concatenate([matrix(some, spec) for some in one.recordings]) for test, one in shown.items()
    }
    lines.append(
        Line(
            f"its teacher: {taught.kind}",
            {test: _plain(words(model, tables[test]), one) for test, one in shown.items()},
            taught.bytes,
        )
    )
    common = baselines.majority(cycle.recordings)
    channel = baselines.channel_for(cycle.recordings)
    mean = baselines.mean_limit(cycle.recordings, channel)
    on, off = baselines.tuned(cycle.recordings, channel)
    word = cycle.recipe.labels[common]

    def rule(high: float, low: float, one: Shown) -> Result:
        return _plain(
            np.concatenate([baselines.above(some, channel, high, low) for some in one.recordings]), one
        )

    lines += [
        Line(
            f"always “{word}” (the majority)",
            {t: _plain(np.full(len(one.labels), common), one) for t, one in shown.items()},
        ),
        Line(f"{channel} above its mean, {mean:.0f}", {t: rule(mean, mean, one) for t, one in shown.items()}),
        Line(
            f"{channel} from {on:.0f} until {off:.0f} (tuned on the training days)",
            {t: rule(on, off, one) for t, one in shown.items()},
        ),
    ]
    if cycle.recipe.data.kind == "uci_occupancy":
        lines += [_published(one) for one in published() if not one.uses_light]
    return lines


def _mean(some: Sequence[Result]) -> Result:
    return Result(
        accuracy=round(float(np.mean([one.accuracy for one in some])), 4),
        macro_f1=round(float(np.mean([one.macro_f1 or 0.0 for one in some])), 4),
        low=round(min(one.accuracy for one in some), 4),
        high=round(max(one.accuracy for one in some), 4),
        where_known=round(float(np.mean([one.where_known or 0.0 for one in some])), 4),
        where_known_f1=round(float(np.mean([one.where_known_f1 or 0.0 for one in some])), 4),
    )


def _published(one: Published) -> Line:
    time = ", with the time of day" if one.uses_time else ""
    return Line(
        f"published: {one.model}{time}",
        {"test 1": Result(round(one.test_1, 4)), "test 2": Result(round(one.test_2, 4))},
    )


def _coverage(test: str, one: Shown, bundle: Bundle, seed: int) -> list[Coverage]:
    sets = bundle.card.sets
    if sets is None:
        return []
    known = np.isfinite(one.said).all(axis=1)
    said, labels = one.said[known], one.labels[known]
    found = []
    for alpha in ALPHAS:
        whole = prediction_sets(said, sets, alpha)
        held = whole[np.arange(len(labels)), labels]
        by_label = {
            word: round(float(held[labels == at].mean()), 4)
            for at, word in enumerate(bundle.card.labels)
            if (labels == at).any()
        }
        mended: dict[str, float] = {}
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(labels))
        state = None
        told = 0
        for count in LABELS_TOLD:
            if count >= len(order) // 2:
                break
            while told < count:
                state = adapt(
                    state,
                    sets,
                    bundle.card.version,
                    alpha,
                    said[order[told]].tolist(),
                    int(labels[order[told]]),
                )
                told += 1
            thresholds = (
                np.array(sets.at(alpha) or (0.0,) * said.shape[1])
                if state is None
                else np.array(sets.least(state.levels))
            )
            rest = order[count:]
            inside = said[rest, labels[rest]] >= thresholds[labels[rest]]
            least = min(float(inside[labels[rest] == at].mean()) for at in np.unique(labels[rest]))
            alone = ((said[rest] >= thresholds).sum(axis=1) == 1).mean()
            mended[str(count)] = round(least, 4)
            mended[f"{count} sure"] = round(float(alone), 4)
        found.append(
            Coverage(
                test,
                alpha,
                round(float(held.mean()), 4),
                by_label,
                round(float((whole.sum(axis=1) == 1).mean()), 4),
                mended,
            )
        )
    return found


def _confusion(one: Shown, count: int) -> list[list[int]]:
    known = np.isfinite(one.said).all(axis=1)
    said = np.where(known, np.nan_to_num(one.said, nan=-1.0).argmax(axis=1), 0)
    return [
        [int(((one.labels == truth) & (said == word)).sum()) for word in range(count)]
        for truth in range(count)
    ]


def _worst_day(one: Shown) -> str:
    right = np.nan_to_num(one.said, nan=-1.0).argmax(axis=1) == one.labels
    days = one.at_ns // (86_400 * 10**9)
    by_day = {
        day: float(right[days == day].mean())
        for day in np.unique(days)
        if (days == day).sum() >= CERTAIN_ROWS
    }
    if not by_day:
        return "no day of an hour or more"
    day = min(by_day, key=lambda found: by_day[found])
    return f"{datetime.fromtimestamp(int(day) * 86_400, UTC):%Y-%m-%d} with accuracy {by_day[day]:.3f}"


def all_choices(cycle: Cycle) -> list[Choice]:
    """Return everything that was tried: teachers, students, and what pruning tried."""
    return [*cycle.taught.tried, *cycle.distilled.tried, *cycle.pruned.tried[1:]]
