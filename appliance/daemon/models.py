"""Owns loading the models that a home's appliances name: ready to be asked, or the reason why one is missing.

Never in here: checking a bundle (bundle), or running one (the classifier adapter).
"""

import logging
from collections.abc import Iterable

from appliance.core.home import Classifier
from appliance.core.profile import Appliance
from appliance.errors import ModelError

log = logging.getLogger(__name__)


def load_models(appliances: Iterable[Appliance]) -> tuple[dict[str, Classifier], dict[str, str]]:
    """Return the models by name, and for each that can't be used the reason: rules and fallback decide without it."""
    wanted: dict[str, set[tuple[tuple[str, ...], float]]] = {}
    for appliance in appliances:
        for channel, model in appliance.models.items():
            wanted.setdefault(model, set()).add((appliance.words[channel], appliance.alpha(channel)))
    ready: dict[str, Classifier] = {}
    missing: dict[str, str] = {}
    for model, words in wanted.items():
        try:
            ready[model] = _load(model, words)
        except ModelError as broken:
            missing[model] = broken.message
            log.warning("without the model %s: %s", model, broken)
    return ready, missing


def _load(model: str, words: set[tuple[tuple[str, ...], float]]) -> Classifier:
    from appliance.adapters.classifier import OnnxClassifier  # noqa: PLC0415  onnxruntime, where a model is wanted at all
    from appliance.bundle import load_bundle, shipped  # noqa: PLC0415

    classifier = OnnxClassifier(load_bundle(shipped(model)))
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
