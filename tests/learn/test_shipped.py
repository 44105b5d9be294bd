"""What is shipped was made by its recipe, judged on the very files, and says how often those were opened."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import TEACHER, TEACHER_OPERATORS, load_bundle, shipped
from appliance.learn import data as source
from appliance.learn.recipe import load_recipe, recipes
from appliance.learn.reporting import Report

UNOPENED: set[str] = set()
"""Models whose tests were not opened since this version was chosen: the report says so, and its next opening takes the name off this list."""


@pytest.mark.parametrize("name", recipes())
def test_the_shipped_report_and_card_are_of_the_shipped_model(name) -> None:
    folder = shipped(name)
    told = msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)
    bundle = load_bundle(folder)
    OnnxClassifier(bundle)
    recipe, _ = load_recipe(name)
    assert told.digest == bundle.digest
    assert (told.openings[-1].digest == bundle.digest) == (name not in UNOPENED)
    assert bundle.digest in (folder / "report.md").read_text("utf-8")
    assert "<svg" in (folder / "report.html").read_text("utf-8")
    card = bundle.card
    assert (card.name, card.version, card.labels, card.title) == (
        recipe.name,
        recipe.version,
        recipe.labels,
        recipe.title,
    )
    assert card.sets.alphas == recipe.alphas
    assert len(card.steps) == len(card.features.features) == len(card.novelty.low)
    assert card.sizes["bytes"] == len(bundle.model) <= recipe.budgets.bytes
    if name in UNOPENED:
        assert "were not opened since this version" in (folder / "report.md").read_text("utf-8")
        assert not any(line.scores for line in told.lines)
    else:
        assert len(told.lines) > 4


def test_what_presence_covers_on_a_day_that_its_thresholds_did_not_see_is_on_its_card() -> None:
    """Seven days cannot promise an error level of a tenth for an eighth: a card that promised it would say more than was measured."""
    card = load_bundle(shipped("presence")).card
    assert "nothing is promised of a new day" in card.guarantees
    assert "0.972 of 'nobody' and 0.980 of 'somebody'" in card.guarantees
    golden = load_bundle(shipped("presence")).golden_labels
    assert golden is not None
    assert set(golden.tolist()) == {0, 1}


def test_the_tests_of_presence_are_the_very_files_and_every_opening_is_told() -> None:
    told = msgspec.json.decode((shipped("presence") / "report.json").read_bytes(), type=Report)
    assert told.files == {file: source.DIGESTS[file] for file in source.TESTS.values()}
    assert len(told.openings) >= 4
    assert f"opened {len(told.openings)} times" in (shipped("presence") / "report.md").read_text("utf-8")


@pytest.mark.parametrize("name", recipes())
def test_the_shipped_teacher_is_its_student_s_and_answers_its_golden_rows(name) -> None:
    """A teacher of another version, of other labels or judged on other rows could not be compared with the model that asks it."""
    bundle = load_bundle(shipped(f"{name}{TEACHER}"), allowed=TEACHER_OPERATORS)
    student = load_bundle(shipped(name)).card
    card = bundle.card
    assert bundle.is_teacher
    assert bundle.digest == hashlib.sha256(bundle.model).hexdigest()
    assert len(bundle.model) < 600_000
    assert "ai.onnx.ml.TreeEnsembleClassifier" in bundle.manifest.operators
    assert (card.version, card.labels, card.title) == (student.version, student.labels, student.title)
    assert card.sets.alphas == student.sets.alphas
    assert {where: score.rows for where, score in card.held_out.items()} == {
        where: score.rows for where, score in student.held_out.items()
    }
    assert len(card.steps) == len(card.features.features) == len(card.novelty.low)
    said = OnnxClassifier(bundle).predict(bundle.golden_rows)
    assert float(np.abs(said - bundle.golden_probabilities).max()) < 1e-5
    right = (said.argmax(axis=1) == bundle.golden_labels).mean()
    assert right > 0.8


@pytest.mark.parametrize("name", recipes())
def test_a_shipped_teacher_was_compared_with_the_very_student_that_is_shipped(name: str) -> None:
    """Whether the edge may speak follows from this alone: a student that is made anew and a teacher that is not would be silent for good, or
    an interval would stand there that its own figures contradict."""
    local = load_bundle(shipped(name))
    teacher = load_bundle(shipped(f"{name}{TEACHER}"), allowed=TEACHER_OPERATORS).card
    beside = teacher.against
    assert (beside.model, beside.version, beside.digest) == (name, local.card.version, local.digest)
    assert beside.everywhere.rows == sum(one.rows for one in local.card.held_out.values())
    assert beside.hard.rows < beside.everywhere.rows
    for one in (beside.hard, beside.everywhere):
        assert -1 <= one.low <= one.gain <= one.high <= 1
        assert one.worst <= one.gain
    page = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text("utf-8")
    for one in (beside.hard, beside.everywhere):
        assert f"{one.gain:+.4f} ({one.low:+.4f} to {one.high:+.4f})" in page, "the page tells another figure"


def test_the_page_on_asking_the_edge_is_of_the_shipped_models() -> None:
    """Figures of other models would tell an owner of a budget what it gave once."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "edge-tradeoff.md").read_text("utf-8")
    for name in recipes():
        for one in (name, f"{name}{TEACHER}"):
            bundle = load_bundle(shipped(one), allowed=TEACHER_OPERATORS)
            assert f"{one} `{bundle.digest[:12]}`" in page, one
    opened = msgspec.json.decode((shipped("presence") / "report.json").read_bytes(), type=Report).openings
    assert any("benchmarks/cascade" in opening.by for opening in opened)
