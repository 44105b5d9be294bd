"""Owns loading the models that a home's appliances name: ready to be asked, or the reason why one is missing.

Never in here: checking a bundle (bundle), or running one (the classifier adapter).
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.core.home import Classifier
from appliance.core.profile import Appliance
from appliance.daemon.shadowing import Shadowed
from appliance.errors import ModelError

if TYPE_CHECKING:
    from appliance.bundle import Shelf

log = logging.getLogger(__name__)


OWN = "models"
"""The folder of the versions that this home made, in its state folder."""


def load_models(
    appliances: Iterable[Appliance], own: Path | None = None
) -> tuple[dict[str, Classifier], dict[str, str]]:
    """Return the models by name, and for each that can't be used the reason: rules and fallback decide without it.

    `own`: where the versions lie that this home made. One that can't be used makes place for the shipped model.
    """
    wanted: dict[str, set[tuple[tuple[str, ...], float]]] = {}
    for appliance in appliances:
        for channel, model in appliance.models.items():
            wanted.setdefault(model, set()).add((appliance.words[channel], appliance.alpha(channel)))
    ready: dict[str, Classifier] = {}
    missing: dict[str, str] = {}
    for model, words in wanted.items():
        try:
            ready[model] = _load(model, words, own)
        except ModelError as broken:
            missing[model] = broken.message
            log.warning("without the model %s: %s", model, broken)
    return ready, missing


def _load(model: str, words: set[tuple[tuple[str, ...], float]], own: Path | None) -> Classifier:
    from appliance.bundle import Shelf, Standing  # noqa: PLC0415

    shelf = Shelf(Path() if own is None else own, model)
    standing = Standing()
    if own is not None:
        try:
            standing = shelf.standing()
        except ModelError as broken:
            log.warning("the shipped %s decides: %s", model, broken)
    classifier = _usable(shelf, standing.current, words) if standing.current else None
    if classifier is None:
        classifier = _checked(shelf, 0, words)
    watched = _usable(shelf, standing.shadow, words) if standing.shadow else None
    return classifier if watched is None else Shadowed(classifier, watched)


def _usable(shelf: "Shelf", number: int, words: set[tuple[tuple[str, ...], float]]) -> Classifier | None:
    try:
        return _checked(shelf, number, words)
    except ModelError as broken:
        log.warning("without version %d of this home's own %s: %s", number, shelf.name, broken)
        return None


def _checked(shelf: "Shelf", number: int, words: set[tuple[tuple[str, ...], float]]) -> Classifier:
    from appliance.adapters.classifier import OnnxClassifier  # noqa: PLC0415  onnxruntime, where a model is wanted at all

    model = shelf.name
    classifier = OnnxClassifier(shelf.bundle(number))
    for expected, alpha in words:
        if set(expected) != set(classifier.labels):
            raise ModelError(
                f"the model {model} says {', '.join(classifier.labels)}, the profile expects {', '.join(expected)}",
                hint="use the profile and the model of one release",
            )
        sets = classifier.trust.sets
        if sets is not None and sets.at(alpha) is None:
            raise ModelError(
                f"the model {model} promises no error level as low as {alpha:g}",
                hint=f"the lowest is {sets.alphas[-1]:g}: set alpha of its channel so, or train it on more rows",
            )
    return classifier
