"""Owns what a refit starts from: one home's rows, labels and days, as arrays.

Never in here: where they come from.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray


class Material(msgspec.Struct, frozen=True):
    """What a home knows: `rows` (N, F) float32 of times that were labelled, the shipped model's `probabilities` (N, L) for them, the
    `labels` (N,) as numbers, and the `days` (N,) that they are of. `contradicted` rows were told both ways and are left out.

    `in_force` (N, L) is what the version in force says of them, where that is not `probabilities` after a head.
    `lived` (M, F) are rows of ordinary time, labelled or not, and `lived_days` (M,) their days: for the novelty region.
    """

    rows: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    days: NDArray[np.int64]
    lived: NDArray[np.float32]
    lived_days: NDArray[np.int64]
    contradicted: int = 0
    in_force: NDArray[np.float64] | None = None
