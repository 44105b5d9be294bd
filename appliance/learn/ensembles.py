"""Owns writing a fitted teacher as ONNX: lines and nets as dense layers, forests and boosted trees as one TreeEnsembleClassifier.

Never in here: fitting one, or whether it is worth shipping. What is written says the same as what was fitted: scikit-learn and LightGBM hold
float32 features against float64 limits, so a limit is rounded down to the next float32, and no feature lies between the two.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.errors import LearnError
from appliance.learn.export import FEATURES, Graph
from appliance.learn.teaching import Taught

LEAST = 1e-9
"""A forest's share of votes below this counts as this much before its logarithm is taken, as where its temperature was chosen."""
LEAF = -1
NOTHING = float(np.float32(1e-35))
"""LightGBM takes what is no further from zero than this for zero (its kZeroThreshold)."""


class Tree(msgspec.Struct, frozen=True):
    """One tree, its root first: at `column` (n,) a feature is held against `limit` (n,); up to it one goes to `below` (n,), beyond to `above` (n,).

    Where `column` is LEAF, `value` (n, V) is what it says.
    """

    column: NDArray[np.int64]
    limit: NDArray[np.float64]
    below: NDArray[np.int64]
    above: NDArray[np.int64]
    value: NDArray[np.float64]

    @property
    def depth(self) -> int:
        """How many comparisons its longest path takes."""
        deep = np.zeros(len(self.column), np.int64)
        waiting = [0]
        while waiting:
            at = waiting.pop()
            if self.column[at] != LEAF:
                for child in (int(self.below[at]), int(self.above[at])):
                    deep[child] = deep[at] + 1
                    waiting.append(child)
        return int(deep.max())


class Written(msgspec.Struct, frozen=True):
    """A teacher as `model` (ONNX), how many numbers it has, and how many multiplications or comparisons an answer takes."""

    model: bytes
    parameters: int
    operations: int


def written(taught: Taught, temperature: float, features: int) -> Written:
    """Return the teacher as ONNX, from `features` (N, F) as they are to probabilities (N, L) whose logits are divided by `temperature`.

    Raises:
        LearnError: it does not know all labels.
    """
    if taught.known != tuple(range(taught.labels)):
        raise LearnError(
            "the teacher was fitted without one of the labels", hint="give more rows of it, or leave it out"
        )
    graph = Graph()
    logits, parameters, operations = _KINDS[taught.kind](graph, taught.model, temperature)
    return Written(graph.finished(logits, features, taught.labels), parameters, operations)


_Made = tuple[str, int, int]


def _dense(
    graph: Graph, model: Any, layers: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], cold: float
) -> _Made:
    """Dense layers behind a StandardScaler, which is folded into the first; one logit becomes two, the first of them 0."""
    scaler = model[0]
    folded = [list(pair) for pair in layers]
    first, bias = folded[0]
    folded[0] = [first / scaler.scale_[:, None], bias - (scaler.mean_ / scaler.scale_) @ first]
    last, bias = folded[-1]
    if last.shape[1] == 1:
        last, bias = np.hstack([0 * last, last]), np.hstack([0 * bias, bias])
    folded[-1] = [last / cold, bias / cold]
    before = FEATURES
    for number, (weights, shift) in enumerate(folded):
        before = graph.dense(graph.node("Relu", before) if number else before, weights, shift)
    return before, sum(w.size + b.size for w, b in folded), sum(w.size for w, _ in folded)


def _linear(graph: Graph, model: Any, cold: float) -> _Made:
    line = model[-1]
    return _dense(graph, model, [(line.coef_.T, line.intercept_)], cold)


def _net(graph: Graph, model: Any, cold: float) -> _Made:
    return _dense(graph, model, list(zip(model[-1].coefs_, model[-1].intercepts_, strict=True)), cold)


def _forest(graph: Graph, model: Any, cold: float) -> _Made:
    trees = []
    for one in model.estimators_:
        inner = one.tree_
        votes = inner.value[:, 0, :] / inner.value[:, 0, :].sum(axis=1, keepdims=True)
        column = np.where(inner.children_left < 0, LEAF, inner.feature)
        trees.append(
            Tree(
                column,
                inner.threshold,
                inner.children_left,
                inner.children_right,
                votes / len(model.estimators_),
            )
        )
    least, most = (graph.constant(np.array(value)) for value in (LEAST, 1.0))
    shares = graph.node("Clip", _ensemble(graph, trees, len(model.classes_)), least, most)
    logits = graph.node("Mul", graph.node("Log", shares), graph.constant(np.array([1.0 / cold])))
    return logits, *_counts(trees)


def _boosting(graph: Graph, model: Any, cold: float) -> _Made:
    start = model._baseline_prediction.ravel()  # noqa: SLF001  scikit-learn tells its trees nowhere else
    trees = []
    for number, one in enumerate(tree for step in model._predictors for tree in step):  # noqa: SLF001
        nodes = one.nodes
        column = np.where(nodes["is_leaf"] > 0, LEAF, nodes["feature_idx"].astype(np.int64))
        value = np.zeros((len(nodes), len(start)))
        value[:, number % len(start)] = nodes["value"] / cold
        trees.append(
            Tree(
                column,
                nodes["num_threshold"],
                nodes["left"].astype(np.int64),
                nodes["right"].astype(np.int64),
                value,
            )
        )
    whole = np.hstack([0.0, start]) if len(start) == 1 else start
    logits = graph.node(
        "Add", _ensemble(graph, trees, len(model.classes_)), graph.constant(whole[None] / cold)
    )
    return logits, *_counts(trees)


def _lightgbm(graph: Graph, model: Any, cold: float) -> _Made:
    text = model.booster_.model_to_string()
    outputs = model.booster_.num_model_per_iteration()
    trees = []
    for number, part in enumerate(text.split("\nTree=")[1:]):
        tree = _read(part.split("\n\n")[0])
        value = np.zeros((len(tree.value), outputs))
        value[:, number % outputs] = tree.value[:, 0] / cold
        trees.append(msgspec.structs.replace(tree, value=value))
    return _ensemble(graph, trees, len(model.classes_)), *_counts(trees)


def _read(part: str) -> Tree:
    """Read one tree of LightGBM's own text: inner nodes count from 0, leaves from -1 downwards."""
    told = dict(re.findall(r"^(\w+)=(.*)$", part, re.MULTILINE))

    def numbers(name: str) -> NDArray[np.float64]:
        return np.array(told.get(name, "").split(), dtype=np.float64)

    leaves = numbers("leaf_value")
    inner = len(leaves) - 1
    if int(told.get("num_cat", "0")):
        raise LearnError("the teacher has trees over categories", hint="features are numbers: train anew")

    def children(name: str) -> NDArray[np.int64]:
        found = numbers(name).astype(np.int64)
        return np.concatenate([np.where(found < 0, inner + ~found, found), np.zeros(len(leaves), np.int64)])

    return Tree(
        np.concatenate([numbers("split_feature").astype(np.int64), np.full(len(leaves), LEAF)]),
        np.concatenate([_around_zero(numbers("threshold")), np.zeros(len(leaves))]),
        children("left_child"),
        children("right_child"),
        np.concatenate([np.zeros(inner), leaves])[:, None],
    )


def _around_zero(limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move limits that lie where all counts as zero to its edge: on that side of it on which zero is."""
    within = np.abs(limits) <= NOTHING
    below = float(np.nextafter(np.float32(-NOTHING), np.float32(-1)))
    return np.where(within, np.where(limits < 0, below, NOTHING), limits)


def _ensemble(graph: Graph, trees: Sequence[Tree], labels: int) -> str:
    """Append the trees; return the name of their sums (N, L). Of one value a leaf the sums are (0, its sum): logits of two labels."""
    shift = 1 if trees[0].value.shape[1] == 1 < labels else 0
    nodes: dict[str, list[Any]] = {
        name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    }  # fmt: skip
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees):
        for at in range(len(tree.column)):
            leaf = tree.column[at] == LEAF
            row = (
                number, at, 0 if leaf else int(tree.column[at]), 0.0 if leaf else narrowed(float(tree.limit[at])),
                "LEAF" if leaf else "BRANCH_LEQ", 0 if leaf else int(tree.below[at]), 0 if leaf else int(tree.above[at]),
            )  # fmt: skip
            for name, value in zip(nodes, row, strict=True):
                nodes[name].append(value)
            # The first tree has a word on every label, else one that nobody spoke of would count as unknown, not as 0.
            said = [*([0.0] * shift), *tree.value[at].tolist()] if leaf else []
            for label, weight in enumerate(said):
                if weight or not number:
                    for name, value in zip(leaves, (number, at, label, weight), strict=True):
                        leaves[name].append(value)
    attributes: dict[str, Any] = {
        "classlabels_int64s": list(range(labels)),
        "post_transform": "NONE",
        **{f"nodes_{name}": values for name, values in nodes.items()},
        **{f"class_{name}": values for name, values in leaves.items()},
    }
    return graph.node("TreeEnsembleClassifier", FEATURES, second=True, domain="ai.onnx.ml", **attributes)


def narrowed(limit: float) -> float:
    """Return the greatest float32 that is not above `limit`: what is at most the one is at most the other, for every float32."""
    near = np.float32(np.clip(limit, -3.4028234663852886e38, 3.4028234663852886e38))
    return float(near if float(near) <= limit else np.nextafter(near, np.float32(-np.inf)))


def _counts(trees: Sequence[Tree]) -> tuple[int, int]:
    inner = sum(int((tree.column != LEAF).sum()) for tree in trees)
    leaves = sum(int((tree.column == LEAF).sum()) * tree.value.shape[1] for tree in trees)
    return 2 * inner + leaves, sum(tree.depth for tree in trees)


_KINDS: dict[str, Callable[[Graph, Any, float], _Made]] = {
    "linear": _linear,
    "mlp": _net,
    "forest": _forest,
    "extra_trees": _forest,
    "boosting": _boosting,
    "lightgbm": _lightgbm,
    "torch_mlp": _net,
}
