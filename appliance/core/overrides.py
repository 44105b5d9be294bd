"""Owns a person's word: how it begins, whether it is still in force, and the voice that it is.

One override an appliance; the newest replaces it; its end ends it, and nothing else does: not a restart, a lost link, an
alarm (which is merely stronger), or a device that is away. Never in here: how a hand is told from an echo (hands).
"""

import re
from collections.abc import Mapping
from datetime import UTC, timedelta, tzinfo

import msgspec

from appliance.core.arbitration import Authority, Ladder, Proposal
from appliance.core.clock import SECOND, Instant
from appliance.core.conditions import For, Node, Vocabulary, parse
from appliance.core.events import Override
from appliance.errors import ProfileError

LONGEST_NS = 24 * 3600 * SECOND
"""No override with an end holds longer than a day: a condition that never comes true must not hold for ever."""

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")


class Ends(msgspec.Struct, frozen=True):
    """What an override of one appliance may wait for: a condition in `vocabulary`, or one of the profile's `named` ones."""

    vocabulary: Vocabulary
    named: Mapping[str, str] = {}

    def condition(self, text: str) -> Node:
        """Return the condition that `text` is, or names.

        Raises:
            ProfileError: it is none; points at the place.
        """
        node = parse(self.named.get(text, text), self.vocabulary, where="until")
        if any(isinstance(part, For) for part in node.walk()):
            raise ProfileError("until: it can't wait for a `for`", hint="leave the duration out")
        return node


def begin(
    action: str,
    by: str,
    now: Instant,
    default_ns: int,
    *,
    for_ns: int | None = None,
    until: str | None = None,
    open_ended: bool = False,
    zone: tzinfo = UTC,
) -> Override:
    """Return an override of `action` from `now` on: for `for_ns` (a second at least, a day at most), until a time of day in
    `zone`, until a condition (a day at most), without an end, or, where nothing is said, for `default_ns`.
    """
    if open_ended:
        return Override(action, by, now, None)
    if until is not None:
        clock = _CLOCK.match(until.strip())
        if clock is None:
            return Override(action, by, now, now.plus(LONGEST_NS), ends=until.strip())
        return Override(action, by, now, _next(int(clock[1]), int(clock[2]), now, zone), by_wall=True)
    length = default_ns if for_ns is None else for_ns
    return Override(action, by, now, now.plus(min(max(length, SECOND), LONGEST_NS)))


def is_clock(text: str) -> bool:
    """Return whether `text` is a time of day, as 07:00."""
    return _CLOCK.match(text.strip()) is not None


def _next(hour: int, minute: int, now: Instant, zone: tzinfo) -> Instant:
    """Return the next instant at which the clock on the wall shows this time; where it is skipped in spring, an hour later."""
    local = now.local(zone)
    at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    # By Unix time: of two local times of one zone the later on the wall may be the earlier, in the hour that comes twice.
    coming = (
        one for one in (at.replace(fold=0), at.replace(fold=1)) if one.timestamp() > now.wall_ns / SECOND
    )
    then = next(coming, (at + timedelta(days=1)).replace(fold=0))
    # By Unix time: two local times of one zone are subtracted on the wall, and that is wrong across a clock change.
    # In whole seconds: a float of today's Unix time is some hundred nanoseconds off, and 06:44:59.9999 reads as 06:44.
    return now.plus(round(then.timestamp()) * SECOND - now.wall_ns)


def in_force(override: Override | None, now: Instant) -> bool:
    """Return whether the time of `override` still runs. Within one boot by boot time; across a reboot, and where a time of day
    was said, by wall time.
    """
    if override is None:
        return False
    if override.until is None:
        return True
    left = None if override.by_wall else override.until.since(now)
    if left is not None:
        return left > 0
    # A clock that fell back to before it was said (1970 after a power cut) must not hold it for ever, nor end it: it is
    # unknown, and a day at most.
    return override.since.wall_ns - LONGEST_NS <= now.wall_ns < override.until.wall_ns


def ends_ns(override: Override, now: Instant) -> int | None:
    """Return the `boottime_ns` of this boot at which `override` ends by time, or None."""
    if override.until is None:
        return None
    left = None if override.by_wall else override.until.since(now)
    return now.boottime_ns + (left if left is not None else override.until.wall_ns - now.wall_ns)


def propose(override: Override, ladder: Ladder, zone: tzinfo) -> Proposal | None:
    """Return the person's voice, or None for a mode: it lies off the ladder."""
    if override.action not in ladder.actions:
        return None
    index = ladder.actions.index(override.action)
    return Proposal(index, index, Authority.MANUAL, f"person by {override.by}", because(override, zone))


def because(override: Override, zone: tzinfo) -> str:
    """Return the reason in words, with what ends it."""
    way = WAYS.get(override.by, f"through {override.by}")
    return f"a person chose {override.action} {way}, until {ending(override, zone)}"


def ending(override: Override, zone: tzinfo) -> str:
    """Return what ends it, in words."""
    if override.until is None:
        return "they say otherwise"
    clock = f"{override.until.local(zone):%H:%M}"
    return clock if override.ends is None else f"{override.ends} (or {clock} tomorrow)"


WAYS = {
    "device": "at the device",
    "page": "on the page",
    "http": "through the API",
    "cli": "on the command line",
    "mqtt": "over MQTT",
    "advice": "by accepting what was recommended",
}
