"""Owns what a rule may speak of, and the fixed words and units in which it does.

Never in here: the order in which words may stand (parser).
"""

import re
from collections.abc import Mapping

import msgspec

from appliance.core.clock import SECOND, WEEK
from appliance.core.quantities import Quantity
from appliance.errors import ProfileError

UNITS_OF_TIME = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND}
LONGEST_H = 366 * 24
"""A duration is at most a year."""
DAYS: dict[str, tuple[int, ...]] = {
    **{name: (number,) for number, name in enumerate(WEEK)},
    "workday": (0, 1, 2, 3, 4),
    "weekend": (5, 6),
}
"""What `day is` may be followed by; holidays are no days of the week."""
RESERVED = frozenset(
    {
        "time",
        "day",
        "state",
        "acknowledged",
        "age",
        "unknown",
        "and",
        "or",
        "not",
        "for",
        "is",
        "min",
        "max",
        "mean",
        "rising",
        "falling",
        "of",
        "per",
        "between",
        "to",
    }
)
"""Words of the language, which name no channel."""
UNSAYABLE = frozenset({"unknown", "not"})
"""After `is` these mean something else, so no device says or does them."""


class Vocabulary(msgspec.Struct, frozen=True):
    """What may be spoken of: a quantity for each measured channel, the words for each other one (`learned` are those that a
    model says); the actions and modes of the appliance itself, which is called "", and of the others of the home.
    """

    measured: Mapping[str, Quantity]
    worded: Mapping[str, tuple[str, ...]] = {}
    actions: Mapping[str, tuple[str, ...]] = {}
    learned: frozenset[str] = frozenset()


def duration_ns(text: str, *, where: str) -> int:
    """Return the nanoseconds of a duration as "5 min".

    Raises:
        ProfileError: it is no positive number with one of the units s, min, h, or longer than a year.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise ProfileError(
            f"{where}: {text!r} is no duration", hint='write a number and a unit: "30 s", "5 min", "2 h"'
        )
    span = nanoseconds(match[1], match[2])
    if span is None:
        raise ProfileError(f"{where}: longer than a year", hint='write a shorter time, as "2 h"')
    return span


def nanoseconds(number: str, unit: str) -> int | None:
    """Return the nanoseconds of `number`, as written, of `unit`; None where that is longer than a year."""
    span = float(number) * UNITS_OF_TIME[unit]
    # Compared first: so many digits are infinite, which no whole number is.
    return round(span) if span <= LONGEST_H * UNITS_OF_TIME["h"] else None
