"""Small boosted trees of depth two, fitted on soft labels by Newton steps, written without branches.

A tree of depth two is w0 + w1 a + w2 ab + w3 c + w4 ac with a, b, c its three comparisons: elementwise products, no
operator beyond the plain ones. (Friedman 2001.) Never in here: larger trees; those are teachers.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from appliance.learn.architectures import Architecture, Lesson, Student
from appliance.learn.export import Graph, softmax

SHRINK = 0.25
MAX_ROWS = 10_000
"""Of a lesson; more are thinned out by chance."""
LEAST_SHARE = 0.005
"""A leaf holds at least so much of the rows' weight."""


class Trees(msgspec.Struct, frozen=True):
    """`columns` and `limits` (3, T): what each of a tree's comparisons looks at and from where on it is true; `leaves` (5, T, L): its w."""

    columns: NDArray[np.int64]
    limits: NDArray[np.float64]
    leaves: NDArray[np.float64]
    start: NDArray[np.float64]

    @property
    def parameters(self) -> int:
        return int(
            self.columns.size + self.limits.size + self.leaves.size - self.leaves[0].size + self.start.size
        )

    @property
    def operations(self) -> int:
        return int(self.columns.size + self.leaves[1:].size + 2 * self.columns.shape[1])

    def logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        above = [(rows[:, self.columns[at]] > self.limits[at]).astype(np.float64) for at in range(3)]
        a, b, c = above
        total: NDArray[np.float64] = np.tile(self.start + self.leaves[0].sum(axis=0), (len(rows), 1))
        for part, leaves in zip((a, a * b, c, a * c), self.leaves[1:], strict=True):
            total = total + part @ leaves
        return total

    def cooled(self, temperature: float) -> Student:
        return Trees(self.columns, self.limits, self.leaves / temperature, self.start / temperature)

    def write(self, graph: Graph, before: str) -> str:
        above = []
        for at in range(3):
            picked = graph.node("Gather", before, graph.constant(self.columns[at]), axis=1)
            higher = graph.node("Greater", picked, graph.constant(self.limits[at]))
            above.append(graph.node("Cast", higher, to=1))
        a, b, c = above
        both, other = graph.node("Mul", a, b), graph.node("Mul", a, c)
        logits = graph.dense(a, self.leaves[1], self.start + self.leaves[0].sum(axis=0))
        for part, leaves in zip((both, c, other), self.leaves[2:], strict=True):
            logits = graph.node("Add", logits, graph.node("MatMul", part, graph.constant(leaves)))
        return logits


def fit(lesson: Lesson, size: int, seed: int) -> Student:
    """Return `size` trees a label beyond the first."""
    if len(lesson.rows) > MAX_ROWS:
        rng = np.random.default_rng(seed)
        picked = np.sort(rng.choice(len(lesson.rows), MAX_ROWS, replace=False))
        lesson = Lesson(lesson.rows[picked], lesson.soft[picked], lesson.weights[picked])
    rows = lesson.rows.astype(np.float32)
    labels = lesson.soft.shape[1]
    prior = np.clip(np.average(lesson.soft, axis=0, weights=lesson.weights), 1e-3, 1.0)
    start = np.log(prior / prior[0])
    now = np.tile(start, (len(rows), 1))
    columns, limits, leaves = [], [], []
    for number in range(size):
        said = softmax(now)
        for label in range(1, labels):
            slope = lesson.soft[:, label] - said[:, label]
            bend = np.maximum(said[:, label] * (1 - said[:, label]), 0.02)
            tree = DecisionTreeRegressor(
                max_depth=2, min_weight_fraction_leaf=LEAST_SHARE, random_state=seed + number
            ).fit(rows, slope / bend, sample_weight=lesson.weights * bend)
            where, above, values = _unrolled(tree)
            columns.append(where)
            limits.append(above)
            weights = np.zeros((5, labels))
            weights[:, label] = SHRINK * values
            leaves.append(weights)
            now[:, label] += SHRINK * tree.predict(rows)
    # Comparisons are made in float32 on the device: the same limits are used here.
    narrow = np.array(limits).T.astype(np.float32).astype(np.float64)
    return Trees(np.array(columns).T, narrow, np.stack(leaves, axis=1), start)


def _unrolled(tree: DecisionTreeRegressor) -> tuple[list[int], list[float], NDArray[np.float64]]:
    """Return the columns and limits of the root, the node above its limit and the one below, and w0 to w4."""
    inner = tree.tree_

    def node(at: int) -> tuple[int, float, float, float]:
        if inner.children_left[at] < 0:
            value = float(inner.value[at].ravel()[0])
            return 0, np.inf, value, value
        low, high = (
            float(inner.value[child].ravel()[0])
            for child in (inner.children_left[at], inner.children_right[at])
        )
        return int(inner.feature[at]), float(inner.threshold[at]), low, high

    if inner.children_left[0] < 0:
        value = float(inner.value[0].ravel()[0])
        return [0, 0, 0], [1e30, 1e30, 1e30], np.array([value, 0.0, 0.0, 0.0, 0.0])
    b_column, b_limit, b_low, b_high = node(int(inner.children_right[0]))
    c_column, c_limit, c_low, c_high = node(int(inner.children_left[0]))
    weights = np.array([c_low, b_low - c_low, b_high - b_low, c_high - c_low, c_low - c_high])
    where = [int(inner.feature[0]), b_column, c_column]
    return where, [float(inner.threshold[0]), min(b_limit, 1e30), min(c_limit, 1e30)], weights


ARCHITECTURE = Architecture("trees", "boosted trees of depth two", (12, 24, 48), fit)
