"""Kinds of small model, one a file, found by being there: each is fitted on soft labels and writes itself as plain ONNX.

A module here has `ARCHITECTURE`. Never in here: which one is chosen, or what it is judged by.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.registry import discover
from appliance.learn.export import Graph


class Student(Protocol):
    """A fitted model. `rows` are features (N, F) as they are: it scales them itself."""

    @property
    def parameters(self) -> int:
        """How many numbers it has."""

    @property
    def operations(self) -> int:
        """How many multiplications (or comparisons) one answer takes."""

    def logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return logits (N, L)."""

    def cooled(self, temperature: float) -> "Student":
        """Return the same with its logits divided by `temperature`."""

    def write(self, graph: Graph, before: str) -> str:
        """Append its nodes to `graph` from the features `before` on; return the name of its logits."""


class Lesson(msgspec.Struct):
    """What a student is fitted on: features (N, F), what they should be answered with (N, L) summing to one, weights (N,).

    `series`: so many channels' series of `change` come first among the features. `steps` of descent are what a fit may cost.
    """

    rows: NDArray[np.float64]
    soft: NDArray[np.float64]
    weights: NDArray[np.float64]
    series: int = 0
    steps: int = 1500


class Architecture(msgspec.Struct, frozen=True):
    """A kind of small model.

    `sizes` are what may be tried, smallest first; `fit(lesson, size, seed)` gives a student.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    fit: Callable[[Lesson, int, int], Student]
    series: bool = False
    """Whether it looks along a series of `change` features."""


def architectures() -> Mapping[str, Architecture]:
    """Return every architecture by its name."""
    from appliance.learn import architectures as here  # noqa: PLC0415

    found = [module.ARCHITECTURE for module in discover(here, "ARCHITECTURE").values()]
    return {one.name: one for one in found}


class Scaling(msgspec.Struct, frozen=True):
    """How features are made alike: less `mean` (F,), over `scale` (F,)."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, lesson: Lesson) -> "Scaling":
        """Return the scaling of a lesson's rows. A feature that never changes is scaled to nothing."""
        mean = np.average(lesson.rows, axis=0, weights=lesson.weights)
        deviation = np.sqrt(np.average((lesson.rows - mean) ** 2, axis=0, weights=lesson.weights))
        return cls(mean, np.where(deviation > 1e-9, deviation, np.inf))

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rows, scaled."""
        return (rows - self.mean) / self.scale
