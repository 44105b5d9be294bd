"""Owns training at the edge: a head on a bundle's logits, its calibration and its novelty region, refitted to one home's labels, in numpy.

Pure: rows and labels in, a new card in or the reasons why nothing moves. Never in here: reading a store, running a model, or putting a bundle in force.
"""

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from appliance.bundle import Bundle, Card, Head, Refitted, Score
from appliance.core.trust import ALPHA, ALPHAS, Region, Sets, needed
from appliance.core.trust.fitting import conformal_thresholds, novelty_region
from appliance.errors import LearnError

LEAST_DAYS = 3
"""So many labelled days are needed, and each label on two of them at least: one day says nothing of the next."""
OWN_DAYS = 5
"""From so many days with each label on, this home's own thresholds stand; before that the more careful of them and the shipped ones."""
LOOKS_A_DAY = 24.0
"""Rows of one day follow from each other: together they weigh as much as so many independent ones (assumed: one an hour)."""
CONTRADICTED = 0.05
"""Where more than this share of the labelled rows was told both ways, somebody does not mean it."""
FOLLOWED = 0.70
"""Held-out days on which each label's rows are not called right so often, on average over the labels, are no truth that a head can learn."""
STEEPEST, FARTHEST = (0.25, 4.0), 2.5
"""Bounds of a head's scale, and of its shift between two labels in logits: whoever needs more needs another model."""
SURE_GOLDEN = 0.90
"""Golden rows without a truth: where the shipped model gave its label this probability, it must go on calling it."""


class Material(msgspec.Struct, frozen=True):
    """What a home knows: `rows` (N, F) float32 of times that were labelled, the shipped model's `probabilities` (N, L) for them, the
    `labels` (N,) as numbers, and the `days` (N,) that they are of. `contradicted` rows were told both ways and are left out.

    `lived` (M, F) are rows of ordinary time, labelled or not, and `lived_days` (M,) their days: for the novelty region.
    """

    rows: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    days: NDArray[np.int64]
    lived: NDArray[np.float32]
    lived_days: NDArray[np.int64]
    contradicted: int = 0


class Check(msgspec.Struct, frozen=True):
    """One bar of the gate: what was asked, what was found, and whether it holds."""

    asked: str
    found: str
    holds: bool


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
    checks = _enough(shipped.card, home, alpha)
    if not all(check.holds for check in checks):
        return Outcome(None, tuple(checks))
    labels, days, said = home.labels, home.days, home.probabilities
    now = said if current.refit is None else current.refit.head.apply(said)
    then = np.empty_like(said)
    for day in np.unique(days):
        held = days == day
        then[held] = fit_head(said[~held], labels[~held], days[~held]).apply(said[held])
    head = fit_head(said, labels, days)
    sets, own = _sets(shipped.card, then, labels, days, alpha)
    region, region_check = _region(shipped.card.novelty, home)
    before = score(now, labels, current.trust.sets, current.threshold, alpha)
    after = score(then, labels, sets, current.threshold, alpha)
    checks += [
        _better_loss(now, then, labels, days),
        _as_right(now, then, labels),
        _within(head),
        _golden(shipped, head),
        region_check,
    ]
    number = 1 + (0 if current.refit is None else current.refit.number)
    card = replace(
        shipped.card,
        sets=sets,
        novelty=region,
        refit=Refitted(number, shipped.digest, at, len(np.unique(days)), len(labels), head),
        held_out={**shipped.card.held_out, "held-out days of this home": after},
        calibration=f"{shipped.card.calibration}; refitted to {len(labels)} labelled rows of {len(np.unique(days))} days of this home,"
        f" each held out in its turn: scale {head.scale:g}, thresholds {'of this home' if own else 'the more careful ones of this home and the shipped'}",
    )
    return Outcome(
        card if all(check.holds for check in checks) else None, tuple(checks), before=before, after=after
    )


def fit_head(probabilities: NDArray[np.float64], labels: NDArray[np.int64], days: NDArray[np.int64]) -> Head:
    """Return the head that makes `labels` (N,) likeliest given `probabilities` (N, L), drawn towards changing nothing.

    Newton's method on the log loss; each day weighs as `LOOKS_A_DAY` rows at most; the scale has a normal prior around 1 (deviation 0.5), each shift
    one around 0 (deviation 1): a head of few labels moves little.
    """
    logits = np.log(np.clip(probabilities, 1e-6, None))
    size, count = logits.shape[1], len(labels)
    _, place, many = np.unique(days, return_inverse=True, return_counts=True)
    weights = np.minimum(1.0, LOOKS_A_DAY / many)[place]
    truths = np.eye(size)[labels]
    centre, precision = np.zeros(size), np.ones(size)
    centre[0], precision[0] = 1.0, 4.0
    found = centre.copy()
    # What the parameters (scale, shift of each label but the first) do to each label's logit.
    moves = np.zeros((count, size, size))
    moves[:, :, 0] = logits
    moves[:, range(1, size), range(1, size)] = 1.0
    for _ in range(50):
        said = _softmax(moves @ found)
        mean = np.einsum("nl,nlp->np", said, moves)
        slope = np.einsum("n,nl,nlp->p", weights, said - truths, moves) + precision * (found - centre)
        curve = np.einsum("n,nl,nlp,nlq->pq", weights, said, moves, moves, optimize=True)
        curve -= np.einsum("n,np,nq->pq", weights, mean, mean, optimize=True)
        step = np.linalg.solve(curve + np.diag(precision), slope)
        # Half a step at a time where a whole one is far: the loss is convex, so this ends.
        found -= step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-8:
            break
    return Head(round(float(found[0]), 6), (0.0, *(round(float(one), 6) for one in found[1:])))


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
        macro_f1=round(_macro_f1(probabilities.argmax(axis=1), labels, probabilities.shape[1]), 4),
        rows=len(labels),
        known=1.0,
        sure=round(float(sure.mean()), 4),
        sure_right=round(float(hit[sure].mean()), 4) if sure.any() else 0.0,
    )


# ---------------------------------------------------------------- the gate


def _enough(card: Card, home: Material, alpha: float) -> list[Check]:
    days = len(np.unique(home.days))
    checks = [Check(f"labels of {LEAST_DAYS} days", f"{days}", days >= LEAST_DAYS)]
    for number, label in enumerate(card.labels):
        own = home.labels == number
        on = len(np.unique(home.days[own]))
        checks.append(
            Check(
                f"“{label}” in {needed(alpha)} rows of 2 days",
                f"{int(own.sum())} of {on}",
                bool(own.sum() >= needed(alpha) and on >= 2),
            )
        )
    told = len(home.labels) + home.contradicted
    share = home.contradicted / told if told else 0.0
    checks.append(Check(f"told both ways at most {CONTRADICTED:.0%}", f"{share:.1%}", share <= CONTRADICTED))
    return checks


def _better_loss(
    now: NDArray[np.float64], then: NDArray[np.float64], labels: NDArray[np.int64], days: NDArray[np.int64]
) -> Check:
    """A day is one look: the mean gain over days must be above its own standard error."""
    rows = np.arange(len(labels))
    gain = np.log(np.clip(then[rows, labels], 1e-6, None)) - np.log(np.clip(now[rows, labels], 1e-6, None))
    by_day = np.array([gain[days == day].mean() for day in np.unique(days)])
    error = float(by_day.std(ddof=1) / len(by_day) ** 0.5)
    return Check(
        "log loss falls on held-out days, by more than its standard error",
        f"by {by_day.mean():+.4f} ± {error:.4f} over {len(by_day)} days",
        bool(by_day.mean() > error),
    )


def _as_right(now: NDArray[np.float64], then: NDArray[np.float64], labels: NDArray[np.int64]) -> Check:
    before, after = _balanced(now, labels), _balanced(then, labels)
    return Check(
        f"each label called right on held-out days as often as before, and in {FOLLOWED:.0%} at least (mean over labels)",
        f"{before:.4f} before, {after:.4f} after",
        after >= max(before, FOLLOWED),
    )


def _within(head: Head) -> Check:
    low, high = STEEPEST
    shift = max(head.bias) - min(head.bias)
    return Check(
        f"scale {low:g} to {high:g}, shift {FARTHEST:g} at most",
        f"scale {head.scale:g}, shift {shift:.2f}",
        low <= head.scale <= high and shift <= FARTHEST,
    )


def _golden(shipped: Bundle, head: Head) -> Check:
    """No worse where it came from: by the golden rows' truths where the bundle has them, else by the shipped model's own sure calls."""
    before = shipped.golden_probabilities.astype(np.float64)
    after = head.apply(before)
    if shipped.golden_labels is not None:
        old, new = (float((p.argmax(axis=1) == shipped.golden_labels).mean()) for p in (before, after))
        return Check(
            "golden rows called right as often as by the shipped model",
            f"{old:.4f}, now {new:.4f}",
            new >= old,
        )
    sure = before.max(axis=1) >= SURE_GOLDEN
    kept = int((before.argmax(axis=1) == after.argmax(axis=1))[sure].sum())
    return Check(
        f"golden rows that the shipped model is sure of ({SURE_GOLDEN:g}) keep their label",
        f"{kept} of {int(sure.sum())}",
        kept == int(sure.sum()),
    )


# ---------------------------------------------------------------- calibration and region


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


def _region(before: Region | None, home: Material) -> tuple[Region | None, Check]:
    """Return the region of this home, where fewer ordinary rows of it are unlike anything seen then; else the one there was."""
    asked = "novelty region: fewer ordinary rows of this home lie outside, or it stays"
    if before is None:
        return None, Check(asked, "the card has none", True)
    known = np.isfinite(home.lived).all(axis=1)
    if len(np.unique(home.lived_days[known])) < LEAST_DAYS:
        return before, Check(asked, f"fewer than {LEAST_DAYS} days: it stays", True)
    outside = float(np.mean([before.unlike(row) is not None for row in home.lived[known]]))
    try:
        region = novelty_region(home.lived, home.lived_days)
    except LearnError as few:
        return before, Check(asked, f"{few.message}: it stays", True)
    then = float(np.mean([region.unlike(row) is not None for row in home.lived[known]]))
    if then >= outside:
        return before, Check(asked, f"{outside:.1%} lie outside, {then:.1%} would: it stays", True)
    return region, Check(asked, f"{outside:.1%} lay outside, {then:.1%} do now", True)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    said: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return said


def _balanced(said: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    right = said.argmax(axis=1) == labels
    return round(float(np.mean([right[labels == label].mean() for label in np.unique(labels)])), 6)


def _macro_f1(called: NDArray[np.int64], labels: NDArray[np.int64], size: int) -> float:
    found = []
    for label in range(size):
        hit = int(((called == label) & (labels == label)).sum())
        wrong = int((called != labels)[(called == label) | (labels == label)].sum())
        if hit + wrong:
            found.append(2 * hit / (2 * hit + wrong))
    return float(np.mean(found))
