"""The benchmark of the edge asks whom it says it asks: a bucket once a home with the cache, nobody beyond the budget, and hears only what is sure."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "cascade"))
import budgeting
import offloading
from scenes import Said, Scene

COUNT = 400


@pytest.fixture
def scene() -> Scene:
    """Two homes; the local model is always wrong and unsure on even rows, the teacher right, and unsure on every fourth."""
    place = np.arange(COUNT)
    labels = np.zeros(COUNT, np.int64)
    yes, rows = np.ones(COUNT, bool), np.zeros((COUNT, 1))
    top = np.linspace(0.5, 0.99, COUNT)
    local = Said(np.ones(COUNT, np.int64), place % 2 == 1, yes, yes, top, labels + 1, rows)
    edge = Said(labels, place % 4 > 0, yes, place != 7, top, labels, rows)
    home = (place >= COUNT // 2).astype(np.int64)
    return Scene("made up", labels, home, home, 60.0 * place, place // 10, local, edge, 1440.0)


def test_nobody_asked_is_the_local_model_and_always_is_the_teacher(scene) -> None:
    alone = offloading.local_only(scene)
    assert not alone.asked.any()
    assert (alone.word == scene.local.word).all()
    whole = offloading.always_edge(scene)
    assert (whole.word == np.where(scene.edge.known, 0, 1)).all()
    assert whole.asked.sum() == COUNT - 1


def test_the_least_sure_come_first_and_only_a_sure_answer_is_heard(scene) -> None:
    made = offloading.cascade(scene, 0.1, cached=False)
    assert made.answered.sum() == COUNT // 10
    # Of the uncertain rows those with the least probability: the first 80 rows' even ones.
    assert np.flatnonzero(made.answered).tolist() == list(range(0, 80, 2))
    bucket = scene.bucket[made.answered]
    assert made.asked.sum() == len(np.unique(bucket))
    first = np.flatnonzero(made.asked)
    for at in np.flatnonzero(made.answered):
        asked = first[scene.bucket[first] == scene.bucket[at]][0]
        assert made.word[at] == (0 if scene.edge.fits[asked] else 1)
        assert made.sure[at] == scene.edge.fits[asked]
    assert (made.word[~made.answered] == 1).all()


def test_a_bucket_is_asked_once_a_home_with_the_cache_and_again_without_when_another_came_between(
    scene,
) -> None:
    turns = Scene(**{**vars(scene), "bucket": np.arange(COUNT) // 10 % 2 + 2 * scene.home})
    assert offloading.cascade(turns, 1.0, cached=True).asked.sum() == 4
    assert offloading.cascade(turns, 1.0, cached=False).asked.sum() == COUNT // 10


def test_a_budget_is_never_passed_and_only_hard_cases_are_asked(scene) -> None:
    lonely = Scene(**{**vars(scene), "bucket": np.arange(COUNT)})
    for cases in (1.0, 5.0, 20.0):
        made = budgeting.under(lonely, cases, 10_000.0, 500, 400)
        assert 0 < made.asked.sum() <= COUNT * cases / 100
        assert not (made.asked & scene.local.sure).any()
        assert (made.asked == made.answered).all()
    assert not budgeting.under(lonely, 50.0, 0.0, 500, 400).asked.any()
    few = budgeting.under(lonely, 100.0, 0.02, 500, 400)
    assert 0 < few.asked.sum() * 900 <= 2 * 20_000 * COUNT * 60 / 86_400 + 2 * 20_000
