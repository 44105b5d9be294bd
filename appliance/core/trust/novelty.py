"""Owns novelty: how far a row of features lies from all that a model was trained on.

A shrunk Mahalanobis distance over features on a scale that is linear near zero and logarithmic beyond, and a box around each feature
by itself. Never in here: what is unknown (that row says nothing at all), or what follows from being novel.
"""

from functools import cached_property
from math import inf, isfinite
from operator import le
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLEARLY = 0.999
"""A squared length below this is below 1, however float32 sums were ordered."""
OUTSIDE = 10.0
"""What one width beyond the box weighs in the score."""


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Where a model knows its way about, by feature (F,) in the card's order and units.

    `low` and `high` are the box. `bend` is the scale u = asinh(x / bend), `centre` the mean of u, `whitening` the upper triangle of the
    matrix W (F, F), row by row, that makes v = (u - centre) W of covariance one; `limit` is the squared length of v that ends the region.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    bend: tuple[float, ...]
    centre: tuple[float, ...]
    whitening: tuple[float, ...]
    limit: float

    @cached_property
    def _folded(self) -> "tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], np.ufunc]":
        """1 / bend (F,), the whitening (F, F) by which the limit is 1, the centre (F,) whitened; and asinh."""
        import numpy as np  # noqa: PLC0415  a home without a model has no use for it

        size = len(self.bend)
        matrix = np.zeros((size, size))
        matrix[np.triu_indices(size)] = self.whitening
        matrix /= self.limit**0.5
        shift = np.array(self.centre) @ matrix
        return (
            (1 / np.array(self.bend)).astype(np.float32),
            matrix.astype(np.float32),
            shift.astype(np.float32),
            np.arcsinh,
        )

    def _length(self, row: "NDArray[np.floating]") -> float:
        per_bend, matrix, shift, arcsinh = self._folded
        # `dot` and not @, which takes twice as long to begin with.
        v = arcsinh(row * per_bend).dot(matrix) - shift
        return float(v.dot(v))

    def unlike(self, row: "NDArray[np.floating]") -> int | None:
        """Return None where the features (F,) lie inside; else the place of the one that lies outside its box, or -1: only all together
        are unlike anything seen. Costs a few microseconds.
        """
        values = row.tolist()
        if all(map(le, self.low, values)) and all(map(le, values, self.high)):
            return None if self._length(row) <= 1.0 else -1
        return next(
            place for place, value in enumerate(values) if not self.low[place] <= value <= self.high[place]
        )

    def unlike_each(self, rows: "NDArray[np.float32]") -> list[int | None]:
        """Return for each row of features (N, F) what `unlike` says: many cost little more than one."""
        if len(rows) == 1:
            return [self.unlike(rows[0])]
        per_bend, matrix, shift, arcsinh = self._folded
        v = arcsinh(rows * per_bend).dot(matrix) - shift
        found: list[int | None] = []
        for row, values, length in zip(rows, rows.tolist(), (v * v).sum(axis=1).tolist(), strict=True):
            # Many rows are summed in another order than one: who lies at the very edge is asked by itself, as a replay does.
            inside = length < CLEARLY and all(map(le, self.low, values)) and all(map(le, values, self.high))
            found.append(None if inside else self.unlike(row))
        return found

    def score(self, row: "NDArray[np.floating]") -> float:
        """Return how novel the features (F,) are: above 1 they lie outside; inf where one is not finite."""
        values = row.tolist()
        if not all(map(isfinite, values)):
            return inf
        beyond = max(
            max(low - value, value - high) / ((high - low) or 1.0)
            for low, value, high in zip(self.low, values, self.high, strict=True)
        )
        # In float64: nothing that a float32 holds is too far out for it.
        length = self._length(row.astype(float))
        return length if beyond <= 0 else max(length, 1.0) + OUTSIDE * beyond

    def broken(self, features: int) -> str | None:
        """Return what is wrong with it for a model of so many `features`, or None."""
        lengths = {len(self.low), len(self.high), len(self.bend), len(self.centre)}
        if lengths != {features} or len(self.whitening) != features * (features + 1) // 2:
            return "the novelty region has other sizes than the card"
        numbers = (*self.low, *self.high, *self.bend, *self.centre, *self.whitening, self.limit)
        if not all(map(isfinite, numbers)) or min(self.bend) <= 0 or self.limit <= 0:
            return "the novelty region holds numbers that are none"
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            return "the novelty region has a box without room"
        return None
