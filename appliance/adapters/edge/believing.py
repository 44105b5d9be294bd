"""Owns what is believed of an edge's answers: probabilities that are some, beside a golden row that came back as its bundle says.

Never in here: asking.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.adapters.edge.failing import Unanswered
from appliance.adapters.edge.terms import Teacher

MOST_GOLDEN = 8
"""Golden rows of one check: few bytes, and no two models agree on so many."""
TOLERANCE = 1e-3
"""Between a golden row's probabilities and the edge's: another machine sums in another order, perhaps in float16."""


def golden(teacher: Teacher) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the rows (n, F) and probabilities (n, L) of the teacher's golden rows that are asked: of each label the surest, then others.

    n is MOST_GOLDEN at most, and 1 at least.
    """
    said = np.asarray(teacher.golden_probabilities, np.float32)
    surest = np.argsort(-said, axis=0, kind="stable").ravel()  # each label's, by turns
    chosen = list(dict.fromkeys(int(row) for row in surest))[:MOST_GOLDEN]
    return np.asarray(teacher.golden_rows, np.float32)[chosen], said[chosen]


def probabilities(said: NDArray[np.float32], name: str) -> None:
    """Raise Unanswered where what was `said` (N, L) of rows are no probabilities."""
    if not np.isfinite(said).all():
        raise Unanswered("not_finite", f"the edge's {name} answers with what is no number", whose="row")
    if (said < 0).any() or (said > 1).any() or (np.abs(said.sum(axis=1) - 1) > TOLERANCE).any():
        raise Unanswered("no_probabilities", f"the edge's {name} answers with no probabilities", whose="row")


def same(said: NDArray[np.float32], due: NDArray[np.float32], labels: Sequence[str], name: str) -> None:
    """Raise Unanswered where what the edge `said` (n, L) of golden rows is not what is `due`, and say what may be wrong."""
    if float(np.abs(said - due).max()) <= TOLERANCE:
        return
    ordered = np.abs(np.sort(said, axis=1) - np.sort(due, axis=1)).max() <= TOLERANCE
    if ordered:
        what = f"the edge's {name} has its labels in another order than {', '.join(labels)}"
    else:
        what = f"the edge runs another model as {name}"
    off = float(np.abs(said - due).max())
    raise Unanswered("golden", f"{what}: golden rows are off by {off:.3g}", whose="model")
