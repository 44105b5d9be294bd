"""Owns what a home made of a model: a head, as a few numbers beside the model's bytes; or other bytes, and where these come from.

Never in here: finding the numbers (refit), or training (learn).
"""

from math import isfinite

import msgspec
import numpy as np
from numpy.typing import NDArray


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An affine map of logits: softmax(`scale` log p + `bias`), `bias` by label (L,)."""

    scale: float
    bias: tuple[float, ...]

    def broken(self, labels: int) -> str | None:
        """Return what is wrong with it for a model of so many `labels`, or None."""
        if len(self.bias) != labels or not all(map(isfinite, (self.scale, *self.bias))) or self.scale <= 0:
            return "the head does not fit the card"
        return None

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probabilities (N, L) after the head; a row that is not finite gives NaN."""
        logits = self.scale * np.log(np.clip(probabilities.astype(np.float64), 1e-6, None)) + np.array(
            self.bias
        )
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        said: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
        return said


class Refitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a home made its own version, the `number`-th, `at` a time, of the model with the digest `base`: from `rows` labelled rows of
    `days` days, the last of which has the proleptic ordinal `last_day`.
    """

    number: int
    base: str
    at: str
    days: int
    rows: int
    head: Head
    last_day: int = 0


class Retrained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a home trained its own version, the `number`-th, `at` a time, in the place of the model with the digest `base`, whose features and labels
    it has: from `rows` labelled rows of `days` days of its own, the last of which has the proleptic ordinal `last_day`, beside `lessons` rows of the
    recipe with the digest `recipe`; its own rows weighed `share` of all.
    """

    number: int
    base: str
    at: str
    days: int
    rows: int
    recipe: str
    lessons: int
    share: float
    last_day: int = 0
