"""What is shipped was made by its recipe, judged on the very files, and says how often those were opened."""

import msgspec
import pytest

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import load_bundle, shipped
from appliance.learn import data as source
from appliance.learn.recipe import load_recipe, recipes
from appliance.learn.reporting import Report


@pytest.mark.parametrize("name", recipes())
def test_the_shipped_report_and_card_are_of_the_shipped_model(name) -> None:
    folder = shipped(name)
    told = msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)
    bundle = load_bundle(folder)
    OnnxClassifier(bundle)
    recipe, _ = load_recipe(name)
    assert told.digest == bundle.digest == told.openings[-1].digest
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
    assert len(told.lines) > 4


def test_the_tests_of_presence_are_the_very_files_and_every_opening_is_told() -> None:
    told = msgspec.json.decode((shipped("presence") / "report.json").read_bytes(), type=Report)
    assert told.files == {file: source.DIGESTS[file] for file in source.TESTS.values()}
    assert len(told.openings) >= 4
    assert f"opened {len(told.openings)} times" in (shipped("presence") / "report.md").read_text("utf-8")
