"""Owns what may be said of a rate at every look at once, however often somebody looks ("any-time valid"): an interval, and evidence.

All of it are products of factors whose mean, given all before, is one at most while the rate is no greater than a bound q. Such a
product, and any mixture of such products, ever reaches 1 / level with a probability of at most `level` (Ville's inequality). Two kinds:

- tilts, for trials x of 0 or 1: exp(t x) / (1 + q (exp(t) - 1)) (sub-Bernoulli: Howard, Ramdas, McAuliffe and Sekhon, Time-uniform,
  nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49, 2021, arXiv 1810.08240). As log(1 + q (exp(t) - 1)) is
  concave in q, what is said is of the mean of the rates so far, which may change from trial to trial.
- stakes, for shares x between 0 and 1: 1 + f (x / q - 1) (betting on a bounded mean: Waudby-Smith and Ramdas, Journal of the Royal
  Statistical Society B 86, 2024, arXiv 2010.09686). Whatever happens within what is counted as one share.

They begin anew now and then, with falling weights that sum to one (Shin, Ramdas and Rinaldo, E-detectors, arXiv 2203.03532), so that a
change is not weighed against all the good that was before. Never in here: what is counted, or what follows from it.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, comb, exp, expm1, log, log1p, sqrt

TILTS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Tilts, with equal weights: good against odds that are exp(t) times those of the bound. That costs log(6) = 1.8 nats beside the best one."""
STAKES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Stakes, with equal weights: what is lost of the evidence at a share of nothing."""
LONGEST = 20_000
"""Beyond so many trials the answer of `trials_needed` is: too many."""
NINE_OF_TEN = 1.2816
"""The quantile of the normal distribution."""


@lru_cache(maxsize=1024)
def interval(successes: int, trials: int, alpha: float) -> tuple[float, float]:
    """Return (low, high), between which the mean of the rates at the first `trials` trials lies, at every number of trials at once, with
    probability 1 - `alpha`; alpha / 2 for each end. The lower end is the q at which the mean over TILTS of
    exp(t successes) / (1 + q (exp(t) - 1)) ** trials is 2 / alpha; the upper one is that of the failures, from the other side.

    Raises:
        ValueError: counts that cannot be, or an alpha that is no probability.
    """
    if not (0 <= successes <= trials and 0.0 < alpha < 1.0):
        raise ValueError(f"no interval of {successes} in {trials} at {alpha}")
    return _lowest(successes, trials, alpha / 2), 1.0 - _lowest(trials - successes, trials, alpha / 2)


def grown(before: Sequence[float], factors: Sequence[float], beginning: int = 0) -> tuple[float, ...]:
    """Return the evidence that follows on `before` (or on nothing, where empty): multiplied by `factors`. `beginning`: it begins anew
    besides, for the i-th time, with the weight 1 / (i (i + 1)); those sum to one. 0: it does not.
    """
    fresh = 1.0 / (beginning * (beginning + 1) * len(factors)) if beginning else 0.0
    if len(before) != len(factors):
        before = (0.0,) * len(factors)
    return tuple((one + fresh) * factor for one, factor in zip(before, factors, strict=True))


@lru_cache(maxsize=64)
def tilted(bound: float, *, happened: bool) -> tuple[float, ...]:
    """Return the factors (tilts) of a trial for a rate above `bound`, a probability below one."""
    return tuple(exp(tilt * happened) / (1.0 + bound * expm1(tilt)) for tilt in TILTS)


def staked(bound: float, share: float) -> tuple[float, ...]:
    """Return the factors (stakes) of a `share` in [0, 1] for a mean above `bound`, which is above zero."""
    return tuple(1.0 + stake * (share / bound - 1.0) for stake in STAKES)


@lru_cache(maxsize=64)
def shares_needed(bound: float, rate: float, size: int, level: float) -> tuple[int, int] | None:
    """Return after how many shares of `size` independent trials each, at `rate`, half and nine of ten of all cases have reached 1 / `level`
    for a mean above `bound`; None: never.

    Of the first beginning and the best stake alone, with the sum of logarithms taken for normal; the others hasten it.
    `size` is 1,000 at most: beyond, what can be drawn is more than a float holds.
    """
    chances = [comb(size, count) * rate**count * (1.0 - rate) ** (size - count) for count in range(size + 1)]
    found: list[tuple[float, float]] = []
    target = log(2.0 * len(STAKES) / level)
    for number in range(len(STAKES)):
        gains = [log(staked(bound, count / size)[number]) for count in range(size + 1)]
        mean = sum(chance * gain for chance, gain in zip(chances, gains, strict=True))
        variance = sum(chance * (gain - mean) ** 2 for chance, gain in zip(chances, gains, strict=True))
        if mean > 0.0:
            wide = NINE_OF_TEN * sqrt(variance)
            found.append((target / mean, ((wide + sqrt(wide**2 + 4.0 * mean * target)) / (2.0 * mean)) ** 2))
    if not found:
        return None
    return ceil(min(one for one, _ in found)), ceil(min(one for _, one in found))


@lru_cache(maxsize=128)
def trials_needed(bound: float, rate: float, level: float, share: float = 0.9) -> int | None:
    """Return after how many trials at `rate` the evidence for more than `bound` has reached 1 / `level` in `share` (above `level`) of all
    cases; None: more than LONGEST, or never.

    Exact for what the first beginning does, by following all binomial paths to its boundary; later beginnings only hasten it.
    """
    if rate <= bound:
        return None
    target = log(2.0 / level)
    # `waiting`: the probability of so many successes, from `least` on, where it has not been decided; `edge`: the number that decides.
    waiting, least, edge, decided = [1.0], 0, 0, 0.0
    for trials in range(1, LONGEST + 1):
        waiting = [
            stays * (1.0 - rate) + comes * rate
            for stays, comes in zip((*waiting, 0.0), (0.0, *waiting), strict=True)
        ]
        while _weight(edge, trials, bound) < target:
            edge += 1
        kept = max(0, edge - least)
        decided += sum(waiting[kept:])
        waiting = waiting[:kept]
        if decided >= share:
            return trials
        first = next((at for at, one in enumerate(waiting) if one > 1e-15), 0)
        waiting, least = waiting[first:], least + first
        while len(waiting) > 1 and waiting[-1] <= 1e-15:
            waiting.pop()
    return None


def _weight(successes: int, trials: int, bound: float) -> float:
    """The logarithm of the evidence of one beginning that the rate is above `bound`."""
    parts = [tilt * successes - trials * log1p(bound * expm1(tilt)) for tilt in TILTS]
    top = max(parts)
    return top + log(sum(exp(part - top) for part in parts) / len(TILTS))


def _lowest(successes: int, trials: int, alpha: float) -> float:
    """The greatest rate that so many successes refute, to within 1e-7 below it; 0 where they refute none."""
    target = -log(alpha)
    if not trials or _weight(successes, trials, 0.0) < target:
        return 0.0
    low, high = 0.0, successes / trials
    while high - low > 1e-7:
        middle = (low + high) / 2
        if _weight(successes, trials, middle) >= target:
            low = middle
        else:
            high = middle
    return low
