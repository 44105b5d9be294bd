"""Owns when the daemon is in safe mode: after three crashes within five minutes, for an hour or until somebody ends it.

A pure judgement over the journal of runs. Never in here: the journal, or what safe mode leaves out.
"""

from collections.abc import Sequence

import msgspec

from appliance.adapters.runs import History, Run
from appliance.core.clock import SECOND, Instant

CRASHES = 3
WITHIN_NS = 300 * SECOND
LASTS_NS = 3600 * SECOND


class SafeMode(msgspec.Struct, frozen=True):
    """Why and until when nothing but rules and fallback decide."""

    until: Instant
    why: str


def judge(history: History, now: Instant) -> SafeMode | None:
    """Return the safe mode that holds at `now`, or None.

    Only runs of this boot count: what a reboot or a power cut ended is no crash of ours, and after one, how long ago a
    crash was can't be told. A crash in safe mode prolongs it.
    """
    until = None
    recent: list[int] = []
    crashes = _counted(history, now)
    for run in crashes:
        assert run.ended is not None
        at = run.ended.boottime_ns
        recent = [one for one in recent if at - one <= WITHIN_NS] + [at]
        if len(recent) >= CRASHES or (until is not None and at <= until):
            until = at + LASTS_NS
    if until is None or until <= now.boottime_ns:
        return None
    return SafeMode(
        now.plus(until - now.boottime_ns),
        f"{CRASHES} crashes within {WITHIN_NS // SECOND // 60} min; the last: {crashes[-1].why}",
    )


def _counted(history: History, now: Instant) -> Sequence[Run]:
    pardoned = history.pardoned
    since = pardoned.boottime_ns if pardoned is not None and pardoned.boot_id == now.boot_id else -1
    return [
        run
        for run in history.runs
        if run.crashed
        and run.ended is not None
        and run.ended.boot_id == now.boot_id
        and since < run.ended.boottime_ns <= now.boottime_ns
    ]
