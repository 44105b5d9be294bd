"""Owns watching a new version of a model beside the one that decides: how often they differ, and nothing else of it.

Never in here: anything that the watched version could change.
"""

from typing import TYPE_CHECKING

from appliance.core.features import FeatureSpec
from appliance.core.home import Classifier
from appliance.core.trust import Trust

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Shadowed:
    """The model `first`, which is the one that answers; `second`, of the same features and labels, answers too and is only counted.

    `rows` were asked of both; of these `differed` got another likeliest label.
    """

    def __init__(self, first: Classifier, second: Classifier) -> None:
        self._first = first
        self._second = second
        self.rows = 0
        self.differed = 0

    @property
    def spec(self) -> FeatureSpec:
        """The features that it takes."""
        return self._first.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """The words of its channel, in the order of its probabilities."""
        return self._first.labels

    @property
    def trust(self) -> Trust:
        """When to believe it."""
        return self._first.trust

    @property
    def asked(self) -> int:
        """Rows so far."""
        return self.rows

    def predict(self, rows: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Return what the first says."""
        said = self._first.predict(rows)
        other = self._second.predict(rows)
        for one, two in zip(said.tolist(), other.tolist(), strict=True):
            if one[0] == one[0]:
                self.rows += 1
                self.differed += one.index(max(one)) != two.index(max(two))
        return said
