"""Owns when the next audit is: at instants of a Poisson process, which see a home as time does.

Never in here: what is asked then, or whether the budget allows it. Gaps are exponential, so that what was before tells nothing of the next
one: audits meet each state of a home as often as time does (Poisson arrivals see time averages: Wolff, Operations Research 30,
1982). An instant that finds no case to audit is none, and the next one is drawn from there; so is one that passed while nobody ran.
"""

from math import log

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def next_audit_ns(now_ns: int, mean_ns: int, seed: int) -> int:
    """Return the instant of the next audit after `now_ns`, on the same clock, at a mean gap of `mean_ns`.

    The same three give the same instant; another `now_ns` or `seed` (any integers) another, independent one. It is 1 ns later at least, and
    37 times the mean at most.

    Raises:
        ValueError: a mean that is not positive.
    """
    if mean_ns <= 0:
        message = f"audits cannot have a mean gap of {mean_ns} ns"
        raise ValueError(message)
    # 53 bits, as many as a float has, and never zero.
    uniform = ((_mixed(_mixed(seed & _MASK) ^ (now_ns & _MASK)) >> 11) + 1) / 2**53
    return now_ns + max(1, round(-log(uniform) * mean_ns))


def _mixed(state: int) -> int:
    """One step of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014)."""
    state = (state + _GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)
