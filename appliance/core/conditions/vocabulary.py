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
    }
)
"""Words of the language, which name no channel."""


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
        ProfileError: it is no positive number with one of the units s, min, h.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise ProfileError(
            f"{where}: {text!r} is no duration", hint='write a number and a unit: "30 s", "5 min", "2 h"'
        )
    return round(float(match[1]) * UNITS_OF_TIME[match[2]])
