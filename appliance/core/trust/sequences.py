"""Owns what may be said of a rate at every trial at once, however often somebody looks ("any-time valid"): evidence, and an interval.

Let x be 1 where something happens, and p its probability given all before. For each tilt t > 0 the product of the factors
exp(t x) / (1 + q (exp(t) - 1)) is a nonnegative supermartingale that begins at one while p <= q, so by Ville's inequality it ever reaches
1 / level with a probability of at most `level`; so does a mixture over tilts (sub-Bernoulli bounds: Howard, Ramdas, McAuliffe and Sekhon,
Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49, 2021, arXiv 1810.08240), and one over the
trial at which to begin (Shin, Ramdas and Rinaldo, E-detectors, arXiv 2203.03532). Rates may change from trial to trial: as
log(1 + q (exp(t) - 1)) is concave in q, an interval is one of the mean of the rates so far. Never in here: what is counted, or what
follows from it.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import exp, expm1, log, log1p

TILTS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Tilts, with equal weights: good against odds that are exp(t) times those of the bound. That costs log(6) = 1.8 nats beside the best one."""
STRIDE = 64
"""After so many trials evidence begins once more, at the i-th time with the weight 1 / (i (i + 1)); those sum to one."""
LONGEST = 20_000
"""Beyond so many trials the answer of `trials_needed` is: too many."""


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


def grown(before: Sequence[float], trials: int, bound: float, *, happened: bool) -> tuple[float, ...]:
    """Return the evidence (tilts) that something happens more often than `bound`, after one more trial than `trials`.

    `before` is that of the `trials`, or empty. Its sum ever reaches 1 / level with a probability of at most `level` while the rate stays
    at or below `bound`, whatever else it does.
    """
    begun, past = divmod(trials, STRIDE)
    fresh = 0.0 if past else 1.0 / ((begun + 1) * (begun + 2) * len(TILTS))
    factors = _factors(bound)[happened]
    if len(before) != len(TILTS):
        before = (0.0,) * len(TILTS)
    return tuple((one + fresh) * factor for one, factor in zip(before, factors, strict=True))


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


@lru_cache(maxsize=64)
def _factors(bound: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """By what evidence, by tilt, is multiplied where it did not happen, and where it did."""
    idle = tuple(1.0 / (1.0 + bound * expm1(tilt)) for tilt in TILTS)
    return idle, tuple(exp(tilt) * factor for tilt, factor in zip(TILTS, idle, strict=True))


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
