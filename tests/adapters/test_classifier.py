"""The shipped model in the real onnxruntime, and bundles that onnxruntime or their own golden rows contradict."""

import msgspec
import numpy as np
import pytest

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import load_bundle, shipped
from appliance.errors import ModelError


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(shipped("presence"))


@pytest.fixture(scope="module")
def classifier(bundle):
    return OnnxClassifier(bundle)


def test_the_shipped_model_answers_its_golden_rows(bundle, classifier) -> None:
    said = classifier.predict(bundle.golden_rows)
    assert said == pytest.approx(bundle.golden_probabilities, abs=1e-5)
    assert said.sum(axis=1) == pytest.approx(np.ones(len(said)), abs=1e-5)
    assert set(said.argmax(axis=1)) == {0, 1}  # the golden rows know both labels
    assert (classifier.labels, classifier.trust.threshold, classifier.digest) == (
        bundle.card.labels,
        bundle.card.threshold,
        bundle.digest,
    )


def test_a_batch_says_what_its_rows_say_one_by_one(bundle, classifier) -> None:
    alone = np.concatenate([classifier.predict(row[None]) for row in bundle.golden_rows])
    assert classifier.predict(bundle.golden_rows) == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_unknown_feature_silences_its_row_and_no_other(bundle, classifier, broken) -> None:
    rows = bundle.golden_rows.copy()
    rows[3, 1] = broken
    said = classifier.predict(rows)
    assert np.isnan(said[3]).all()
    others = np.arange(len(rows)) != 3
    assert said[others] == pytest.approx(bundle.golden_probabilities[others], abs=1e-5)


def test_a_model_that_answers_its_golden_rows_otherwise_is_refused(bundle) -> None:
    with pytest.raises(ModelError, match="golden rows are off"):
        OnnxClassifier(
            msgspec.structs.replace(bundle, golden_probabilities=bundle.golden_probabilities[::-1])
        )


def test_a_model_that_does_not_fit_its_card_is_refused(bundle) -> None:
    spec = msgspec.structs.replace(bundle.card.features, features=bundle.card.features.features[:-1])
    with pytest.raises(ModelError, match="does not fit its card"):
        OnnxClassifier(
            msgspec.structs.replace(bundle, card=msgspec.structs.replace(bundle.card, features=spec))
        )


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_what_onnxruntime_refuses_is_a_model_error(bundle, content) -> None:
    content = bundle.model[: len(bundle.model) // 2] if content is None else content
    with pytest.raises(ModelError, match="refuses") as refused:
        OnnxClassifier(msgspec.structs.replace(bundle, model=content))
    assert refused.value.hint
