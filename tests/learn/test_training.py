"""Training sees its training file alone, never its held-out day, gives the same bytes twice, and gave the shipped model."""

from collections.abc import Iterable

import msgspec
import numpy as np
import pytest

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import load_bundle, shipped
from appliance.core.features import FeatureSpec
from appliance.errors import LearnError
from appliance.learn import data as source, training
from appliance.learn.export import Layer, folded, predict, to_onnx
from appliance.learn.features import matrix, starts, truth
from appliance.learn.reporting import Report, report
from appliance.learn.training import ARCHITECTURES, CANDIDATES, score, train

QUICK = {"candidates": {"co2": CANDIDATES["co2"]}, "architectures": ["logistic regression"]}


@pytest.fixture
def opened(monkeypatch) -> Iterable[list[str]]:
    """The names of the files that are read meanwhile."""
    names: list[str] = []
    read = source.read
    monkeypatch.setattr(source, "read", lambda name: names.append(name) or read(name))
    return names


def test_training_opens_no_test_file_and_gives_the_same_bytes_twice(data, tmp_path, opened) -> None:
    one = train("presence", tmp_path / "one", **QUICK)
    two = train("presence", tmp_path / "two", **QUICK)
    assert set(opened) == {source.TRAINING}
    assert one.manifest == two.manifest
    bundle = load_bundle(tmp_path / "one")
    OnnxClassifier(bundle)  # it agrees with its golden rows, which are computed without onnxruntime
    assert bundle.card.held_out["held-out days"].rows == 8143


@pytest.mark.timeout(300)
def test_the_shipped_model_is_what_its_recipe_gives(data, tmp_path) -> None:
    """Of what is chosen among, the winner alone: choosing takes minutes. Other processors round otherwise, so not its bytes."""
    bundle = load_bundle(shipped("presence"))
    (features,) = (name for name, some in CANDIDATES.items() if some == bundle.card.features.features)
    (architecture,) = (name for name in ARCHITECTURES if bundle.card.architecture.startswith(name))
    made = train(
        "presence", tmp_path, candidates={features: CANDIDATES[features]}, architectures=[architecture]
    )
    assert made.card.threshold == pytest.approx(bundle.card.threshold, abs=0.02)
    for name, held in bundle.card.held_out.items():
        assert made.card.held_out[name].accuracy == pytest.approx(held.accuracy, abs=0.01), name
    again = OnnxClassifier(load_bundle(tmp_path))
    assert again.predict(bundle.golden_rows) == pytest.approx(bundle.golden_probabilities, abs=0.05)


def test_no_day_is_judged_by_a_model_that_saw_it() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(60, 1)).astype(np.float32)
    labels = (columns[:, 0] > 0).astype(np.int64)
    days = np.repeat([1, 2, 3], 20)
    seen = []

    def fit(some, its_labels, seed):
        seen.append(set(some[:, 0].tolist()))
        return ARCHITECTURES["logistic regression"](some, its_labels, seed)

    training._held_out(columns, labels, days, fit, 0)
    assert len(seen) == 3
    for day, fitted_on in zip((1, 2, 3), seen, strict=True):
        assert not fitted_on & set(columns[days == day, 0].tolist())


def test_starts_are_cold_and_lie_at_all_times_of_the_day(data) -> None:
    rows = source.rows(source.TRAINING)
    found = starts(rows)
    assert list(found[0]) == rows
    hours = {part[0].at_ns // (3600 * source.SECOND) % 24 // 6 for part in found[1:]}
    assert hours == {0, 1, 2, 3}
    first = matrix(found[5][:70], FeatureSpec(CANDIDATES["co2"]))
    assert np.isnan(first[:59]).all()
    assert np.isfinite(first[61:]).all()


def test_what_is_unknown_counts_as_nobody_and_as_unsure() -> None:
    said = np.array([[0.1, 0.9], [np.nan, np.nan], [np.nan, np.nan], [0.8, 0.2]])
    found = score(said, np.array([1, 1, 0, 0]), 0.85)
    assert (found.accuracy, found.known, found.sure, found.sure_right) == (0.75, 0.5, 0.25, 1.0)


def test_a_model_that_is_never_right_enough_is_never_sure() -> None:
    labels = np.array([0, 1] * 50)
    assert training._threshold(np.full(100, 0.9), labels) == 1.0
    assert training._threshold(np.where(labels == 1, 0.9, 0.1), labels) == 0.5


def test_scaling_and_temperature_are_folded_in_without_changing_what_it_says() -> None:
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=3) * 100, rng.uniform(1, 50, 3)
    layers = [
        Layer(rng.normal(size=(3, 4)), rng.normal(size=4)),
        Layer(rng.normal(size=(4, 2)), rng.normal(size=2)),
    ]
    rows = (mean + scale * rng.normal(size=(20, 3))).astype(np.float32)
    hidden = np.maximum((rows - mean) / scale @ layers[0].weights + layers[0].bias, 0)
    logits = (hidden @ layers[1].weights + layers[1].bias) / 1.7
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert predict(mean, scale, layers, 1.7, rows) == pytest.approx(expected, abs=1e-5)
    assert len(folded(mean, scale, layers, 1.7)) == 2
    assert to_onnx(mean, scale, layers, 1.7) == to_onnx(mean, scale, layers, 1.7)


def test_a_recipe_that_nobody_wrote_is_named(tmp_path) -> None:
    with pytest.raises(LearnError, match="absence"):
        train("absence", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_report_counts_openings_and_its_majority_line_is_what_counting_gives(data, tmp_path) -> None:
    """On a model fitted for this test: the shipped one's count is for the shipped one."""
    train("presence", tmp_path, **QUICK)
    bundle = load_bundle(tmp_path)
    classifier = OnnxClassifier(bundle)
    report(tmp_path, classifier, bundle)
    made = report(tmp_path, classifier, bundle)
    assert [one.digest for one in made.openings] == [bundle.digest] * 2
    assert msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report) == made
    (majority,) = (line for line in made.lines if "majority" in line.model)
    for test, file in source.TESTS.items():
        assert majority.scores[test].accuracy == pytest.approx(1 - truth(source.rows(file)).mean(), abs=1e-4)
    assert "opened 2 times" in (tmp_path / "report.md").read_text("utf-8")
    (tmp_path / "report.json").write_text("{}", "utf-8")
    with pytest.raises(LearnError, match=r"report\.json"):
        report(tmp_path, classifier, bundle)


def test_the_shipped_report_is_of_the_shipped_model() -> None:
    folder = shipped("presence")
    told = msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)
    bundle = load_bundle(folder)
    assert told.digest == bundle.digest == told.openings[-1].digest
    assert bundle.digest in (folder / "report.md").read_text("utf-8")
    assert told.files == {file: source.DIGESTS[file] for file in source.TESTS.values()}
