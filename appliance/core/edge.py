"""Owns the second opinion: which cases are offered to the model of a bigger machine, and what its answer is worth here.

A decision never waits for it. Never in here: how it is reached, or whether it may be reached (the edge adapter).
"""

from math import isfinite

import msgspec
from msgspec.structs import replace

from appliance.core.clock import SECOND, Instant
from appliance.core.events import EdgeAnswered
from appliance.core.features import FeatureSpec
from appliance.core.readings import Quality
from appliance.core.senses import Learned
from appliance.core.trust import Trust, judge, verdict
from appliance.core.trust.drawing import next_audit_ns

PACE_NS = SECOND
"""A channel offers no more than one case in so long: features move in bins of thirty seconds, and hard cases come in rows."""
AGAIN_NS = 60 * SECOND
"""A like case is offered again after so long without an answer."""
LATE_NS = 300 * SECOND
"""An audit that is so late was due while nobody could take it: it is none."""
SUMS_TO_ONE = 1e-3
"""Probabilities of a bigger model, as float32 or as text of three digits, sum to one so nearly."""


class BiggerModel(msgspec.Struct, frozen=True):
    """What a home knows of the bigger model `name` that stands behind a local one: its card, in what matters here.

    `steps` (F,) are by how much each feature may differ in a like case. `better`: its card shows it better than the local
    model in its very version, on held-out hard cases; else its word is shown, not heard. `budget`: the share of cases on which the local model may say otherwise,
    by its own card; None: nobody said. An easy case is audited every `audit_every_ns` in the mean; 0: never.
    """

    name: str
    version: int
    spec: FeatureSpec
    trust: Trust
    steps: tuple[float, ...]
    better: bool
    budget: float | None = None
    audit_every_ns: int = 0

    def bucket(self, features: list[float]) -> tuple[int, ...] | None:
        """Return which like cases `features` (F,) stand for; None where one of them is unknown."""
        if not isfinite(sum(features)):
            return None
        return tuple([round(value / step) for value, step in zip(features, self.steps, strict=True)])


class Offered(msgspec.Struct, frozen=True, gc=False):
    """What one channel has with the edge: the case that it offered last, and when; the case that was `answered` last, with the
    probabilities (L) that it got; and when the next easy case is audited (0: to be drawn).
    """

    asked: tuple[int, ...] = ()
    asked_ns: int = 0
    answered: tuple[int, ...] = ()
    probabilities: tuple[float, ...] = ()
    audit_ns: int = 0


NOTHING = Offered()
AUDIT = "audit"


class Case(msgspec.Struct, frozen=True):
    """What is to be offered: the bigger model's features `row` (F,), its `bucket`, why, and the label that is audited, if one is."""

    row: tuple[float, ...]
    bucket: tuple[int, ...]
    because: str
    audit: str | None = None


def settled(edge: BiggerModel, offered: Offered, learned: Learned, now: Instant) -> bool:
    """Return whether the local model's word `learned` needs no second opinion, and no audit is due: most words, for two comparisons.

    Nor does it where nothing is known here of which a bigger model could make more.
    """
    if learned.quality is Quality.GOOD:
        return not edge.audit_every_ns or now.boottime_ns < offered.audit_ns
    return learned.label is None


def consider(
    edge: BiggerModel,
    offered: Offered,
    learned: Learned,
    features: list[float],
    alpha: float,
    now: Instant,
    *,
    may_act: bool,
) -> tuple[Learned, Offered, Case | None]:
    """Return what a channel says after the second opinion, what it has with the edge then, and the case to be offered, if any.

    `learned` is the local model's word, which audits may keep from acting (`may_act`); `features` (F,) the bigger model's. A hard
    case gets the edge's word where a like one was answered, and is offered where none was. A sure word that may not act is only
    recommended, and the edge does not speak in its stead: where two models contradict each other more than both cards say, this home is unlike
    the rows that either was judged by.

    An audit that is due where the word is not sure is none, and the next one is drawn: were it to wait for a sure word, audits would
    meet the beginnings of sure stretches, where models differ most, and overstate (docs/audits.md).
    """
    now_ns = now.boottime_ns
    bucket = edge.bucket(features)
    case: Case | None = None
    sure = learned.quality is Quality.GOOD
    if edge.audit_every_ns and now_ns >= offered.audit_ns:
        if offered.audit_ns and now_ns - offered.audit_ns < LATE_NS and sure and bucket is not None:
            case = Case(tuple(features), bucket, AUDIT, learned.label)
        seed = now.wall_ns ^ offered.audit_ns
        offered = replace(offered, audit_ns=next_audit_ns(now_ns, edge.audit_every_ns, seed))
    if sure:
        if may_act:
            return learned, offered, case
        reason = f"audits: it disagrees with {edge.name} too often"
        return replace(learned, quality=Quality.UNCERTAIN, reason=reason), offered, case
    if bucket is None:
        return learned, offered, case
    if bucket == offered.answered:
        return _heard(edge, learned, features, offered.probabilities, alpha), offered, case
    waits_ns = AGAIN_NS if bucket == offered.asked else PACE_NS
    if case is None and not (offered.asked and now_ns - offered.asked_ns < waits_ns):
        offered = replace(offered, asked=bucket, asked_ns=now_ns)
        case = Case(tuple(features), bucket, learned.reason or "hard")
    return learned, offered, case


def fits(edge: BiggerModel, event: EdgeAnswered) -> bool:
    """Return whether `event` is an answer of this very model: its name, version and sizes, and probabilities that are some."""
    return (
        (event.edge, event.version) == (edge.name, edge.version)
        and len(event.bucket) == len(edge.steps)
        and len(event.probabilities) == len(edge.trust.labels)
        and all(0.0 <= one <= 1.0 + SUMS_TO_ONE for one in event.probabilities)
        and abs(sum(event.probabilities) - 1.0) <= SUMS_TO_ONE
    )


def word(edge: BiggerModel, event: EdgeAnswered, alpha: float) -> str:
    """Return the label that the bigger model says, sure or not, as its own card has it at the error level `alpha`; `event` fits it.

    The local model's word is judged by sets too, where the rarer label may be the one that fits though the other is likelier. Were that held
    against the label that the bigger one finds likeliest, a model would disagree with its own twin (docs/audits.md).
    """
    label, _, _ = verdict(event.probabilities, None, edge.trust, alpha)
    assert label is not None, "an event that fits is finite"
    return label


def _heard(
    edge: BiggerModel, learned: Learned, row: list[float], probabilities: tuple[float, ...], alpha: float
) -> Learned:
    """Return the channel's word where the bigger model said `probabilities` of a like case: judged by its own card, and acted on only
    where that card is the better one.
    """
    import numpy as np  # noqa: PLC0415  a home without a model has no use for it

    label, quality, reason = judge(probabilities, np.array(row, np.float32), edge.trust, alpha)
    if label is None:
        return learned
    if not edge.better:
        return replace(
            learned, reason=f"{learned.reason}; {edge.name}, which is not known to be better, says {label}"
        )
    if quality is not Quality.GOOD:
        return replace(
            learned, reason=f"{learned.reason}; {edge.name} says {label}, and is not sure either: {reason}"
        )
    sure = probabilities[edge.trust.labels.index(label)]
    return replace(
        learned, label=label, probability=sure, quality=quality, reason=None, probabilities=(), by=edge.name
    )
