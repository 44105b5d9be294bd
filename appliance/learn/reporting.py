"""Owns the report: the one place that opens the test files, and says each time that it did.

Beside every result stand the baselines, beside the best number the worst. Never in here: choosing anything.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Bundle
from appliance.core.home import Classifier
from appliance.errors import LearnError
from appliance.learn.data import DIGESTS, TESTS, TRAINING, Published, Row, published, rows
from appliance.learn.features import matrix, truth
from appliance.learn.training import score

PUBLISHED_MODELS = (
    "ModelLDA_noLight",
    "ModelRF_noLight",
    "Modelgbm_noLight",
    "ModelCART_noLight",
    "ModelCART_NO_LIGHT_b",
)
"""Published models on everything but light that stand beside ours: one a family, and a tree that has the time too."""


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one model reached on one test: shares in [0, 1]; None where it was not published, or has no meaning."""

    accuracy: float
    macro_f1: float | None = None
    known: float | None = None
    sure: float | None = None
    sure_right: float | None = None


class Line(msgspec.Struct, frozen=True):
    """One row of the table: a model, and what it reached by test."""

    model: str
    scores: dict[str, Result]


class Opening(msgspec.Struct, frozen=True):
    """One time at which the test files were opened: when (UTC), for which model, and what it reached.

    `scores` is empty where that was not kept.
    """

    at: str
    version: int
    digest: str
    scores: dict[str, Result]


class Report(msgspec.Struct, frozen=True):
    """The table, the worst day of each test, the digests of the files, and each opening so far, this one last."""

    name: str
    digest: str
    lines: tuple[Line, ...]
    worst_days: dict[str, str]
    files: dict[str, str]
    openings: tuple[Opening, ...]


def report(folder: Path, classifier: Classifier, bundle: Bundle) -> Report:
    """Judge the bundle in `folder` on the test files, write report.md and report.json beside it, and return the report.

    The openings that the report.json there tells of are kept: a test file that is opened often is a test no more.

    Raises:
        LearnError: the data are missing or altered, or the report there can't be read.
    """
    before = _openings(folder / "report.json")
    training = rows(TRAINING)
    tests = {test: rows(file) for test, file in TESTS.items()}
    limit = _co2_threshold(training)
    ours: dict[str, Result] = {}
    worst = {}
    for test, table in tests.items():
        labels = truth(table)
        said = classifier.predict(matrix(table, bundle.card.features)).astype(np.float64)
        got = score(said, labels, bundle.card.threshold)
        ours[test] = Result(got.accuracy, got.macro_f1, got.known, got.sure, got.sure_right)
        worst[test] = _worst_day(table, said, labels)
    lines = (
        Line(f"{bundle.card.architecture} (ours)", ours),
        _rule("always “nobody” (the majority)", tests, lambda table: np.zeros(len(table), dtype=np.int64)),
        _rule(
            f"CO2 above {limit:.0f} ppm (tuned on the training days)",
            tests,
            lambda table: _above(table, limit),
        ),
        *_published([one for one in published() if not one.uses_light]),
    )
    opening = Opening(
        datetime.now(UTC).isoformat(timespec="seconds"), bundle.card.version, bundle.digest, ours
    )
    made = Report(
        bundle.card.name,
        bundle.digest,
        lines,
        worst,
        {file: DIGESTS[file] for file in TESTS.values()},
        (*before, opening),
    )
    (folder / "report.md").write_text(as_markdown(made, bundle), encoding="utf-8")
    (folder / "report.json").write_text(
        json.dumps(msgspec.to_builtins(made), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return made


def as_markdown(made: Report, bundle: Bundle) -> str:
    """Return the report as a page."""
    card = bundle.card
    columns = [
        f"{test}: {word}" for test in TESTS for word in ("accuracy", "macro F1", "sure", "right when sure")
    ]
    text = [
        f"# {card.title} (`{card.name}`, version {card.version})",
        "",
        f"{card.architecture}; {len(bundle.model)} bytes of ONNX, sha256 `{made.digest}`.",
        f"Split: {card.split}. Calibration: {card.calibration}. Sure from a top probability of {card.threshold}.",
        "",
        f"| model | {' | '.join(columns)} |",
        "|---|" + "---|" * len(columns),
    ]
    for line in made.lines:
        cells = [
            _cell(value)
            for test in TESTS
            for one in (line.scores[test],)
            for value in (one.accuracy, one.macro_f1, one.sure, one.sure_right)
        ]
        text.append(f"| {line.model} | {' | '.join(cells)} |")
    ours = made.lines[0].scores
    text += [
        "",
        *(
            f"- {name}: accuracy {held.accuracy}, macro F1 {held.macro_f1}, sure on {held.sure:.1%} of {held.rows} rows and"
            f" then right on {held.sure_right:.1%}."
            for name, held in card.held_out.items()
        ),
        f"- {card.worst[0].upper()}{card.worst[1:]}.",
        *(
            f"- {test}: worst day {day}; features known on {ours[test].known:.1%} of the rows."
            for test, day in made.worst_days.items()
        ),
        "",
        "A row whose features are not known yet counts as “nobody”, and as unsure. Each file starts cold, as a device does. Test 1",
        "lies before the training days, test 2 after them. “Nobody” is the majority of both, so look at macro F1. Published are",
        "accuracies alone, and whether one used the time of day is told by its name. All of it is one office in one February:",
        "nothing here says how well it does in another room.",
        "",
        f"Not for: {card.not_for}.",
        "",
        "The test files were opened "
        + ("once:" if len(made.openings) == 1 else f"{len(made.openings)} times:"),
        "",
        "| when | version | model | "
        + " | ".join(f"{test}: accuracy | {test}: macro F1" for test in TESTS)
        + " |",
        "|---|---|---|" + "---|" * 2 * len(TESTS),
    ]
    for one in made.openings:
        results = [one.scores.get(test) for test in TESTS]
        cells = [_cell(v) for got in results for v in ((got.accuracy, got.macro_f1) if got else (None, None))]
        text.append(f"| {one.at} | {one.version} | `{one.digest[:12]}` | {' | '.join(cells)} |")
    return "\n".join([*text, ""])


def _openings(path: Path) -> tuple[Opening, ...]:
    if not path.exists():
        return ()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report).openings
    except (OSError, msgspec.MsgspecError) as broken:
        raise LearnError(
            f"{path}: {broken}",
            hint="it tells how often the test files were opened: bring back the one from before",
        ) from None


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _published(found: list[Published]) -> list[Line]:
    lines = []
    for with_time in (False, True):
        some = [one for one in found if one.uses_time is with_time]
        if not some:
            continue
        label = f"published, no light, {'with' if with_time else 'without'} the time of day"
        best = max(some, key=lambda one: min(one.test_1, one.test_2))
        middle = (median(one.test_1 for one in some), median(one.test_2 for one in some))
        lines += [
            _line(f"{label}: best on its worse test ({best.model})", best.test_1, best.test_2),
            _line(f"{label}: median of {len(some)}", *middle),
        ]
    named = {one.model: one for one in found}
    lines += [
        _line(f"published: {model}", named[model].test_1, named[model].test_2)
        for model in PUBLISHED_MODELS
        if model in named
    ]
    return lines


def _line(model: str, test_1: float, test_2: float) -> Line:
    return Line(model, {"test 1": Result(round(test_1, 4)), "test 2": Result(round(test_2, 4))})


def _rule(
    model: str, tests: dict[str, list[Row]], says: Callable[[Sequence[Row]], NDArray[np.int64]]
) -> Line:
    scores = {}
    for test, table in tests.items():
        said = says(table)
        judged = score(np.stack([1.0 - said, said], axis=1).astype(np.float64), truth(table), 1.0)
        scores[test] = Result(judged.accuracy, judged.macro_f1)
    return Line(model, scores)


def _above(table: Sequence[Row], limit: float) -> NDArray[np.int64]:
    return np.array([row.co2 > limit for row in table], dtype=np.int64)


def _co2_threshold(training: Sequence[Row]) -> float:
    """Return the CO2 limit in ppm with the best macro F1 on the training days."""
    labels = truth(training)
    tried = np.unique(np.quantile([row.co2 for row in training], np.linspace(0.02, 0.98, 97)))

    def judged(limit: float) -> float:
        said = _above(training, limit)
        return score(np.stack([1.0 - said, said], axis=1).astype(np.float64), labels, 1.0).macro_f1

    return float(max(tried, key=judged))


def _worst_day(table: Sequence[Row], said: NDArray[np.float64], labels: NDArray[np.int64]) -> str:
    days = np.array([row.day for row in table])
    right = np.nan_to_num(said, nan=-1.0).argmax(axis=1) == labels
    by_day = {day: float(right[days == day].mean()) for day in np.unique(days) if (days == day).sum() >= 60}
    day = min(by_day, key=lambda one: by_day[one])
    return f"{datetime.fromtimestamp(int(day) * 86_400, UTC):%Y-%m-%d} with accuracy {by_day[day]:.3f}"
