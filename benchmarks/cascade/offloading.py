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
    """What a channel says: `word` and `sure` (N,); `asked` (N,): the row went over the network; `answered` (N,): it got the teacher's answer, its
    own or a like row's; `wrong_hit` (N,): a like row's, which finds another label likeliest than its own answer would.
    """

    word: np.ndarray
    sure: np.ndarray
    asked: np.ndarray
    answered: np.ndarray
    wrong_hit: np.ndarray


def local_only(one: Scene) -> Outcome:
    """Nobody is asked."""
    return _offered(one, np.array([], np.int64), cached=False)


def always_edge(one: Scene) -> Outcome:
    """The teacher in place of the local model: its verdict on every row that it knows, sure or not; each row is asked."""
    edge, local = one.edge, one.local
    word = np.where(edge.known, edge.word, local.word)
    sure = np.where(edge.known, edge.sure, local.sure)
    return Outcome(word, sure, edge.known, edge.known, np.zeros(len(word), bool))


def ranked(one: Scene) -> np.ndarray:
    """The rows that can be offered, the least sure first: what the local verdict leaves uncertain, by its greatest probability, then the rest."""
    able = np.flatnonzero(one.local.known & one.edge.known)
    return able[np.lexsort((one.local.top[able], one.local.sure[able]))]


def cascade(one: Scene, share: float, *, cached: bool) -> Outcome:
    """The least sure rows are offered, `share` of all."""
    return _offered(one, ranked(one)[: round(share * len(one.labels))], cached=cached)


def at_random(one: Scene, share: float, rng: np.random.Generator) -> Outcome:
    """As many rows, chosen by chance."""
    able = np.flatnonzero(one.local.known & one.edge.known)
    count = min(round(share * len(one.labels)), len(able))
    return _offered(one, rng.choice(able, count, replace=False), cached=False)


def _offered(one: Scene, places: np.ndarray, *, cached: bool) -> Outcome:
    """With the cache, a bucket is asked once in a home; without, whenever it is another than the last: that one the core itself holds."""
    places = np.sort(places)
    answers = np.arange(len(one.labels))
    buckets = one.bucket[places]
    if cached:
        _, first, inverse = np.unique(buckets, return_index=True, return_inverse=True)
        answers[places] = places[first][inverse]
    elif len(places):
        begins = np.flatnonzero(np.concatenate([[True], buckets[1:] != buckets[:-1]]))
        answers[places] = np.repeat(places[begins], np.diff([*begins, len(places)]))
    offered = np.zeros(len(one.labels), bool)
    offered[places] = True
    return by_answers(one, offered, answers)


def by_answers(one: Scene, offered: np.ndarray, answers: np.ndarray) -> Outcome:
    """Return what follows where `offered` rows (N,) get the teacher's answers to the rows `answers` (N,).

    As in the core: the teacher's word stands where its own card finds it sure, on features that are like those it was trained on; else
    the local word stays as it is.
    """
    heard = offered & one.edge.fits[answers] & one.edge.like
    word = np.where(heard, one.edge.word[answers], one.local.word)
    asked = offered & (answers == np.arange(len(offered)))
    wrong = offered & ~asked & (one.edge.likeliest[answers] != one.edge.likeliest)
    return Outcome(word, one.local.sure | heard, asked, offered, wrong)
