"""A depthwise convolution along time: each channel's last two hours with kernels of its own, then a dense layer.

Its features are a series of `change` per channel; kernels do not overlap, so a reshape and a product of matrices are a convolution.
Never in here: a channel's other features; they go to the dense layer as they are.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.learn.architectures import Architecture, Lesson, Scaling, Student
from appliance.learn.descent import Weights, descend
from appliance.learn.export import Graph, softmax
from appliance.learn.features import SERIES

RATE = 0.01
DECAY = 0.02
WIDTH = 4
"""Points of the series that a kernel sees."""
POINTS = len(SERIES)


class Convolution(msgspec.Struct, frozen=True):
    """`kernels` (C, WIDTH, K) and their biases (C, 1, K), scaling folded in, over the first C * POINTS features; the dense layer's
    weights (C * patches * K + rest, L) and bias.
    """

    kernels: NDArray[np.float64]
    biases: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @property
    def parameters(self) -> int:
        return int(self.kernels.size + self.biases.size + self.weights.size + self.bias.size)

    @property
    def operations(self) -> int:
        return int(self.kernels.size * (POINTS // WIDTH) + self.weights.size)

    def logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        channels = len(self.kernels)
        split = channels * POINTS
        patches = rows[:, :split].reshape(len(rows), channels, POINTS // WIDTH, WIDTH)
        seen = np.maximum(patches @ self.kernels + self.biases, 0.0).reshape(len(rows), -1)
        return np.concatenate([seen, rows[:, split:]], axis=1) @ self.weights + self.bias

    def cooled(self, temperature: float) -> Student:
        return Convolution(self.kernels, self.biases, self.weights / temperature, self.bias / temperature)

    def write(self, graph: Graph, before: str) -> str:
        channels, _, kinds = self.kernels.shape
        split = channels * POINTS
        series = graph.node("Gather", before, graph.constant(np.arange(split)), axis=1)
        shape = graph.constant(np.array([-1, channels, POINTS // WIDTH, WIDTH]))
        patches = graph.node("Reshape", series, shape)
        seen = graph.node("MatMul", patches, graph.constant(self.kernels))
        seen = graph.node("Relu", graph.node("Add", seen, graph.constant(self.biases)))
        size = channels * (POINTS // WIDTH) * kinds
        flat = graph.node("Reshape", seen, graph.constant(np.array([-1, size])))
        logits = graph.dense(flat, self.weights[:size], self.bias)
        if len(self.weights) > size:
            rest = graph.node(
                "Gather", before, graph.constant(np.arange(split, split + len(self.weights) - size)), axis=1
            )
            logits = graph.node(
                "Add", logits, graph.node("MatMul", rest, graph.constant(self.weights[size:]))
            )
        return logits


def fit(lesson: Lesson, size: int, seed: int) -> Student:
    """Return a convolution of `size` kernels a channel. The series come first among the features, channel by channel."""
    channels = lesson.series
    split = channels * POINTS
    rest, labels = lesson.rows.shape[1] - split, lesson.soft.shape[1]
    scaling = Scaling.of(lesson)
    # One scale a channel: its points are one series.
    mean, scale = np.zeros_like(scaling.mean), scaling.scale.copy()
    mean[split:] = scaling.mean[split:]
    for channel in range(channels):
        part = slice(channel * POINTS, (channel + 1) * POINTS)
        scale[part] = np.sqrt(np.mean(scaling.scale[part] ** 2))
    rng = np.random.default_rng(seed)
    patches = POINTS // WIDTH
    inputs = channels * patches * size + rest
    start: Weights = [
        rng.normal(0.0, np.sqrt(2.0 / WIDTH), (channels, WIDTH, size)),
        np.zeros((channels, 1, size)),
        rng.normal(0.0, np.sqrt(1.0 / inputs), (inputs, labels)),
        np.zeros(labels),
    ]

    def gradient(
        weights: Weights, rows: NDArray[np.float64], soft: NDArray[np.float64], even: NDArray[np.float64]
    ) -> Weights:
        kernels, biases, dense, bias = weights
        cut = rows[:, :split].reshape(len(rows), channels, patches, WIDTH)
        seen = np.maximum(cut @ kernels + biases, 0.0)
        flat = np.concatenate([seen.reshape(len(rows), -1), rows[:, split:]], axis=1)
        error = (softmax(flat @ dense + bias) - soft) * even[:, None] / len(rows)
        back = (error @ dense.T)[:, : inputs - rest].reshape(seen.shape) * (seen > 0)
        return [
            np.einsum("ncpw,ncpk->cwk", cut, back),
            back.sum(axis=(0, 2))[:, None, :],
            flat.T @ error,
            error.sum(axis=0),
        ]

    scaled = Lesson((lesson.rows - mean) / scale, lesson.soft, lesson.weights, channels, lesson.steps)
    kernels, biases, dense, bias = descend(
        start, gradient, scaled, steps=lesson.steps, rate=RATE, decay=[DECAY, 0.0, DECAY, 0.0], seed=seed
    )
    by_channel = scale[:split:POINTS]
    folded = dense.copy()
    folded[inputs - rest :] /= scale[split:, None]
    shifted = bias - (mean[split:] / scale[split:]) @ dense[inputs - rest :]
    return Convolution(kernels / by_channel[:, None, None], biases, folded, shifted)


ARCHITECTURE = Architecture("cnn", "depthwise convolution along two hours", (4, 8), fit, series=True)
