"""Versions of a model that a home made: one decides, one is watched, and there is a way back."""

import shutil

import numpy as np
import pytest
from msgspec.structs import replace

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import (
    Bundle,
    Card,
    Head,
    Refitted,
    Retrained,
    Shelf,
    Standing,
    load_bundle,
    shipped,
    write_bundle,
)
from appliance.bundle.shelf import KEPT, STANDING
from appliance.core.features import FeatureSpec
from appliance.daemon.edging import made_here
from appliance.daemon.models import load_models
from appliance.daemon.shadowing import Shadowed
from appliance.errors import ModelError
from appliance.learn.export import FEATURES, Graph, softmax
from tests.core.home import PROFILE, appliance_of


@pytest.fixture(scope="module")
def base() -> Bundle:
    return load_bundle(shipped("presence"))


def refitted(base: Bundle, number: int = 1, shift: float = 1.0) -> Card:
    head = Head(0.9, (0.0, shift))
    return replace(base.card, refit=Refitted(number, base.digest, "2026-11-24T12:00:00+00:00", 5, 500, head))


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path, "presence")


LEARNED = '[channels.presence]\nmodel = "presence"\nwords = ["nobody", "somebody"]\n'


def loaded(tmp_path):
    ready, missing = load_models(
        [appliance_of(PROFILE.replace("[fallback]", LEARNED + "[fallback]"))], tmp_path
    )
    assert not missing
    return ready["presence"]


def test_a_home_that_made_nothing_uses_what_is_shipped(shelf, base, tmp_path) -> None:
    assert shelf.standing() == Standing()
    assert shelf.bundle(0).digest == base.digest
    assert loaded(tmp_path).trust.version == base.card.trust.version


def test_a_new_version_is_watched_then_promoted_then_rolled_back(shelf, base, tmp_path) -> None:
    assert shelf.put(base, refitted(base)) == 1
    watched = loaded(tmp_path)
    assert isinstance(watched, Shadowed)
    rows = base.golden_rows
    first = OnnxClassifier(base).predict(rows)
    assert np.array_equal(watched.predict(rows), first), "the watched version changes nothing"
    second = OnnxClassifier(shelf.bundle(1)).predict(rows)
    assert watched.rows == len(rows)
    assert watched.differed == int((first.argmax(1) != second.argmax(1)).sum())
    assert shelf.promote() == Standing(1, None, (0,))
    assert np.array_equal(loaded(tmp_path).predict(rows), second)
    assert loaded(tmp_path).trust.version != base.card.trust.version, "what labels taught begins anew"
    assert shelf.rollback() == Standing(0, None, ())
    assert np.array_equal(loaded(tmp_path).predict(rows), first)


def test_a_version_that_is_not_wanted_is_only_no_longer_watched(shelf, base) -> None:
    shelf.put(base, refitted(base))
    assert shelf.rollback() == Standing()


def test_there_is_no_way_beyond_the_shipped_one(shelf) -> None:
    with pytest.raises(ModelError, match="the shipped presence decides"):
        shelf.rollback()
    with pytest.raises(ModelError, match="no version of presence is watched"):
        shelf.promote()


def test_the_head_is_what_the_model_says_after_its_bytes(shelf, base) -> None:
    shelf.put(base, refitted(base, shift=0.7))
    own = OnnxClassifier(shelf.bundle(1))
    one = base.golden_rows[:1]
    logits = 0.9 * np.log(OnnxClassifier(base).predict(one).astype(float)) + [0.0, 0.7]
    assert own.predict(one)[0] == pytest.approx((np.exp(logits) / np.exp(logits).sum())[0], abs=1e-5)
    assert own.before_head(one)[0] == pytest.approx(OnnxClassifier(base).predict(one)[0], abs=1e-6)
    broken = one.copy()
    broken[0, 0] = np.nan
    assert np.isnan(own.predict(broken)).all()
    assert own.digest != OnnxClassifier(base).digest


def test_a_version_of_another_release_is_not_used(shelf, base, tmp_path) -> None:
    card = refitted(base)
    other = replace(card, refit=replace(card.refit, base="0" * 64))
    shelf.put(base, other)
    with pytest.raises(ModelError, match="another presence than this release ships"):
        shelf.promote()
    assert shelf.standing().current == 0


@pytest.mark.parametrize("damage", ["model.onnx", "card.json", STANDING, "folder"])
def test_a_broken_version_makes_place_for_the_shipped_one(shelf, base, tmp_path, damage) -> None:
    shelf.put(base, refitted(base))
    shelf.promote()
    folder = tmp_path / "presence"
    if damage == "folder":
        shutil.rmtree(folder / "1")
    else:
        (folder / damage if damage == STANDING else folder / "1" / damage).write_bytes(b"{")
    assert loaded(tmp_path).trust.version == base.card.trust.version


def test_an_unfinished_version_is_no_version(shelf, base, tmp_path) -> None:
    shelf.put(base, refitted(base))
    (tmp_path / "presence" / "2.new").mkdir()
    assert shelf.put(base, refitted(base, 2)) == 2
    assert shelf.bundle(2).card.refit.number == 2


def test_old_versions_are_forgotten_and_those_that_are_named_stay(shelf, base, tmp_path) -> None:
    shelf.put(base, refitted(base))
    shelf.promote()
    for number in range(2, KEPT + 6):
        shelf.put(base, refitted(base, number))
    folders = {int(one.name) for one in (tmp_path / "presence").iterdir() if one.name.isdigit()}
    assert len(folders) <= KEPT + 2
    assert {1, KEPT + 5} <= folders


def trained(base: Bundle, number: int = 1) -> Card:
    made = Retrained(number, base.digest, "2026-11-24T12:00:00+00:00", 12, 500, "0" * 64, 9000, 0.4)
    return replace(base.card, retrained=made)


def other_model() -> tuple[bytes, np.ndarray]:
    """Another model of the same features and labels: a line that leans one way, and what it says of golden rows."""
    base = load_bundle(shipped("presence"))
    count = len(base.card.features.features)
    weights = np.linspace(-0.5, 0.5, 2 * count).reshape(count, 2)
    graph = Graph()
    logits = graph.dense(FEATURES, weights, np.array([0.1, -0.1]))
    said = softmax(base.golden_rows.astype(np.float64) @ weights + [0.1, -0.1])
    return graph.finished(logits, count, 2), said


def test_a_model_trained_here_has_bytes_of_its_own_and_the_same_way_back(shelf, base, tmp_path) -> None:
    model, said = other_model()
    assert shelf.put_retrained(base, trained(base), model, said) == 1
    watched = loaded(tmp_path)
    assert isinstance(watched, Shadowed)
    assert not made_here({"presence": watched}), "the shipped one decides"
    shelf.promote()
    own = loaded(tmp_path)
    assert made_here({"presence": own}) == {"presence"}
    assert own.predict(base.golden_rows) == pytest.approx(said, abs=1e-4)
    assert own.digest != base.digest
    assert own.trust.version == base.card.trust.version + 1
    assert shelf.put(base, refitted(base, 2)) == 2, "a refit starts from the shipped bytes, whatever decides"
    assert shelf.bundle(2).model == base.model
    shelf.rollback()
    assert loaded(tmp_path).digest == base.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"retrained": Retrained(1, "0" * 64, "", 12, 500, "", 9000, 0.4)},
        {"labels": ("somebody", "nobody")},
        {"features": FeatureSpec(tuple(reversed(load_bundle(shipped("presence")).card.features.features)))},
        {"retrained": None},
    ],
    ids=["of another release", "labels in another order", "other features", "from nowhere"],
)
def test_other_bytes_decide_only_in_the_place_of_the_model_that_they_were_trained_for(
    shelf, base, tmp_path, changes
) -> None:
    model, said = other_model()
    shelf.put_retrained(base, trained(base), model, said)
    shelf.promote()
    write_bundle(
        tmp_path / "presence" / "1",
        model,
        replace(trained(base), **changes),
        base.golden_rows,
        said.astype(np.float32),
    )
    with pytest.raises(ModelError, match="another presence than this release ships"):
        shelf.bundle(1)
    assert loaded(tmp_path).digest == base.digest, "the shipped one decides"


def test_a_card_that_is_both_refitted_and_trained_anew_is_refused(shelf, base) -> None:
    model, said = other_model()
    card = replace(trained(base), refit=refitted(base).refit)
    shelf.put_retrained(base, card, model, said)
    with pytest.raises(ModelError, match="both refitted and trained anew"):
        shelf.bundle(1)
