"""Owns the families of tuned policies: how a candidate is drawn, and the policy that it makes.

Each family gets the same number of candidates. Never in here: a home, or which candidate is best.
"""

import numpy as np
import policies

NAMES = (
    "threshold on the mean",
    "threshold, presence",
    "hysteresis",
    "hysteresis, presence",
    "ladder",
    "ladder, presence",
    "threshold, true presence",
    "ladder, true presence",
)


def uses(family: str) -> str:
    """Which word on presence a family is given: "nothing", "model" or "truth"."""
    if "presence" not in family:
        return "nothing"
    return "truth" if "true" in family else "model"


def candidate(family: str, rng: np.random.Generator) -> tuple:
    """Draw one candidate, limits in µg/m³ log-uniformly."""

    def limit(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    away = limit(1.0, 20.0) if "presence" in family else 1.0
    level = int(rng.integers(1, 5))
    if family.startswith("threshold"):
        return (limit(3, 60), level, away)
    if family.startswith("hysteresis"):
        high = limit(3, 60)
        return (high, high * float(rng.uniform(0.3, 1.0)), level, away)
    first = limit(3, 30)
    steps = np.cumprod(np.exp(rng.uniform(np.log(1.2), np.log(4.0), 3)))
    return ((first, *(float(first * step) for step in steps)), float(rng.uniform(0.3, 1.0)), away)


def made(family: str, chosen: tuple, scale: float = 1.0):
    """The policy of a candidate, all limits multiplied by `scale`."""
    if family.startswith("threshold"):
        limit, level, away = chosen
        return policies.Threshold(limit * scale, level, away)
    if family.startswith("hysteresis"):
        high, low, level, away = chosen
        return policies.Hysteresis(high * scale, low * scale, level, away)
    limits, back, away = chosen
    return policies.Ladder(tuple(limit * scale for limit in limits), back, away)
