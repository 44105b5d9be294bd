"""Owns a net that PyTorch fits (extra [torch]), in the manner of scikit-learn's classifiers: a teacher that is larger, and told what each row weighs.

Never in here: choosing it, scaling, or anything that is needed to ask it: once fitted it is plain arrays, so a process without PyTorch can ask it
and write it as ONNX.
"""

import importlib.util
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from appliance.errors import LearnError
from appliance.learn.export import softmax

WIDTHS = (128, 64, 32)
ROUNDS = 20
BATCH = 256
RATE, DECAY, DROPPED, SMOOTHED = 2e-3, 1e-2, 0.2, 0.02
"""Of descent: the rate at its greatest, the decay of weights, the share of a layer that is dropped, and what is taken from a label for all of them
(chosen as what is usual for a few tens of thousands of rows; none was tuned on any)."""


class TorchNet(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Three dense layers with dropout, fitted by AdamW on the weighted log loss; one thread, so that the same seed gives the same net on one machine."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.classes_: NDArray[np.int64] = np.empty(0, np.int64)
        self.coefs_: list[NDArray[np.float64]] = []
        self.intercepts_: list[NDArray[np.float64]] = []

    def fit(
        self, rows: NDArray[np.floating], labels: NDArray[np.int64], sample_weight: NDArray[np.float64]
    ) -> Self:
        """Fit it on scaled `rows` (N, F), `labels` (N,) and what each row weighs (N,).

        Raises:
            LearnError: PyTorch is not installed.
        """
        needs_torch()
        import torch  # noqa: PLC0415  the extra [torch], and a second to load

        self.classes_, targets = np.unique(labels, return_inverse=True)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                layers = self._fitted(torch, rows, targets, sample_weight)
        finally:
            torch.set_num_threads(before)
        self.coefs_ = [one.weight.detach().numpy().T.astype(np.float64) for one in layers]
        self.intercepts_ = [one.bias.detach().numpy().astype(np.float64) for one in layers]
        return self

    def predict_proba(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return probabilities (N, classes) of scaled `rows` (N, F)."""
        values = rows.astype(np.float64)
        for at, (weights, shift) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            values = (np.maximum(values, 0.0) if at else values) @ weights + shift
        return softmax(values)

    def _fitted(
        self,
        torch: Any,
        rows: NDArray[np.floating],
        targets: NDArray[np.int64],
        sample_weight: NDArray[np.float64],
    ) -> list[Any]:
        sizes = (rows.shape[1], *WIDTHS, len(self.classes_))
        layers = [torch.nn.Linear(*pair) for pair in pairwise(sizes)]
        parts: list[Any] = []
        for layer in layers[:-1]:
            parts += [layer, torch.nn.ReLU(), torch.nn.Dropout(DROPPED)]
        net = torch.nn.Sequential(*parts, layers[-1])
        x = torch.tensor(np.ascontiguousarray(rows), dtype=torch.float32)
        y = torch.tensor(targets, dtype=torch.int64)
        w = torch.tensor(sample_weight / sample_weight.mean(), dtype=torch.float32)
        loss = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=SMOOTHED)
        walk = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        steps = ROUNDS * -(-len(rows) // BATCH)
        rate = torch.optim.lr_scheduler.OneCycleLR(walk, max_lr=RATE, total_steps=steps)
        net.train()
        for _ in range(ROUNDS):
            for some in torch.randperm(len(rows)).split(BATCH):
                walk.zero_grad()
                (loss(net(x[some]), y[some]) * w[some]).mean().backward()
                walk.step()
                rate.step()
        return layers


def needs_torch() -> None:
    """Raise LearnError where PyTorch is not installed, with the line that installs it."""
    if importlib.util.find_spec("torch") is None:
        raise LearnError(
            "the teacher 'torch_mlp' needs PyTorch, which is not installed",
            hint="pip install 'appliance[torch]', or leave it out of teacher.kinds",
        )
