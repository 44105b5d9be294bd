"""The teacher that PyTorch fits: where it is installed it learns, weighs rows and needs PyTorch no more; where it is not, a recipe says how to get it."""

import importlib.util
import pickle

import numpy as np
import pytest

from appliance.errors import LearnError
from appliance.learn.teaching import available, teach

torch_is_here = importlib.util.find_spec("torch") is not None
fitted = pytest.mark.skipif(
    not torch_is_here, reason="PyTorch is not installed: pip install 'appliance[torch]'"
)


def ring(count: int = 3000):
    """Rows that no line divides: inside a ring or outside of it, on scales far apart."""
    rng = np.random.default_rng(3)
    plain = rng.normal(size=(count, 2))
    return (plain * [1.0, 1000.0] + [0.0, 400.0]).astype(np.float32), (np.hypot(*plain.T) > 1.1).astype(
        np.int64
    )


@pytest.mark.skipif(torch_is_here, reason="PyTorch is installed")
def test_a_recipe_that_names_it_is_refused_with_the_line_that_installs_it() -> None:
    with pytest.raises(LearnError, match="needs PyTorch, which is not installed") as told:
        available(("linear", "torch_mlp"))
    assert "pip install 'appliance[torch]'" in str(told.value.hint)
    rows, labels = ring(100)
    with pytest.raises(LearnError, match="needs PyTorch"):
        teach("torch_mlp", rows, labels, np.ones(100), 2, 0)
    assert available(("linear", "extra_trees")) == ["linear", "extra_trees"], "others need none of it"


@fitted
def test_it_learns_what_no_line_can_and_the_same_seed_gives_the_same_net() -> None:
    rows, labels = ring()
    one = teach("torch_mlp", rows[:2000], labels[:2000], np.ones(2000), 2, 5)
    said = one(rows[2000:])
    assert (said.argmax(axis=1) == labels[2000:]).mean() > 0.95
    again = teach("torch_mlp", rows[:2000], labels[:2000], np.ones(2000), 2, 5)
    assert np.array_equal(said, again(rows[2000:]))
    assert np.array_equal(said, pickle.loads(pickle.dumps(one))(rows[2000:]))
    assert b"torch._utils" not in pickle.dumps(one), "it is plain arrays"


@fitted
def test_rows_that_weigh_nothing_teach_nothing() -> None:
    rows, labels = ring()
    lie = np.arange(len(rows)) % 3 == 0
    weights = np.where(lie, 1e-6, 1.0)
    told = np.where(lie, 1 - labels, labels)
    said = teach("torch_mlp", rows, told, weights, 2, 0)(rows)
    assert (said.argmax(axis=1) == labels).mean() > 0.95
