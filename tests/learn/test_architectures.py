"""Every architecture that is there: its ONNX says what it says itself, in allowed operators, the same bytes twice, and it learns."""

import numpy as np
import onnxruntime as ort
import pytest

from appliance.bundle.checking import ALLOWED
from appliance.bundle.walk import operators
from appliance.learn.architectures import Lesson, architectures
from appliance.learn.choosing import exported
from appliance.learn.export import softmax
from appliance.learn.features import SERIES

PLAIN = 3


def lesson(series: int, labels: int) -> Lesson:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, series * len(SERIES) + PLAIN)) * 40 + 7
    truth = np.digitize(
        rows[:, -1] + rows[:, 0] * 0.2, np.quantile(rows[:, -1], np.linspace(0, 1, labels + 1)[1:-1])
    )
    soft = 0.9 * np.eye(labels)[truth] + 0.1 / labels
    return Lesson(rows, soft, np.ones(600), series, 300)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("name", sorted(architectures()))
def test_its_onnx_says_what_it_says_and_it_has_learnt(name, labels) -> None:
    architecture = architectures()[name]
    given = lesson(2 if architecture.series else 0, labels)
    student = architecture.fit(given, architecture.sizes[0], 0).cooled(1.5)
    width = given.rows.shape[1]
    model = exported(student, width, labels)
    assert model == exported(architecture.fit(given, architecture.sizes[0], 0).cooled(1.5), width, labels)
    assert operators(model) <= ALLOWED
    rows = given.rows.astype(np.float32)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    said = session.run(None, {"features": rows})[0]
    assert said == pytest.approx(softmax(student.logits(rows.astype(np.float64))), abs=1e-4)
    assert (said.argmax(axis=1) == given.soft.argmax(axis=1)).mean() > 0.75
    assert session.run(None, {"features": rows[:1]})[0] == pytest.approx(said[:1], abs=1e-6)
    assert 0 < student.parameters * 4 < len(model)
    assert student.operations > 0


def test_a_larger_size_is_a_larger_model() -> None:
    for architecture in architectures().values():
        given = lesson(2 if architecture.series else 0, 2)
        sizes = [
            len(exported(architecture.fit(given, size, 0), given.rows.shape[1], 2))
            for size in architecture.sizes[:2]
        ]
        assert sizes == sorted(set(sizes))
