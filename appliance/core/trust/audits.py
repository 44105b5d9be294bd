"""Owns what audits show of a model in this home: how often it disagrees with a bigger one, and whether it may still act.

An audit asks the bigger model about a case of which the local one is sure, drawn at random (`drawing`): a measurement, never a voice.
Never in here: when one is drawn, who is asked, or which voice speaks instead.

What is said holds at every audit at once (`sequences`), so that it may be looked at, and acted upon, after each.
"""

from math import ceil, log

import msgspec
from msgspec.structs import replace

from appliance.core.trust.sequences import grown, interval, shares_needed, staked, tilted, trials_needed
from appliance.core.trust.tally import Counted, Tally

LEVEL = 0.05
"""The probability, over a version's whole life in a home, that any interval that is told of its disagreement is wrong; and, besides, that any
change of its standing is."""
RISE = 2.0
"""A fallen model rises when it is shown to disagree less often than this many times its budget. To be shown within the budget itself, a
model that is exactly as good as its card would need audits without end."""
LEAST_BUDGET = 0.005
"""A card's disagreement counts as this much at least: no card rests on so many days that it could tell less from nothing."""
BLOCK = 24
"""So many audits at least make a block, of whole days: what is so for a day counts as one thing, not as many (docs/audits.md)."""
MOST_COUNTED = 480
"""Audits a day, when it is told how many days a fall takes."""
BLOCKS_ANEW, AUDITS_ANEW = 7, 64
"""After so many blocks, or audits where it has fallen, evidence begins anew."""


class Audits(msgspec.Struct, frozen=True):
    """What audits showed so far of `version` of a channel's model, measured by `edge_version` of the bigger one, against `budget`.

    `fallen`: it may not act. Since the day `since`, when the sequence number `number` began, `disagreed` of `trials` audits disagreed;
    `evidence` is that for the next change of standing. The block that is open holds `block` audits, of which `block_disagreed`, the last on
    the day `last`; `blocks` are closed. `better`: whether they can make it fall. `labelled` and `missed` count what people said of this
    version in all. About a kilobyte with two labels, and bounded whatever happens.
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
    blocks: int = 0
    block: int = 0
    block_disagreed: int = 0
    last: int = 0
    better: bool = True
    labelled: int = 0
    missed: int = 0
    tally: Tally = Tally()

    @property
    def level(self) -> float:
        """The error level of the present sequence: LEVEL / (n (n + 1)) for the n-th, which sum to LEVEL over all that ever begin."""
        return LEVEL / (self.number * (self.number + 1))

    def by_day(self) -> list[Counted]:
        """Return what was counted in the last days, by label."""
        return self.tally.lines()


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
    """Return what is known after the local model was sure of `local` where the bigger one says `edge`, sure or not.

    `budget`: the share of held-out rows at which the local card says that they disagree. `better`: whether the bigger model's card shows it
    better than this local one; where it is not, disagreement may be its own error, is shown, and fells nobody.

    The model **falls** when the evidence that it disagrees more often than its budget reaches 1 / level. The share of a block, which is
    one or more whole days, is one observation: while its mean, given the blocks before, is within the budget, the model ever falls with a
    probability of `level` at most, however disagreements crowd within a day. It **rises** when the share of the sure time since then, from
    which audits are drawn, is shown to be below RISE times the budget: at the latest when `high` of the interval is; while it is not
    below, it does with a probability of `level` at most. So a model that acts has either its card alone, not contradicted, or a
    measurement in this home, and no more is claimed of it than that.

    Each change of standing begins a new sequence, with a smaller level. Another `version` begins wholly anew, with its own card. Another
    `edge_version`, or budget, begins a new sequence; what has fallen stays fallen: a change of the judge acquits nobody.
    """
    budget, day = max(budget, LEAST_BUDGET), _sane(day)
    now = _of_version(before, version, day)
    if (now.edge_version, now.budget, now.better) != (edge_version, budget, better):
        now = replace(now, edge_version=edge_version, budget=budget, better=better)
        now = _next_sequence(now, day, fallen=now.fallen) if now.trials else now
    if not now.fallen and now.block >= BLOCK and now.last != day:
        now = _closed(now, day)
    disagree = local != edge
    evidence = now.evidence
    if now.fallen:
        begun, past = divmod(now.trials, AUDITS_ANEW)
        factors = tilted(1.0 - _ceiling(budget), happened=not disagree)
        evidence = grown(evidence, factors, 0 if past else begun + 1)
    now = replace(
        now,
        trials=now.trials + 1,
        disagreed=now.disagreed + disagree,
        evidence=evidence,
        block=now.block + 1,
        block_disagreed=now.block_disagreed + disagree,
        last=day,
        tally=now.tally.audited(day, local, disagreed=disagree),
    )
    if now.fallen and sum(evidence) * now.level >= 1.0:
        return _next_sequence(now, day, fallen=False)
    return now


def labelled(before: Audits | None, *, version: int, local: str, truth: str, day: int) -> Audits:
    """Return what is known after somebody said `truth` of a moment at which the model said `local`.

    Counted and shown, by day and label. People speak where something is wrong, so the share that was missed is one of moments that were
    labelled, and moves no standing by itself; each miss makes the model more careful as it is (`adapting`).
    """
    day = _sane(day)
    now = _of_version(before, version, day)
    missed = local != truth
    tally = now.tally.labelled(day, local, missed=missed)
    return replace(now, labelled=now.labelled + 1, missed=now.missed + missed, tally=tally)


def standing(audits: Audits | None, version: int) -> Standing:
    """Return whether `version` of the model may act, and why, for people."""
    if audits is None or audits.version != version or not (audits.trials or audits.fallen):
        return Standing(acts=True, because="not audited yet: its card alone speaks for it")
    low, high = interval(audits.disagreed, audits.trials, audits.level)
    bound = _ceiling(audits.budget) if audits.fallen else audits.budget
    if audits.fallen:
        because = f"it disagreed too often; it acts again when that is shown to be below {100 * bound:.2g} %"
    elif audits.better:
        because = f"not shown to disagree more often, day by day, than its card's {100 * bound:.2g} %"
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


def days_to_fall(budget: float, rate: float, a_day: int = 48, number: int = 1) -> tuple[int, int] | None:
    """Return within how many days, of `a_day` audits, half and nine of ten of models that disagree at `rate` fall, in the sequence
    `number`; None: never, as far as is promised. Where there are fewer than BLOCK a day an observation takes several days; of more than
    MOST_COUNTED so many are counted, as the rest hastens nothing that is worth the time to tell.
    """
    days = ceil(BLOCK / a_day)
    size = min(a_day * days, MOST_COUNTED)
    needed = shares_needed(max(budget, LEAST_BUDGET), rate, size, Audits(0, number=number).level)
    return None if needed is None else (needed[0] * days, needed[1] * days)


def audits_to_rise(budget: float, rate: float, number: int = 2, share: float = 0.9) -> int | None:
    """Return after how many audits of the sequence `number` a `share` of fallen models that disagree at `rate` has risen; None: too many to
    be told (`sequences.LONGEST`), or never, as far as is promised.
    """
    level = Audits(0, number=number).level
    return trials_needed(1.0 - _ceiling(max(budget, LEAST_BUDGET)), 1.0 - rate, level, share)


def _ceiling(budget: float) -> float:
    """The rate below which a fallen model rises; for a large budget half-way to one."""
    return min(RISE * budget, (1.0 + budget) / 2)


def _of_version(before: Audits | None, version: int, day: int) -> Audits:
    return before if before is not None and before.version == version else Audits(version, since=day)


def _closed(now: Audits, day: int) -> Audits:
    """What is known after the open block has become one observation, and perhaps the last that was needed."""
    if now.better:
        begun, past = divmod(now.blocks, BLOCKS_ANEW)
        factors = staked(now.budget, now.block_disagreed / now.block)
        now = replace(now, evidence=grown(now.evidence, factors, 0 if past else begun + 1))
        if sum(now.evidence) * now.level >= 1.0:
            return _next_sequence(now, day, fallen=True)
    return replace(now, blocks=now.blocks + 1, block=0, block_disagreed=0)


def _next_sequence(now: Audits, day: int, *, fallen: bool) -> Audits:
    return replace(
        now,
        fallen=fallen,
        number=now.number + 1,
        since=day,
        trials=0,
        disagreed=0,
        evidence=(),
        blocks=0,
        block=0,
        block_disagreed=0,
    )


def _sane(day: int) -> int:
    """A day that any encoding can hold: clocks may say anything."""
    return max(-(2**31), min(2**31 - 1, day))
