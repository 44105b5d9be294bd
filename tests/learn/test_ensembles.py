"""Every kind of teacher: its ONNX says what was fitted, also for features that lie on a limit, in the operators of teachers."""

import importlib.util

import numpy as np
import onnxruntime as ort
import pytest

from appliance.bundle import TEACHER_OPERATORS
from appliance.bundle.walk import operators
from appliance.errors import LearnError
from appliance.learn.calibrating import heated
from appliance.learn.ensembles import LEAF, narrowed, written
from appliance.learn.teaching import TEACHERS, Taught, teach

FEATURES = 6
ASKED = 12_000
KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(
        kind == "torch_mlp" and importlib.util.find_spec("torch") is None,
        reason="PyTorch is not installed: pip install 'appliance[torch]'",
    ))
    for kind in sorted(TEACHERS)
]  # fmt: skip


def taught(kind: str, labels: int) -> Taught:
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(4000, FEATURES)) * [1, 1000, 1e-3, 50, 1, 1] + [0, 400, 0, 20, 0, 0]).astype(
        np.float32
    )
    rows[:, 4] = np.round(rows[:, 4], 1)  # steps, as of a sensor: many rows lie on the same value
    rows[:, 5] = (rows[:, 5] > 0).astype(np.float32)
    score = rows[:, 0] + rows[:, 1] / 1000 + 2 * rows[:, 4] * rows[:, 5] + rng.normal(size=4000)
    truth = np.digitize(score, np.quantile(score, np.linspace(0, 1, labels + 1)[1:-1]))
    return teach(kind, rows, truth.astype(np.int64), np.ones(4000), labels, 0)


def asked(limits: list[float]) -> np.ndarray:
    """Random rows, wider than those learnt from, and rows on every limit, one float32 beside it."""
    rng = np.random.default_rng(2)
    rows = (
        rng.standard_t(3, size=(ASKED, FEATURES)) * [1, 1000, 1e-3, 50, 1, 1] + [0, 400, 0, 20, 0, 0]
    ).astype(np.float32)
    if limits:
        near = np.array(limits, np.float32)
        near = np.concatenate(
            [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
        )
        rows[: ASKED // 2] = rng.choice(near, (ASKED // 2, FEATURES))
    return rows


def limits_of(one: Taught) -> list[float]:
    if one.kind == "lightgbm":
        text = one.model.booster_.model_to_string()
        return [
            float(v) for line in text.splitlines() if line.startswith("threshold=") for v in line[10:].split()
        ]
    if one.kind in ("forest", "extra_trees"):
        return [float(v) for tree in one.model.estimators_ for v in tree.tree_.threshold if v != -2]
    if one.kind == "boosting":
        trees = (tree for step in one.model._predictors for tree in step)
        return [float(node["num_threshold"]) for tree in trees for node in tree.nodes if not node["is_leaf"]]
    return []


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_its_onnx_says_what_was_fitted(kind, labels, record_property) -> None:
    one = taught(kind, labels)
    made = written(one, 1.3, FEATURES)
    assert made == written(taught(kind, labels), 1.3, FEATURES)
    assert operators(made.model) <= TEACHER_OPERATORS
    rows = asked(limits_of(one))
    assert len(rows) >= 10_000
    session = ort.InferenceSession(made.model, providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs() + session.get_outputs()] == [
        "features",
        "probabilities",
    ]
    (said,) = session.run(None, {"features": rows})
    assert said.shape == (len(rows), labels)
    worst = float(np.abs(said - heated(one(rows), 1.3)).max())
    record_property("worst", worst)
    print(f"{kind}, {labels} labels: worst {worst:.2e} of {len(rows)} rows, {len(made.model)} bytes")
    assert worst < 1e-5
    assert session.run(None, {"features": rows[:1]})[0] == pytest.approx(said[:1], abs=1e-6)
    assert made.parameters > 0
    assert made.operations > 0


def test_a_limit_is_rounded_so_that_no_float32_changes_sides() -> None:
    """Rounded to the nearest, a limit of 0.1 would let the float32 0.1, which lies above it, go the other way."""
    for limit in (0.1, 1 / 3, 16777217.0, -0.1, 1e-40, 0.0, 5.0):
        kept = narrowed(limit)
        assert kept <= limit
        for beside in (
            np.float32(limit),
            *(np.nextafter(np.float32(limit), np.float32(to)) for to in (-9e9, 9e9)),
        ):
            assert (beside <= np.float32(kept)) == (float(beside) <= limit), limit


def test_a_tree_without_a_split_is_a_leaf() -> None:
    rows = np.zeros((400, 2), np.float32)
    truth = (np.arange(400) % 2).astype(np.int64)
    for kind in ("lightgbm", "boosting", "extra_trees"):
        one = teach(kind, rows, truth, np.ones(400), 2, 0)
        session = ort.InferenceSession(written(one, 1.0, 2).model, providers=["CPUExecutionProvider"])
        assert session.run(None, {"features": rows[:3]})[0] == pytest.approx(one(rows[:3]), abs=1e-6)
    assert LEAF < 0


def test_a_teacher_that_never_saw_a_label_is_refused() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    one = teach("linear", rows, (rows[:, 0] > 0).astype(np.int64), np.ones(300), 3, 0)
    with pytest.raises(LearnError, match="without one of the labels"):
        written(one, 1.0, 2)
