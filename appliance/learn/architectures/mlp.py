"""A net of dense layers with ReLU between them, fitted by gradient descent. Never in here: how a step is taken."""

import itertools

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.learn.architectures import Architecture, Lesson, Scaling, Student
from appliance.learn.descent import Weights, descend
from appliance.learn.export import Graph, softmax

RATE = 0.01
DECAY = 0.02


class Net(msgspec.Struct, frozen=True):
    """Dense layers: weights (inputs, outputs) and biases, scaling folded in."""

    layers: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]

    @property
    def parameters(self) -> int:
        return sum(weights.size + bias.size for weights, bias in self.layers)

    @property
    def operations(self) -> int:
        return sum(weights.size for weights, _ in self.layers)

    def logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        values = rows
        for number, (weights, bias) in enumerate(self.layers):
            values = (np.maximum(values, 0.0) if number else values) @ weights + bias
        return values

    def cooled(self, temperature: float) -> Student:
        weights, bias = self.layers[-1]
        return Net((*self.layers[:-1], (weights / temperature, bias / temperature)))

    def write(self, graph: Graph, before: str) -> str:
        for number, (weights, bias) in enumerate(self.layers):
            before = graph.dense(graph.node("Relu", before) if number else before, weights, bias)
        return before


def fit(lesson: Lesson, size: int, seed: int) -> Student:
    """Return a net of one hidden layer of `size` units; of none where `size` is 0: a logistic regression."""
    scaling = Scaling.of(lesson)
    rng = np.random.default_rng(seed)
    widths = [lesson.rows.shape[1], *([size] if size else []), lesson.soft.shape[1]]
    weights: Weights = []
    for inputs, outputs in itertools.pairwise(widths):
        weights += [rng.normal(0.0, np.sqrt(2.0 / inputs), (inputs, outputs)), np.zeros(outputs)]
    scaled = Lesson(scaling(lesson.rows), lesson.soft, lesson.weights, steps=lesson.steps)
    fitted = descend(
        weights,
        _gradient,
        scaled,
        steps=lesson.steps,
        rate=RATE,
        decay=[DECAY, 0.0] * (len(widths) - 1),
        seed=seed,
    )
    pairs = list(zip(fitted[::2], fitted[1::2], strict=True))
    first, bias = pairs[0]
    pairs[0] = (first / scaling.scale[:, None], bias - (scaling.mean / scaling.scale) @ first)
    return Net(tuple(pairs))


def _gradient(
    weights: Weights, rows: NDArray[np.float64], soft: NDArray[np.float64], even: NDArray[np.float64]
) -> Weights:
    values = [rows]
    for at in range(0, len(weights), 2):
        made = values[-1] @ weights[at] + weights[at + 1]
        values.append(np.maximum(made, 0.0) if at + 2 < len(weights) else made)
    error = (softmax(values[-1]) - soft) * even[:, None] / len(rows)
    slopes: Weights = []
    for at in range(len(weights) - 2, -1, -2):
        before = values[at // 2]
        slopes = [before.T @ error, error.sum(axis=0), *slopes]
        if at:
            error = (error @ weights[at].T) * (before > 0)
    return slopes


ARCHITECTURE = Architecture("mlp", "net of one hidden layer", (8, 16, 32, 64), fit)
