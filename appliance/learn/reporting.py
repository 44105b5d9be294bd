"""Owns the report: the one place that opens the test files, and says so.

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

from appliance.bundle import Bundle, Score
from appliance.core.controller import Classifier
from appliance.learn.data import DIGESTS, TESTS, TRAINING, Row, published, rows
from appliance.learn.features import matrix, truth
from appliance.learn.training import score


class Line(msgspec.Struct, frozen=True):
    """One row of the table: a model, and its scores by test; None where nobody published one."""

    model: str
    scores: dict[str, tuple[float, float | None, float | None]]
    """Test -> (accuracy, macro F1, share of rows sure)."""


class Report(msgspec.Struct, frozen=True):
    """The table, the worst day of each test, and which files were opened for it."""

    name: str
    digest: str
    lines: tuple[Line, ...]
    worst_days: dict[str, str]
    opened: dict[str, str]


def report(folder: Path, classifier: Classifier, bundle: Bundle) -> Report:
    """Judge the bundle in `folder` on the test files, write report.md and report.json beside it, and return the report."""
    training = rows(TRAINING)
    tests = {test: rows(file) for test, file in TESTS.items()}
    limit = _co2_threshold(training)
    lines = [Line(f"{bundle.card.architecture} (ours)", {})]
    worst = {}
    for test, table in tests.items():
        labels = truth(table)
        said = classifier.predict(matrix(table, bundle.card.features)).astype(np.float64)
        ours = score(said, labels, bundle.card.threshold)
        lines[0].scores[test] = (ours.accuracy, ours.macro_f1, ours.sure)
        worst[test] = _worst_day(table, said, labels)
    lines.append(
        _rule("always “nobody” (the majority)", tests, lambda table: np.zeros(len(table), dtype=np.int64))
    )
    lines.append(
        _rule(
            f"CO2 above {limit:.0f} ppm (tuned on the training days)",
            tests,
            lambda table: _above(table, limit),
        )
    )
    without_light = [one for one in published() if not one.uses_light]
    for with_time in (False, True):
        some = [one for one in without_light if one.uses_time is with_time]
        label = "with the time of day" if with_time else "without the time of day"
        best = max(some, key=lambda one: min(one.test_1, one.test_2))
        lines.append(
            Line(
                f"published, no light, {label}: best on its worse test ({best.model})",
                _pair(best.test_1, best.test_2),
            )
        )
        middle = _pair(median(one.test_1 for one in some), median(one.test_2 for one in some))
        lines.append(Line(f"published, no light, {label}: median of {len(some)}", middle))
    for model in ("ModelCART_NO_LIGHT_b", "ModelRF_noLight"):
        named = next(one for one in without_light if one.model == model)
        lines.append(Line(f"published: {model}", _pair(named.test_1, named.test_2)))
    made = Report(
        bundle.card.name, bundle.digest, tuple(lines), worst, {file: DIGESTS[file] for file in TESTS.values()}
    )
    (folder / "report.md").write_text(as_markdown(made, bundle), encoding="utf-8")
    record = {"opened_at": datetime.now(UTC).isoformat(timespec="seconds"), **msgspec.to_builtins(made)}
    (folder / "report.json").write_text(
        json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return made


def as_markdown(made: Report, bundle: Bundle) -> str:
    """Return the report as a page."""
    card = bundle.card
    text = [
        f"# {card.title} (`{card.name}`, version {card.version})",
        "",
        f"{card.architecture}; {bundle.manifest.files['model.onnx'].size} bytes of ONNX, sha256 `{made.digest}`.",
        f"{card.split}. {card.calibration}. Sure from a top probability of {card.threshold}.",
        "",
        "| model | "
        + " | ".join(f"{test}: accuracy | {test}: macro F1 | {test}: sure" for test in TESTS)
        + " |",
        "|---|" + "---|" * 3 * len(TESTS),
    ]
    for line in made.lines:
        cells = [_cell(value) for test in TESTS for value in line.scores[test]]
        text.append(f"| {line.model} | {' | '.join(cells)} |")
    held = card.held_out["held-out days"]
    text += [
        "",
        f"Held-out days of the training file: accuracy {held.accuracy}, macro F1 {held.macro_f1}, sure on {held.sure} of {held.rows} rows; {card.worst}.",
        "",
        *(f"{test}: worst day {day}." for test, day in made.worst_days.items()),
        "",
        "A row whose features are not known yet counts as “nobody”. Test 1 lies before the training days, test 2 after them; on",
        "test 2 the majority alone scores .790, so look at macro F1. All of it is one office in one February: nothing here says how",
        "well it does in another room.",
        "",
        f"Not for: {card.not_for}.",
        "",
    ]
    return "\n".join(text)


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _pair(test_1: float, test_2: float) -> dict[str, tuple[float, float | None, float | None]]:
    return {"test 1": (test_1, None, None), "test 2": (test_2, None, None)}


def _rule(
    model: str, tests: dict[str, list[Row]], says: Callable[[Sequence[Row]], NDArray[np.int64]]
) -> Line:
    scores: dict[str, tuple[float, float | None, float | None]] = {}
    for test, table in tests.items():
        said = says(table)
        judged: Score = score(np.stack([1.0 - said, said], axis=1).astype(np.float64), truth(table), 1.0)
        scores[test] = (judged.accuracy, judged.macro_f1, None)
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
