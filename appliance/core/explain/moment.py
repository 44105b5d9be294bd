"""Owns how a person names a moment of the past: a time of day, a day and a time, or the number of a decision.

Never in here: a clock; `now` is handed in.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from appliance.core.clock import SECOND, WEEK, Instant
from appliance.errors import Malformed

LONGEST = 64
"""So many characters say any moment."""

_NUMBER = re.compile(r"#([1-9][0-9]{0,17})\Z")
_OF_DAY = re.compile(rf"(?:(today|yesterday|{'|'.join(WEEK)})\s+)?(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?\Z")
_AGO = re.compile(r"(\d{1,5})\s*(s|min|h|d)\s+ago\Z")
_AGO_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
HINT = 'write "19:30", "yesterday 19:30", "monday 7:05", "2 h ago", an ISO 8601 date and time, or a decision as "#123"'


def decision_number(text: str) -> int | None:
    """Return the number in "#123", None where `text` names no decision."""
    found = _NUMBER.match(text.strip())
    return None if found is None else int(found[1])


def moment_ns(text: str, now: Instant, zone: tzinfo) -> int:
    """Return the Unix nanoseconds of the moment that `text` names, in the home's zone where it names none itself.

    A time of day without a day, or with a weekday, is the latest such one that has passed. A time that a clock change made
    come twice is the first; one that it left out is taken as if the clock had not been changed.

    Raises:
        Malformed: it names no moment, or one that is still to come.
    """
    said = text.strip().lower()
    local = now.local(zone)
    at = None
    if len(said) <= LONGEST:
        at = _of_day(said, local) or _ago(said, local) or _iso(text.strip(), zone)
    if at is None:
        raise Malformed("this names no moment", hint=HINT, reason="time")
    try:
        wall_ns = round(at.timestamp() * 1e6) * 1000
    except (OverflowError, ValueError, OSError):
        raise Malformed("this moment is out of any calendar", hint=HINT, reason="time") from None
    if wall_ns > now.wall_ns + SECOND:
        raise Malformed("this moment is still to come", hint="name one that has passed", reason="time")
    return wall_ns


def _of_day(said: str, local: datetime) -> datetime | None:
    found = _OF_DAY.match(said)
    if found is None:
        return None
    day, hour, minute, second = found[1], int(found[2]), int(found[3]), int(found[4] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    at = local.replace(hour=hour, minute=minute, second=second, microsecond=0, fold=0)
    if day == "yesterday":
        return at - timedelta(days=1)
    if day == "today":
        return at
    if day is not None:
        at -= timedelta(days=(local.weekday() - WEEK.index(day)) % 7)
        return at if at <= local else at - timedelta(days=7)
    return at if at <= local else at - timedelta(days=1)


def _ago(said: str, local: datetime) -> datetime | None:
    found = _AGO.match(said)
    if found is None:
        return None
    # In UTC, so that an hour is one also across a clock change.
    return local.astimezone(UTC) - timedelta(seconds=int(found[1]) * _AGO_S[found[2]])


def _iso(text: str, zone: tzinfo) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)
