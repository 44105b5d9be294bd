"""Owns a person's word: whether it is still in force, and the voice that it is.

One override an appliance; the newest replaces it; its time ends it. Never in here: how a hand is told from an echo (commands).
"""

from datetime import tzinfo

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.clock import SECOND, Instant
from appliance.core.events import Override

LONGEST_NS = 24 * 3600 * SECOND
"""No override holds longer than a day: what is forgotten must end."""


def begin(action: str, by: str, now: Instant, for_ns: int) -> Override:
    """Return an override of `action` from `now` on, for `for_ns` but a day at most."""
    return Override(action, by, now, now.plus(min(max(for_ns, SECOND), LONGEST_NS)))


def in_force(override: Override | None, now: Instant) -> bool:
    """Return whether `override` still holds. Within one boot by boot time; across a reboot by wall time, the only one left."""
    if override is None:
        return False
    left = override.until.since(now)
    return left > 0 if left is not None else override.since.wall_ns <= now.wall_ns < override.until.wall_ns


def ends_ns(override: Override, now: Instant) -> int:
    """Return the `boottime_ns` of this boot at which `override` ends."""
    left = override.until.since(now)
    return now.boottime_ns + (left if left is not None else override.until.wall_ns - now.wall_ns)


def propose(override: Override, ladder: Ladder, zone: tzinfo) -> Proposal | None:
    """Return the person's voice, or None for a mode: it lies off the ladder."""
    if override.action not in ladder.actions:
        return None
    index = ladder.actions.index(override.action)
    return Proposal(index, index, Authority.MANUAL, f"person by {override.by}", because(override, zone))


def because(override: Override, zone: tzinfo) -> str:
    """Return the reason in words, with the local time at which it ends."""
    way = WAYS.get(override.by, f"through {override.by}")
    return f"a person chose {override.action} {way}, until {override.until.local(zone):%H:%M}"


WAYS = {
    "device": "at the device",
    "page": "on the page",
    "http": "through the API",
    "cli": "on the command line",
}
