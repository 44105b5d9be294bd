"""Owns who is asked: which rows are offered to the teacher, which of them go over the network, and whose word stands then.

Never in here: a truth. A row is chosen by what the local model says of it, never by whether that is right.
"""

from dataclasses import dataclass

import numpy as np
from scenes import Scene

SHARES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.50)
DRAWS = 20
"""So often the random baseline is drawn."""


@dataclass(frozen=True)
class Outcome:
    """Whose word stands: `word` and `sure` (N,); `asked` (N,): the row went over the network; `answered` (N,): the teacher's word stands;
    `wrong_hit` (N,): a cached answer stands that the teacher itself would not give.
    """

    word: np.ndarray
    sure: np.ndarray
    asked: np.ndarray
    answered: np.ndarray
    wrong_hit: np.ndarray


def local_only(one: Scene) -> Outcome:
    """Nobody is asked."""
    return _answered(one, np.zeros(len(one.labels), bool), cached=False)


def always_edge(one: Scene) -> Outcome:
    """The teacher is asked about every row that it can answer."""
    return _answered(one, one.edge.known, cached=False)


def cascade(one: Scene, share: float, *, cached: bool) -> Outcome:
    """The least sure rows are offered, `share` of all: first what the local verdict leaves uncertain, by its greatest probability, then the
    rest by the same. With the cache a row whose bucket was answered before is not asked again.
    """
    able = np.flatnonzero(one.local.known & one.edge.known)
    order = able[np.lexsort((one.local.top[able], one.local.sure[able]))]
    return _offered(one, order[: round(share * len(one.labels))], cached=cached)


def at_random(one: Scene, share: float, rng: np.random.Generator) -> Outcome:
    """As many rows, chosen by chance."""
    able = np.flatnonzero(one.local.known & one.edge.known)
    count = min(round(share * len(one.labels)), len(able))
    return _offered(one, rng.choice(able, count, replace=False), cached=False)


def _offered(one: Scene, places: np.ndarray, *, cached: bool) -> Outcome:
    offered = np.zeros(len(one.labels), bool)
    offered[places] = True
    return _answered(one, offered, cached=cached)


def _answered(one: Scene, offered: np.ndarray, *, cached: bool) -> Outcome:
    answers = np.arange(len(offered))
    asked = offered.copy()
    if cached and offered.any():
        places = np.flatnonzero(offered)
        _, first, inverse = np.unique(one.bucket[places], return_index=True, return_inverse=True)
        answers[places] = places[first][inverse]
        asked = offered & (answers == np.arange(len(offered)))
    return by_answers(one, offered, asked, answers)


def by_answers(one: Scene, offered: np.ndarray, asked: np.ndarray, answers: np.ndarray) -> Outcome:
    """Return what follows where `offered` rows (N,) get the teacher's answer to the rows `answers` (N,), of which `asked` are their own."""
    word = np.where(offered, one.edge.word[answers], one.local.word)
    sure = np.where(offered, one.edge.sure[answers], one.local.sure)
    wrong = offered & ~asked & (one.edge.word[answers] != one.edge.word)
    return Outcome(word, sure, asked, offered, wrong)
