"""What is shipped was made by its recipe, judged on the very files, and says how often those were opened."""

import msgspec
import pytest

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import load_bundle, shipped
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
