"""Owns the gate: what must hold before a refit changes anything. Few, contradictory or hostile labels stop here.

Never in here: making what is judged.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle import Bundle, Card, Head
from appliance.core.trust import needed
from appliance.refit.material import Material

LEAST_DAYS = 3
"""So many labelled days are needed, and each label on two of them at least: one day says nothing of the next."""
CONTRADICTED = 0.05
"""Where more than this share of the labelled rows was told both ways, somebody does not mean it."""
FOLLOWED = 0.70
"""Held-out days on which each label's rows are not called right so often, on average over the labels, are no truth that a head can learn."""
STEEPEST, FARTHEST = (0.25, 4.0), 4.0
"""Bounds of a head's scale, and of its shift between two labels in logits: whoever needs more needs another model."""
SURE_GOLDEN = 0.90
"""Golden rows without a truth: where the shipped model gave its label this probability, it must go on calling it."""


class Check(msgspec.Struct, frozen=True):
    """One bar of the gate: what was asked, what was found, and whether it holds."""

    asked: str
    found: str
    holds: bool


def enough(card: Card, home: Material, alpha: float) -> list[Check]:
    """Enough days, enough rows of each label on more than one day, and nobody who says both."""
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


def enough_to_train(card: Card, home: Material, alpha: float) -> list[Check]:
    """What training anew asks besides: a model that is fitted as a whole is promised for a *day*, so each label needs days as `alpha` needs
    rows; and each feature must move.
    """
    checks = []
    for number, label in enumerate(card.labels):
        on = len(np.unique(home.days[home.labels == number]))
        checks.append(
            Check(
                f"“{label}” on {needed(alpha)} days: what the error level {alpha:g} needs to be promised of a new day",
                f"{on}",
                on >= needed(alpha),
            )
        )
    still = [
        feature.name
        for feature, column in zip(card.features.features, home.rows.T, strict=True)
        if not len(column) or float(np.ptp(column)) == 0
    ]
    checks.append(
        Check("each feature moves in the labelled rows", f"still: {', '.join(still) or 'none'}", not still)
    )
    return checks


def since_then(labels: NDArray[np.int64], days: NDArray[np.int64]) -> Check:
    """`labels` and `days` are those of days on which the version in force had not been made yet."""
    told, labels_told = len(np.unique(days)), len(np.unique(labels))
    return Check(
        f"{LEAST_DAYS} labelled days, and more than one label, since the version in force was made",
        f"{told} days, {labels_told} labels",
        told >= LEAST_DAYS and labels_told > 1,
    )


def better_loss(
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


def as_right(now: NDArray[np.float64], then: NDArray[np.float64], labels: NDArray[np.int64]) -> Check:
    """Right as often, and for a rare label too; and a truth can be followed: what cannot is noise, or meant to harm."""
    before, after = now.argmax(axis=1), then.argmax(axis=1)
    accuracy = [float((called == labels).mean()) for called in (before, after)]
    f1 = [macro_f1(called, labels, now.shape[1]) for called in (before, after)]
    followed = _balanced(after, labels)
    return Check(
        f"accuracy and macro F1 on held-out days no less than before, and each label called right in {FOLLOWED:.0%} (mean over labels)",
        f"accuracy {accuracy[0]:.4f}, now {accuracy[1]:.4f}; macro F1 {f1[0]:.4f}, now {f1[1]:.4f}; labels {followed:.4f}",
        accuracy[1] >= accuracy[0] and f1[1] >= f1[0] and followed >= FOLLOWED,
    )


def within(head: Head) -> Check:
    """A head bends a model; one that turns it round is another model."""
    low, high = STEEPEST
    shift = max(head.bias) - min(head.bias)
    return Check(
        f"scale {low:g} to {high:g}, shift {FARTHEST:g} at most",
        f"scale {head.scale:g}, shift {shift:.2f}",
        low <= head.scale <= high and shift <= FARTHEST,
    )


def golden(shipped: Bundle, after: NDArray[np.float64]) -> Check:
    """No worse where it came from, `after` (G, L) being what it says of the shipped golden rows: by their truths where the bundle has them, else by
    the shipped model's own sure calls.
    """
    before = shipped.golden_probabilities.astype(np.float64)
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


def macro_f1(called: NDArray[np.int64], labels: NDArray[np.int64], size: int) -> float:
    """Return the mean over `size` labels of F1; one that neither occurs nor is called is left out."""
    found = []
    for label in range(size):
        hit = int(((called == label) & (labels == label)).sum())
        wrong = int((called != labels)[(called == label) | (labels == label)].sum())
        if hit + wrong:
            found.append(2 * hit / (2 * hit + wrong))
    return float(np.mean(found))


def _balanced(called: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    right = called == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
