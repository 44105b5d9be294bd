"""Owns what models say to one wake-up's readings: their feature rows, one run of each model, and the words of their channels.

Never in here: what follows from a word (rules), or when one is to be believed (trust).
"""

from collections.abc import Mapping, Sequence, Set as AbstractSet
from datetime import date

from msgspec.structs import replace

from appliance.core import edge as second, hands
from appliance.core.clock import Instant
from appliance.core.events import AskEdge, EdgeAnswered, Effect, Labelled
from appliance.core.features import row
from appliance.core.home import Home
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.senses import Learned, Sense
from appliance.core.state import ApplianceState
from appliance.core.trust import verdict
from appliance.core.trust.audits import Audits, acts, audited, labelled as told

EPOCH = date(1970, 1, 1).toordinal()
Row = tuple[str, str, int]
"""The channel that a model speaks in, the model, and which of its rows of this wake-up it is."""
Said = Mapping[str, tuple[list[list[float]], Sequence[int | None]]]
"""By model, of its rows of one wake-up: the probabilities (N, L) that it gave them, and what its novelty region says of each (N)."""


def rows_of(
    home: Home,
    appliance: str,
    senses: Mapping[str, Sense],
    heard: AbstractSet[str] | None,
    rows: dict[str, list[list[float]]],
    now: Instant,
) -> list[Row]:
    """Append to `rows` the feature rows of the models that `heard` (None: all) concerns; return where they lie."""
    found = []
    for channel, model in home.appliances[appliance].models.items():
        classifier = home.classifiers.get(model)
        if classifier is None or (heard is not None and classifier.spec.channels.isdisjoint(heard)):
            continue
        windows = {name: senses[name].window for name in classifier.spec.channels if name in senses}
        table = rows.setdefault(model, [])
        found.append((channel, model, len(table)))
        table.append(row(windows, classifier.spec, now, home.zone))
    return found


def infer(home: Home, rows: Mapping[str, list[list[float]]]) -> Said:
    """Return what each model says to all its rows at once, and how novel they are."""
    if not rows:
        return {}
    import numpy as np  # noqa: PLC0415  a home without a model has no use for it

    said: dict[str, tuple[list[list[float]], Sequence[int | None]]] = {}
    for name, table in rows.items():
        classifier = home.classifiers[name]
        features = np.array(table, dtype=np.float32)
        region = classifier.trust.novelty
        unlike = [None] * len(table) if region is None else region.unlike_each(features)
        said[name] = classifier.predict(features).tolist(), unlike
    return said


def conclude(
    home: Home,
    spec: Appliance,
    state: ApplianceState,
    rows: list[Row],
    said: Said,
    now: Instant,
    effects: list[Effect],
) -> ApplianceState:
    """Return the state in which the channels of `rows` say what their models said; append the cases that are offered to the edge."""
    learned = dict(state.learned)
    offered = state.offered
    for channel, model, index in rows:
        trust = home.classifiers[model].trust
        answers, unlike = said[model]
        probabilities, alpha = answers[index], spec.alpha(channel)
        levels = trust.levels(state.memory.trust.get(channel), alpha)
        label, quality, reason = verdict(probabilities, unlike[index], trust, alpha, levels)
        if label is None:
            learned[channel] = Learned(None, 0.0, quality, reason, now, LEARNED_MAX_AGE_NS)
            continue
        sure = probabilities[trust.labels.index(label)]
        word = Learned(label, sure, quality, reason, now, LEARNED_MAX_AGE_NS, tuple(probabilities))
        edge = home.edges.get(model)
        if edge is not None:
            before = offered.get(channel, second.NOTHING)
            audits = state.memory.audits.get(channel)
            may_act = audits is None or acts(audits, trust.version)
            if second.settled(edge, before, word, now) and may_act:
                learned[channel] = word
                continue
            windows = {name: sense.window for name, sense in state.senses.items()}
            features = row(windows, edge.spec, now, home.zone)
            word, after, case = second.consider(edge, before, word, features, alpha, now, may_act=may_act)
            if after is not before:
                offered = {**offered, channel: after}
            if case is not None:
                effects.append(
                    AskEdge(
                        spec.id, channel, model, edge.name, edge.version,
                        case.row, case.bucket, case.because, case.audit,
                    )
                )  # fmt: skip
        learned[channel] = word
    return replace(state, learned=learned, offered=offered)


def answered(
    home: Home, spec: Appliance, state: ApplianceState, event: EdgeAnswered, now: Instant
) -> ApplianceState:
    """Return the state after the edge answered: its word stands for like cases, or, an audit's, measures the local model."""
    edge = home.edges.get(spec.models.get(event.channel, ""))
    if edge is None or not second.fits(edge, event):
        return state
    if event.audit is None:
        before = state.offered.get(event.channel, second.NOTHING)
        after = replace(before, answered=event.bucket, probabilities=event.probabilities)
        return replace(state, offered={**state.offered, event.channel: after})
    model = home.classifiers.get(spec.models[event.channel])
    if model is None or event.audit not in model.trust.labels:
        return state
    audits = audited(
        state.memory.audits.get(event.channel),
        version=model.trust.version,
        edge_version=edge.version,
        local=event.audit,
        edge=second.word(edge, event, spec.alpha(event.channel)),
        day=_day(home, now),
        budget=edge.budget or 0.0,
        better=edge.better and edge.budget is not None,
    )
    return _measured(state, event.channel, audits)


def labelled(
    home: Home, spec: Appliance, state: ApplianceState, event: Labelled, now: Instant
) -> ApplianceState:
    """Return the state after somebody told what a channel should read now: where an edge measures its model, its errors are counted too."""
    model = home.classifiers.get(spec.models.get(event.channel, ""))
    said = state.learned.get(event.channel)
    if (
        model is None
        or said is None
        or not said.probabilities
        or spec.models[event.channel] not in home.edges
        or event.label not in model.labels
        or not hands.tells_of(event, now)
    ):
        return state
    audits = told(
        state.memory.audits.get(event.channel),
        version=model.trust.version,
        local=model.labels[said.probabilities.index(max(said.probabilities))],
        truth=event.label,
        day=_day(home, now),
    )
    return _measured(state, event.channel, audits)


def _measured(state: ApplianceState, channel: str, audits: Audits) -> ApplianceState:
    memory = replace(state.memory, audits={**state.memory.audits, channel: audits})
    return replace(state, memory=memory)


def _day(home: Home, now: Instant) -> int:
    """Return the days since 1970 in the home's zone."""
    return now.local(home.zone).toordinal() - EPOCH
