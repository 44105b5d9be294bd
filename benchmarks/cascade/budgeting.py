"""Owns what an owner's budget gives: hard cases in order of time, the cache first, then the very budget that the daemon keeps.

Unlike `offloading`, nothing here looks ahead: a case is asked about when it comes, if something is left. Never in here: a budget's rule.
"""

from collections.abc import Sequence

import numpy as np
from offloading import Outcome, by_answers
from scenes import Scene

from appliance.adapters.edge.budget import Budget

CASES_PERCENT = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
MB_A_DAY = (0.1, 1.0)


def under(one: Scene, cases_percent: float, mb_a_day: float, bytes_out: int, bytes_in: int) -> Outcome:
    """Return what follows under a budget: each home has its own, and its own cache, which is empty at the start."""
    count = len(one.labels)
    offered, answers = np.zeros(count, bool), np.arange(count)
    hard = one.local.known & one.edge.known & ~one.local.sure
    for home in np.unique(one.home).tolist():
        rows = np.flatnonzero(one.home == home)
        budget = Budget(cases_percent, mb_a_day, float(one.at_s[rows[0]]))
        cache: dict[int, int] = {}
        for at in rows.tolist():
            budget.seen(1)
            if not hard[at]:
                continue
            if (kept := cache.get(int(one.bucket[at]))) is not None:
                offered[at], answers[at] = True, kept
            elif budget.take(bytes_out + bytes_in, float(one.at_s[at]), case=True):
                budget.spend(bytes_out, bytes_in)
                offered[at] = True
                cache[int(one.bucket[at])] = at
    return by_answers(one, offered, answers)


def pairs() -> Sequence[tuple[float, float]]:
    """Return the budgets that are tried: (cases_percent, mb_a_day)."""
    return [(cases, mb) for mb in MB_A_DAY for cases in CASES_PERCENT]
