"""Owns what audits show of a model in this home: how often it disagrees with a bigger one, and whether it may still act.

An audit asks the bigger model about a case of which the local one is sure, drawn at random (`drawing`): a measurement, never a voice.
Never in here: when one is drawn, who is asked, or which voice speaks instead.

What is said holds at every audit at once (`sequences`), so that it may be looked at, and acted upon, after each.
"""

from math import log

import msgspec

from appliance.core.trust.sequences import grown, interval, trials_needed

LEVEL = 0.05
"""The probability, over a model's whole life in a home, that anything said of its disagreement is wrong."""
RISE = 2.0
"""A fallen model rises when it is shown to disagree less often than this many times its budget. To be shown within the budget itself, a
model that is exactly as good as its card would need audits without end."""
LEAST_BUDGET = 0.005
"""A card's disagreement counts as this much at least: no card rests on so many days that it could tell less from nothing."""
DAYS = 28
"""So many days are kept for people to look at; nothing is decided by them."""
LABELS = 16
"""So many labels are kept apart in these days; what has another one counts in the totals alone."""


class Day(msgspec.Struct, frozen=True, array_like=True):
    """What was counted on `day` (since 1970, in the home's zone), by label of `Audits.labels`, in flat fours: audits where the model said
    it, how many of them disagreed, labels by people while it said it, how many of them were another one.
    """

    day: int
    counts: tuple[int, ...]


class Counted(msgspec.Struct, frozen=True):
    """One line of the table by day: of `audits` at which the model said `label` so many `disagreed`; of labels by people, so many `missed`."""

    day: int
    label: str
    audits: int
    disagreed: int
    labelled: int
    missed: int


class Audits(msgspec.Struct, frozen=True):
    """What audits showed so far of `version` of a channel's model, measured by `edge_version` of the bigger one, against `budget`.

    `fallen`: it may not act. Since the day `since`, when the sequence number `number` began, `disagreed` of `trials` audits disagreed;
    `evidence` (tilts) is that for the next change of standing, empty where none can follow. `labelled` and `missed` count what people
    said of this version in all. Less than a kilobyte with two labels, and bounded whatever happens.
    """

    version: int
    edge_version: int = 0
    budget: float = 0.0
    fallen: bool = False
    number: int = 1
    since: int = 0
    trials: int = 0
    disagreed: int = 0
    evidence: tuple[float, ...] = ()
    labelled: int = 0
    missed: int = 0
    labels: tuple[str, ...] = ()
    days: tuple[Day, ...] = ()

    @property
    def level(self) -> float:
        """The error level of the present sequence: LEVEL / (n (n + 1)) for the n-th, which sum to LEVEL over all that ever begin."""
        return LEVEL / (self.number * (self.number + 1))

    def by_day(self) -> list[Counted]:
        """Return what was counted in the last days, in the order in which they came; labels without a count are left out."""
        return [
            Counted(one.day, label, *fours)
            for one in self.days
            for number, label in enumerate(self.labels)
            if any(fours := one.counts[4 * number : 4 * number + 4])
        ]


class Standing(msgspec.Struct, frozen=True):
    """Whether a model may act, and what that rests on: of `trials` audits since the day `since`, `disagreed` disagreed.

    The mean rate lies between `low` and `high`, at `level`, at every audit at once. `doubt`: how much of the evidence that changes the
    standing is there, from 0 to 1. `budget`: what the card allows.
    """

    acts: bool
    because: str
    trials: int = 0
    disagreed: int = 0
    low: float = 0.0
    high: float = 1.0
    level: float = LEVEL
    budget: float = 0.0
    doubt: float = 0.0
    since: int = 0


def acts(audits: Audits | None, version: int) -> bool:
    """Return whether `version` of the model may act: it may unless audits of this very version showed that it may not."""
    return audits is None or not audits.fallen or audits.version != version


def audited(
    before: Audits | None,
    *,
    version: int,
    edge_version: int,
    local: str,
    edge: str,
    day: int,
    budget: float,
    better: bool,
) -> Audits:
    """Return what is known after the local model was sure of `local` where the bigger one thinks `edge` the likeliest.

    `budget`: the share of held-out rows at which the local card says that they disagree. `better`: whether the bigger model's card shows it
    better on held-out data; where it is not, disagreement may be its own error, is shown, and fells nobody.

    The model **falls** when the evidence that it disagrees more often than its budget reaches 1 / level: at the latest when `low` of
    the interval since its standing began exceeds the budget, and sooner where only later audits are bad, since evidence begins once more
    every `sequences.STRIDE` audits. While its rate stays within the budget it ever falls with a probability of `level` at most. It
    **rises** by the same rule when the rate is shown to be below RISE times the budget: at the latest when `high` is; with a rate above
    that, it ever does so with `level` at most. So a model that acts has either its card alone, not contradicted, or a measurement in this
    home, and no more is claimed of it than that.

    Each change of standing begins a new sequence, with a smaller level. Another `version` begins wholly anew, with its own card. Another
    `edge_version`, or budget, begins a new sequence; what has fallen stays fallen: a change of the judge acquits nobody.
    """
    budget = max(budget, LEAST_BUDGET)
    now = _of_version(before, version, day)
    if (now.edge_version, now.budget) != (edge_version, budget):
        now = msgspec.structs.replace(now, edge_version=edge_version, budget=budget)
        now = _next_sequence(now, day) if now.trials else now
    disagree = local != edge
    labels, days = _counted(now, local, day, (1, int(disagree), 0, 0))
    evidence: tuple[float, ...] = ()
    if now.fallen:
        evidence = grown(now.evidence, now.trials, 1.0 - _ceiling(budget), happened=not disagree)
    elif better:
        evidence = grown(now.evidence, now.trials, budget, happened=disagree)
    now = msgspec.structs.replace(
        now,
        trials=now.trials + 1,
        disagreed=now.disagreed + disagree,
        evidence=evidence,
        labels=labels,
        days=days,
    )
    if sum(evidence) * now.level < 1.0:
        return now
    return _next_sequence(msgspec.structs.replace(now, fallen=not now.fallen), day)


def labelled(before: Audits | None, *, version: int, local: str, truth: str, day: int) -> Audits:
    """Return what is known after somebody said `truth` of a moment at which the model said `local`.

    Counted and shown, by day and label. People speak where something is wrong, so the share that was missed is one of moments that were
    labelled, and moves no standing by itself; each miss makes the model more careful as it is (`adapting`).
    """
    now = _of_version(before, version, day)
    missed = local != truth
    labels, days = _counted(now, local, day, (0, 0, 1, int(missed)))
    return msgspec.structs.replace(
        now, labelled=now.labelled + 1, missed=now.missed + missed, labels=labels, days=days
    )


def standing(audits: Audits | None, version: int) -> Standing:
    """Return whether `version` of the model may act, and why, for people."""
    if audits is None or audits.version != version or not (audits.trials or audits.fallen):
        return Standing(acts=True, because="not audited yet: its card alone speaks for it")
    low, high = interval(audits.disagreed, audits.trials, audits.level)
    bound = _ceiling(audits.budget) if audits.fallen else audits.budget
    if audits.fallen:
        because = f"it disagreed too often; it acts again when that is shown to be below {100 * bound:.2g} %"
    elif audits.evidence:
        because = f"not shown to disagree more often than its card's {100 * bound:.2g} %"
    else:
        because = "the bigger model is not known to be better, so that this moves nothing"
    total = sum(audits.evidence)
    return Standing(
        acts=not audits.fallen,
        because=because,
        trials=audits.trials,
        disagreed=audits.disagreed,
        low=low,
        high=high,
        level=audits.level,
        budget=audits.budget,
        doubt=min(1.0, max(0.0, log(total) / -log(audits.level))) if total > 0.0 else 0.0,
        since=audits.since,
    )


def audits_needed(
    budget: float, rate: float, *, fallen: bool = False, number: int = 1, share: float = 0.9
) -> int | None:
    """Return after how many audits of the sequence `number` a `share` of models that disagree at `rate` has fallen (or risen, where
    `fallen`); None: too many to be told (`sequences.LONGEST`).
    """
    level = Audits(0, number=number).level
    budget = max(budget, LEAST_BUDGET)
    if fallen:
        return trials_needed(1.0 - _ceiling(budget), 1.0 - rate, level, share)
    return trials_needed(budget, rate, level, share)


def _ceiling(budget: float) -> float:
    """The rate below which a fallen model rises; for a large budget half-way to one."""
    return min(RISE * budget, (1.0 + budget) / 2)


def _of_version(before: Audits | None, version: int, day: int) -> Audits:
    return before if before is not None and before.version == version else Audits(version, since=_sane(day))


def _next_sequence(now: Audits, day: int) -> Audits:
    return msgspec.structs.replace(
        now, number=now.number + 1, since=_sane(day), trials=0, disagreed=0, evidence=()
    )


def _sane(day: int) -> int:
    """A day that any encoding can hold: clocks may say anything."""
    return max(-(2**31), min(2**31 - 1, day))


def _counted(
    now: Audits, label: str, day: int, fours: tuple[int, int, int, int]
) -> tuple[tuple[str, ...], tuple[Day, ...]]:
    """Return the labels and days after one more count. Days leave in the order in which they came, so that none that a wrong clock
    told stays for good.
    """
    labels, day = now.labels, _sane(day)
    if label not in labels:
        if len(labels) == LABELS:
            return labels, now.days
        labels = (*labels, label)
    at, days = 4 * labels.index(label), list(now.days)
    place = next((number for number, one in enumerate(days) if one.day == day), len(days))
    counts = list(days[place].counts) if place < len(days) else []
    counts += [0] * (at + 4 - len(counts))
    for number, more in enumerate(fours):
        counts[at + number] += more
    days[place : place + 1] = [Day(day, tuple(counts))]
    return labels, tuple(days[-DAYS:])
