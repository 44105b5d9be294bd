"""Owns the refit: rows and labels of one home in, the card of a new version out, or the checks that did not hold.

Pure. Never in here: reading a store, running a model, or putting a bundle in force.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from appliance.bundle import Bundle, Card, Refitted, Score
from appliance.core.trust import ALPHA, ALPHAS, Region, Sets, needed
from appliance.core.trust.fitting import conformal_thresholds, novelty_region
from appliance.errors import LearnError
from appliance.refit.gate import (
    LEAST_DAYS,
    Check,
    as_right,
    better_loss,
    enough,
    golden,
    macro_f1,
    since_then,
    within,
)
from appliance.refit.head import fit_head
from appliance.refit.material import Material

OWN_DAYS = 5
"""From so many days with each label on, this home's own thresholds stand; before that the more careful of them and the shipped ones."""


class Outcome(msgspec.Struct, frozen=True):
    """What the refit came to: the `card` of the new version, or None where a check does not hold and nothing moves."""

    card: Card | None
    checks: tuple[Check, ...]
    before: Score | None = None
    after: Score | None = None


def refit(shipped: Bundle, current: Card, home: Material, *, at: str, alpha: float = ALPHA) -> Outcome:
    """Return the card of `shipped` refitted to `home`, where that holds before the gate: better on held-out days of this home than
    `current`, the card in force, and no worse on the shipped golden rows.

    The head always starts from the shipped model's own logits, so refits don't pile up. `at` names the time, for the card; `alpha` is the
    error level that must stay promised.
    """
    checks = enough(shipped.card, home, alpha)
    if not all(check.holds for check in checks):
        return Outcome(None, tuple(checks))
    labels, days, said = home.labels, home.days, home.probabilities
    now = said_now(current, home)
    then = np.empty_like(said)
    for day in np.unique(days):
        held = days == day
        then[held] = fit_head(said[~held], labels[~held], days[~held]).apply(said[held])
    head = fit_head(said, labels, days)
    # Of the days before it was made, the version in force has seen the labels: it is judged by later ones.
    fresh = days > seen_until(current)
    if not (since := since_then(labels[fresh], days[fresh])).holds:
        return Outcome(None, (*checks, since))
    sets, own = _sets(shipped.card, then, labels, days, alpha)
    region, region_check = region_of(shipped.card.novelty, home, novelty_region)
    before = score(now[fresh], labels[fresh], current.trust.sets, current.threshold, alpha)
    after = score(then[fresh], labels[fresh], sets, current.threshold, alpha)
    checks += [
        since,
        better_loss(now[fresh], then[fresh], labels[fresh], days[fresh]),
        as_right(now[fresh], then[fresh], labels[fresh]),
        within(head),
        golden(shipped, head.apply(shipped.golden_probabilities)),
        region_check,
    ]
    number = next_number(current)
    card = replace(
        shipped.card,
        sets=sets,
        novelty=region,
        refit=Refitted(number, shipped.digest, at, len(np.unique(days)), len(labels), head, int(days.max())),
        held_out={**shipped.card.held_out, "held-out days of this home": after},
        calibration=f"{shipped.card.calibration}; refitted to {len(labels)} labelled rows of {len(np.unique(days))} days of this home,"
        f" each held out in its turn: scale {head.scale:g}, thresholds {'of this home' if own else 'the more careful ones of this home and the shipped'}",
    )
    return Outcome(
        card if all(check.holds for check in checks) else None, tuple(checks), before=before, after=after
    )


def score(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    sets: Sets | None,
    threshold: float,
    alpha: float = ALPHA,
) -> Score:
    """Return how good `probabilities` (N, L), all known, are for `labels` (N,)."""
    right = probabilities.argmax(axis=1) == labels
    thresholds = None if sets is None else sets.at(alpha)
    inside = probabilities >= threshold if thresholds is None else probabilities >= np.array(thresholds)
    sure = inside.sum(axis=1) == 1
    hit = inside[np.arange(len(labels)), labels]
    return Score(
        accuracy=round(float(right.mean()), 4),
        macro_f1=round(macro_f1(probabilities.argmax(axis=1), labels, probabilities.shape[1]), 4),
        rows=len(labels),
        known=1.0,
        sure=round(float(sure.mean()), 4),
        sure_right=round(float(hit[sure].mean()), 4) if sure.any() else 0.0,
    )


def _sets(
    card: Card, said: NDArray[np.float64], labels: NDArray[np.int64], days: NDArray[np.int64], alpha: float
) -> tuple[Sets, bool]:
    """Return the thresholds that held-out days allow, and whether they are this home's alone."""
    counts = [int((labels == label).sum()) for label in range(len(card.labels))]
    levels = tuple(level for level in (*ALPHAS, alpha) if needed(level) <= min(counts))
    own = conformal_thresholds(said, labels, levels)
    on = min(len(np.unique(days[labels == label])) for label in range(len(counts)))
    if on >= OWN_DAYS or card.sets is None:
        return own, True
    shipped = [card.sets.at(level) or (0.0,) * len(counts) for level in own.alphas]
    careful = tuple(
        tuple(map(min, mine, theirs)) for mine, theirs in zip(own.thresholds, shipped, strict=True)
    )
    return replace(own, thresholds=careful), False


def said_now(current: Card, home: Material) -> NDArray[np.float64]:
    """Return what the version in force, whose card is `current`, says of the labelled rows (N, L)."""
    if home.in_force is not None:
        return home.in_force
    return home.probabilities if current.refit is None else current.refit.head.apply(home.probabilities)


def seen_until(current: Card) -> int:
    """Return the last day, as an ordinal, whose labels the version in force has seen; -1: none."""
    return -1 if current.made_here is None else current.made_here.last_day


def next_number(current: Card) -> int:
    """Return the number of what a home makes next."""
    return 1 + (0 if current.made_here is None else current.made_here.number)


def region_of(
    before: Region | None,
    home: Material,
    make: Callable[[NDArray[np.float32], NDArray[np.int64]], Region],
) -> tuple[Region | None, Check]:
    """Return the region that `make` gives for ordinary rows of this home and their days, where fewer of them are unlike anything seen then; else
    the one there was.
    """
    asked = "novelty region: fewer ordinary rows of this home lie outside, or it stays"
    if before is None:
        return None, Check(asked, "the card has none", True)
    known = np.isfinite(home.lived).all(axis=1)
    if len(np.unique(home.lived_days[known])) < LEAST_DAYS:
        return before, Check(asked, f"fewer than {LEAST_DAYS} days: it stays", True)
    outside = float(np.mean([before.unlike(row) is not None for row in home.lived[known]]))
    try:
        region = make(home.lived[known], home.lived_days[known])
    except LearnError as few:
        return before, Check(asked, f"{few.message}: it stays", True)
    then = float(np.mean([region.unlike(row) is not None for row in home.lived[known]]))
    if then >= outside:
        return before, Check(asked, f"{outside:.1%} lie outside, {then:.1%} would: it stays", True)
    return region, Check(asked, f"{outside:.1%} lay outside, {then:.1%} do now", True)
