"""Owns teachers: models as large as need be, which no device runs. Each gives probabilities for rows of features.

Never in here: choosing one. Where LightGBM is not installed, scikit-learn's boosting takes its place; PyTorch is loaded by a recipe that names it.
"""

import importlib.util
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from appliance.errors import LearnError
from appliance.learn.torch_net import TorchNet, needs_torch

MAX_ROWS = 25_000
"""Of a lesson; more are thinned out by chance. Rows a minute apart say little that their neighbours don't."""


def _forest(seed: int) -> Any:
    return RandomForestClassifier(
        50, min_samples_leaf=15, max_features="sqrt", max_samples=0.4, random_state=seed, n_jobs=1
    )


def _extra_trees(seed: int) -> Any:
    return ExtraTreesClassifier(80, min_samples_leaf=10, max_features=0.3, random_state=seed, n_jobs=1)


def _boosting(seed: int) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.08,
        max_leaf_nodes=15,
        min_samples_leaf=100,
        l2_regularization=5.0,
        random_state=seed,
    )


def _lightgbm(seed: int) -> Any:
    from lightgbm import LGBMClassifier  # noqa: PLC0415

    return LGBMClassifier(
        n_estimators=80, learning_rate=0.08, num_leaves=15, min_child_samples=100, reg_lambda=5.0, subsample=0.7, subsample_freq=1,
        colsample_bytree=0.5, random_state=seed, n_jobs=1, deterministic=True, verbose=-1,
    )  # fmt: skip


def _linear(seed: int) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500, random_state=seed))


def _mlp(seed: int) -> Any:
    return make_pipeline(
        StandardScaler(),
        MLPClassifier((64, 32), alpha=1.0, max_iter=15, batch_size=256, random_state=seed, tol=0.0),
    )


def _torch_mlp(seed: int) -> Any:
    return make_pipeline(StandardScaler(), TorchNet(seed))


TEACHERS: dict[str, Callable[[int], Any]] = {
    "linear": _linear,
    "mlp": _mlp,
    "forest": _forest,
    "extra_trees": _extra_trees,
    "boosting": _boosting,
    "lightgbm": _lightgbm,
    "torch_mlp": _torch_mlp,
}
"""Every teacher by its name."""
WEIGHTED = {
    "linear": "logisticregression__sample_weight",
    "forest": "sample_weight",
    "extra_trees": "sample_weight",
    "boosting": "sample_weight",
    "lightgbm": "sample_weight",
    "torch_mlp": "torchnet__sample_weight",
}
"""Teachers that can be told what each row weighs, and how that argument is called; the others are fitted on rows drawn by weight."""


class Taught:
    """A fitted teacher: the `model` of scikit-learn, LightGBM or PyTorch, and how many `labels` it should know."""

    def __init__(self, kind: str, model: Any, labels: int) -> None:
        self.kind = kind
        self.model = model
        self.labels = labels

    @property
    def known(self) -> tuple[int, ...]:
        """The labels that it was fitted on, as numbers."""
        return tuple(int(one) for one in self.model.classes_)

    @property
    def size(self) -> int:
        """Bytes of it, pickled."""
        return len(pickle.dumps(self.model, protocol=5))

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return probabilities (N, L)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = self.model.predict_proba(rows)
        whole = np.zeros((len(rows), self.labels))
        whole[:, self.model.classes_] = said
        return whole


def available(kinds: tuple[str, ...]) -> list[str]:
    """Return those of `kinds` that can be fitted here. Raises LearnError where one is unknown, or needs what is not installed and has no stand-in."""
    for kind in kinds:
        if kind not in TEACHERS:
            raise LearnError(f"there is no teacher {kind!r}", hint=f"the teachers are {', '.join(TEACHERS)}")
    if "torch_mlp" in kinds:
        needs_torch()
    there = importlib.util.find_spec("lightgbm") is not None
    # The same kind of model, slower.
    return list(dict.fromkeys("boosting" if kind == "lightgbm" and not there else kind for kind in kinds))


def teach(
    kind: str,
    rows: NDArray[np.float32],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    count: int,
    seed: int,
) -> Taught:
    """Return a teacher of this kind, fitted on `rows` (N, F) and `labels` (N,), which know `count` labels."""
    rng = np.random.default_rng(seed)
    if len(rows) > MAX_ROWS:
        picked = np.sort(rng.choice(len(rows), MAX_ROWS, replace=False))
        rows, labels, weights = rows[picked], labels[picked], weights[picked]
    model = TEACHERS[kind](seed)
    even = weights / weights.mean()
    with warnings.catch_warnings():
        # A net stops after its rounds on purpose: that is its regularisation.
        warnings.simplefilter("ignore")
        if kind in WEIGHTED:
            model.fit(rows, labels, **{WEIGHTED[kind]: even})
        else:
            picked = rng.choice(len(rows), len(rows), p=weights / weights.sum())
            model.fit(rows[picked], labels[picked])
    return Taught(kind, model, count)
