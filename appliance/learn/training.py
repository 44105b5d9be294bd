"""Owns choosing and fitting a model: by days held out, each in its turn, and by nothing else.

The same days choose the features, the architecture, the calibration and the threshold. Test files are never opened here. Never in here: reading files, or judging the result.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.neural_network import MLPClassifier

from appliance.bundle import Card, Manifest, Score, write_bundle
from appliance.core.features import Feature, FeatureSpec, Kind
from appliance.errors import LearnError
from appliance.learn.data import TRAINING, rows
from appliance.learn.export import Layer, predict, to_onnx
from appliance.learn.features import matrix, starts, truth

LABELS = ("nobody", "somebody")
SURE_ACCURACY = 0.95
"""What the threshold is chosen for: of the held-out rows that reach it, so many are right."""
GOLDEN_ROWS = 32
VERSION = 2
"""Of the recipe: version 1 was fitted without cold starts, and went wrong in the first hours after one."""


def _features(*given: tuple[Kind, str, int]) -> tuple[Feature, ...]:
    return tuple(
        Feature(f"{channel}_{kind}_{span // 60}min", kind, channel, span) for kind, channel, span in given
    )


# The sets that are tried. All are relative to the room itself, or slopes: levels and times of day tell one office from
# another, not whether somebody is there.
_CO2 = _features(("above_low", "co2", 7200))
_RELATIVE = _features(
    ("above_low", "co2", 7200), ("below_high", "temperature", 86_400), ("spread", "humidity", 600), ("below_high", "humidity", 7200)
)  # fmt: skip
_SLOPES = _features(
    ("slope", "co2", 900), ("slope", "co2", 3600), ("slope", "temperature", 1800), ("slope", "humidity", 900), ("spread", "co2", 600)
)  # fmt: skip
_DAY = _features(
    ("above_low", "co2", 86_400), ("above_low", "temperature", 86_400), ("spread", "humidity", 600)
)
CANDIDATES: dict[str, tuple[Feature, ...]] = {
    "co2": _CO2,
    "relative": _RELATIVE,
    "relative and slopes": _RELATIVE + _SLOPES,
    "slopes": _CO2 + _SLOPES,
    "day": _DAY,
    "day and slopes": _DAY + _SLOPES,
}


class Trial(msgspec.Struct, frozen=True):
    """How one architecture did on one set of features, over the held-out days: losses per row, shares in [0, 1].

    The rows are those of all starts whose features are known.
    """

    features: str
    architecture: str
    log_loss: float
    accuracy: float
    macro_f1: float
    worst_day: float


class Summary(msgspec.Struct, frozen=True):
    """What training came to."""

    card: Card
    manifest: Manifest
    trials: tuple[Trial, ...]


class _Table(msgspec.Struct):
    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    days: NDArray[np.int64]
    cold: NDArray[np.bool_]
    """Whether a row is of a pretended start, not of the file as it is."""


class _Fit(msgspec.Struct):
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    layers: list[Layer]


def _logistic(columns: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> _Fit:
    mean, scale = _scaling(columns)
    model = LogisticRegression(C=0.1, max_iter=500, random_state=seed).fit((columns - mean) / scale, labels)
    weights = np.concatenate([np.zeros_like(model.coef_), model.coef_]).T
    return _Fit(mean, scale, [Layer(weights, np.array([0.0, model.intercept_[0]]))])


def _small_net(columns: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> _Fit:
    mean, scale = _scaling(columns)
    net = MLPClassifier((8,), alpha=1.0, max_iter=60, random_state=seed, tol=0.0, n_iter_no_change=1000)
    with warnings.catch_warnings():
        # It stops after its sixty rounds on purpose: that is its regularisation.
        warnings.simplefilter("ignore")
        net.fit((columns - mean) / scale, labels)
    last = np.concatenate([np.zeros_like(net.coefs_[1]), net.coefs_[1]], axis=1)
    return _Fit(
        mean,
        scale,
        [Layer(net.coefs_[0], net.intercepts_[0]), Layer(last, np.array([0.0, net.intercepts_[1][0]]))],
    )


ARCHITECTURES: dict[str, Callable[..., _Fit]] = {
    "logistic regression": _logistic,
    "net of 8 units": _small_net,
}


def _scaling(columns: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = columns.mean(axis=0, dtype=np.float64)
    deviation = columns.std(axis=0, dtype=np.float64)
    if (deviation == 0).any():
        raise LearnError("a feature never changes in the training data", hint="remove it from the candidates")
    return mean, deviation


def train(
    name: str,
    folder: Path,
    *,
    seed: int = 0,
    candidates: Mapping[str, tuple[Feature, ...]] = CANDIDATES,
    architectures: Iterable[str] = tuple(ARCHITECTURES),
) -> Summary:
    """Train the model `name` and write its bundle into `folder`. The same data and seed give the same bytes on one machine.

    `candidates` and `architectures` are what it chooses among.

    Raises:
        LearnError: there is no recipe of this name, or the data are missing or altered.
    """
    if name != "presence":
        raise LearnError(f"there is no recipe for {name!r}", hint="the recipes are: presence")
    everything = tuple(dict.fromkeys(feature for features in candidates.values() for feature in features))
    table = _table(FeatureSpec(everything))
    known = np.isfinite(table.rows).all(axis=1)
    rows_, labels, days = table.rows[known], table.labels[known], table.days[known]

    trials, logits_of = [], {}
    for features_name, features in candidates.items():
        columns = rows_[:, [everything.index(feature) for feature in features]]
        for architecture in architectures:
            logits = _held_out(columns, labels, days, ARCHITECTURES[architecture], seed)
            trials.append(_trial(features_name, architecture, logits, labels, days))
            logits_of[features_name, architecture] = logits
    best = min(trials, key=lambda trial: trial.log_loss)
    features = candidates[best.features]
    logits = logits_of[best.features, best.architecture]
    temperature = _temperature(logits, labels)
    calibrated = _sigmoid(logits / temperature)
    threshold = _threshold(calibrated, labels)
    # Rows whose features are not known yet belong to what the model is worth.
    said = np.full((len(table.labels), len(LABELS)), np.nan)
    said[known] = np.stack([1 - calibrated, calibrated], axis=1)

    columns = rows_[:, [everything.index(feature) for feature in features]]
    fitted = ARCHITECTURES[best.architecture](columns, labels, seed)
    model = to_onnx(fitted.mean, fitted.scale, fitted.layers, temperature)
    golden = columns[np.linspace(0, len(columns) - 1, GOLDEN_ROWS).astype(int)]
    card = Card(
        name=name,
        version=VERSION,
        title="Is somebody in the room?",
        labels=LABELS,
        features=FeatureSpec(features),
        threshold=threshold,
        data="UCI occupancy detection: one office, 60 s, CO2, temperature and humidity; without light, which gives the label away",
        licence="CC BY 4.0 as the UCI page is reported to say; the authors' repository states none and asks to be cited",
        citation="Candanedo and Feldheim, Energy and Buildings 112 (2016) 28-39, doi 10.1016/j.enbuild.2015.11.071",
        split=f"{len(np.unique(days))} days, each held out in its turn, for choosing, calibration and threshold, so the held-out"
        " scores flatter a little; from the file's start and from a cold start every 6 hours; test files unopened",
        architecture=f"{best.architecture} on {len(features)} features ({best.features})",
        calibration=f"temperature {temperature:.3f} fitted on the held-out days' logits; from the threshold on, at least"
        f" {SURE_ACCURACY:.0%} of the held-out rows called by each label are right",
        held_out={
            "held-out days": score(said[~table.cold], table.labels[~table.cold], threshold),
            "held-out days, the day after a cold start": score(
                said[table.cold], table.labels[table.cold], threshold
            ),
        },
        worst=f"worst held-out day: accuracy {best.worst_day:.3f}",
        intended_use="a channel of a home's air purifier: whether to keep the air cleaner for somebody, or rest quieter for nobody",
        not_for="safety, security, attendance, or any room where somebody's absence is relied on: it saw one office in one winter",
        seed=seed,
    )
    manifest = write_bundle(
        folder, model, card, golden, predict(fitted.mean, fitted.scale, fitted.layers, temperature, golden)
    )
    return Summary(card, manifest, tuple(trials))


def _table(spec: FeatureSpec) -> _Table:
    streams = starts(rows(TRAINING))
    return _Table(
        np.concatenate([matrix(stream, spec) for stream in streams]),
        np.concatenate([truth(stream) for stream in streams]),
        np.array([row.day for stream in streams for row in stream]),
        np.concatenate([np.full(len(stream), number > 0) for number, stream in enumerate(streams)]),
    )


def score(probabilities: NDArray[np.float64], labels: NDArray[np.int64], threshold: float) -> Score:
    """Return how good `probabilities` (N, L) are for `labels` (N,). A row that is NaN counts as the first label, unsure."""
    known = np.isfinite(probabilities).all(axis=1)
    filled = np.nan_to_num(probabilities, nan=-1.0)
    said = np.where(known, filled.argmax(axis=1), 0)
    sure = filled.max(axis=1) >= threshold
    right = np.equal(said, labels)
    return Score(
        accuracy=round(float(right.mean()), 4),
        macro_f1=round(float(f1_score(labels, said, average="macro")), 4),
        rows=len(labels),
        known=round(float(known.mean()), 4),
        sure=round(float(sure.mean()), 4),
        sure_right=round(float(right[sure].mean()), 4) if sure.any() else 0.0,
    )


def _held_out(
    columns: NDArray[np.float32],
    labels: NDArray[np.int64],
    days: NDArray[np.int64],
    fit: Callable[..., _Fit],
    seed: int,
) -> NDArray[np.float64]:
    """Return for each row the logit of a model that has not seen its day."""
    logits = np.empty(len(labels))
    for day in np.unique(days):
        held = days == day
        fitted = fit(columns[~held], labels[~held], seed)
        probability = predict(fitted.mean, fitted.scale, fitted.layers, 1.0, columns[held])[:, 1].astype(
            np.float64
        )
        clipped = np.clip(probability, 1e-6, 1 - 1e-6)
        logits[held] = np.log(clipped / (1 - clipped))
    return logits


def _trial(
    features: str,
    architecture: str,
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    days: NDArray[np.int64],
) -> Trial:
    said = logits > 0
    worst = min(float((said[days == day] == labels[days == day]).mean()) for day in np.unique(days))
    loss = float(log_loss(labels, np.clip(_sigmoid(logits), 1e-6, 1 - 1e-6)))
    return Trial(
        features,
        architecture,
        loss,
        float((said == labels).mean()),
        float(f1_score(labels, said, average="macro")),
        worst,
    )


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-logits))


def _temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return by what to divide the logits, so that the held-out log loss is least (Guo et al. 2017, temperature scaling)."""
    tried = np.geomspace(0.25, 8.0, 141)
    losses = [
        log_loss(labels, np.clip(_sigmoid(logits / temperature), 1e-6, 1 - 1e-6)) for temperature in tried
    ]
    return round(float(tried[int(np.argmin(losses))]), 4)


def _threshold(somebody: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the least top probability at which `SURE_ACCURACY` of the held-out rows are right, for each label alone: where
    one label is rare, the common one's accuracy must not hide its errors. Where none does, 1: it is never sure.
    """
    top = np.maximum(somebody, 1 - somebody)
    said = (somebody > 0.5).astype(int)
    for threshold in np.arange(0.50, 0.996, 0.005):
        sure = top >= threshold
        right = [
            (labels[sure & (said == label)] == label).mean() if (sure & (said == label)).any() else 0.0
            for label in (0, 1)
        ]
        if min(right) >= SURE_ACCURACY:
            return round(float(threshold), 3)
    return 1.0
