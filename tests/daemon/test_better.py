"""Whether a bigger model's word is heard: only where its card shows it better, on hard cases, than the version that decides here."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import (
    TEACHER_OPERATORS,
    Against,
    Bundle,
    Gain,
    Head,
    Refitted,
    Shelf,
    load_bundle,
    shipped,
    write_bundle,
)
from appliance.config.tables import EdgeTable
from appliance.daemon.edging import bigger, made_here

SETTINGS = EdgeTable(url="http://127.0.0.1")
WORSE = Gain(7, 9000, -0.01, -0.02, -0.001, -0.3)
BETTER = Gain(7, 900, 0.05, 0.01, 0.1, -0.02)


@pytest.fixture(scope="module")
def local() -> Bundle:
    return load_bundle(shipped("presence"))


@pytest.fixture
def heard(tmp_path, monkeypatch):
    """Ask whether the teacher with this `against` on its card is better than `classifier`."""

    def ask(against: Against | None, classifier: OnnxClassifier) -> bool:
        models = {"presence": classifier}
        teacher = load_bundle(shipped("presence-teacher"), allowed=TEACHER_OPERATORS)
        folder = tmp_path / "shown" / "presence-teacher"
        card = replace(teacher.card, against=against)
        write_bundle(folder, teacher.model, card, teacher.golden_rows, teacher.golden_probabilities)
        with monkeypatch.context() as here:
            here.setattr(
                "appliance.bundle.shipped",
                lambda name: folder if name == "presence-teacher" else shipped(name),
            )
            found = bigger(SETTINGS, models, made_here(models))["presence"]
            assert found.budget is not None, "what it disagrees in is measured and shown all the same"
            return found.better

    return ask


def against(local: Bundle, hard: Gain | None) -> Against:
    return Against("presence", local.card.version, local.digest, 0.1, hard, WORSE)


def test_a_gain_on_hard_cases_is_heard_though_there_is_none_on_the_easy_ones_that_nobody_asks_about(
    heard, local
) -> None:
    assert heard(against(local, BETTER), OnnxClassifier(local))


def test_an_interval_across_zero_a_card_without_one_and_one_without_hard_cases_are_not_heard(
    heard, local
) -> None:
    model = OnnxClassifier(local)
    assert not heard(against(local, replace(BETTER, low=-0.0001)), model)
    assert not heard(against(local, None), model)
    assert not heard(None, model), "higher held-out scores alone, as every card has them, show nothing"


def test_what_was_measured_against_another_model_says_nothing_of_this_one(heard, local) -> None:
    other = replace(against(local, BETTER), digest="0" * 64)
    assert not heard(other, OnnxClassifier(local))


def test_a_version_that_this_home_made_was_compared_with_no_teacher_until_the_way_back(
    heard, local, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "own", "presence")
    made = Refitted(1, local.digest, "2026-11-24T12:00:00+00:00", 5, 500, Head(0.9, (0.0, 1.0)))
    shelf.put(local, replace(local.card, refit=made))
    told = against(local, BETTER)
    assert not heard(told, OnnxClassifier(shelf.bundle(shelf.promote().current)))
    assert heard(told, OnnxClassifier(shelf.bundle(shelf.rollback().current)))
