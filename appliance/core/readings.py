"""Owns the reading and the trust in it: what a sensor said, and whether that may be acted on.

Never in here: what a reading leads to, or how it was spelt on the wire.
"""

from collections.abc import Sequence
from enum import IntEnum
from math import isfinite
from typing import Self

import msgspec

from appliance.core.clock import SECOND, Instant
from appliance.core.quantities import Quantity

SMOOTHING_S = 10
SMOOTHING_NS = SMOOTHING_S * SECOND
"""Sensors average over about ten seconds, so two readings closer together than that may differ as much as ten seconds
allow: a jump is judged against the greater of the time passed and this (assumed)."""


class Quality(IntEnum):
    """How far a value may be trusted. Only GOOD enters windows and refreshes a channel."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


_FINE: tuple[Quality, None] = (Quality.GOOD, None)


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One thing that one device said once.

    `device` is `dialect/name`, as "zigbee2mqtt/living_air"; `metric` is a name of the vocabulary in
    `appliance.core.quantities` (perhaps with a suffix, as "power_1"); a number is in the quantity's canonical unit where
    `unit` is not None; states are words ("on") or flags, with `unit` None.
    """

    device: str
    metric: str
    value: float | int | str | bool
    unit: str | None


class Channel(msgspec.Struct, frozen=True):
    """What an appliance listens to: a quantity, and how long a good value holds. Times in nanoseconds of boot time.

    `frozen_after_ns`: a value that was heard but did not move for so long is BAD; None: it may stand still.
    """

    name: str
    quantity: Quantity
    max_age_ns: int
    frozen_after_ns: int | None

    @classmethod
    def of(cls, name: str, quantity: Quantity, *, max_age_ns: int | None = None) -> Self:
        """Return the channel of `quantity`, with the quantity's own times where no other is given."""
        frozen = quantity.frozen_after_s
        return cls(
            name,
            quantity,
            round(quantity.max_age_s * SECOND) if max_age_ns is None else max_age_ns,
            None if frozen is None else round(frozen * SECOND),
        )


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of one source of a channel. Times are `boottime_ns`.

    `value` is what it said last, `changed_ns` since when it says so, `heard_ns` when it said it last; `good_value` and
    `good_ns` are of the last GOOD reading. `jumped_to` is a value rejected as a jump, which a second one like it confirms.
    """

    heard_ns: int
    changed_ns: int
    value: float | None
    quality: Quality
    reason: str | None
    good_ns: int | None = None
    good_value: float | None = None
    jumped_to: float | None = None


def check(
    reading: Reading, channel: Channel, previous: Heard | None, now: Instant, *, retained: bool = False
) -> tuple[Quality, str | None]:
    """Return how far `reading` may be trusted on `channel`, and the reason where it is not GOOD.

    BAD: no number, not finite, a sentinel, outside the quantity's range, a jump faster than the quantity can move (until a
    second reading like it confirms it), unmoved for `frozen_after` away from zero. UNCERTAIN: retained, so of unknown
    age; without a unit that anybody declared.
    """
    quantity = channel.quantity
    value = reading.value
    # A flag is an int to isinstance, and no number.
    if type(value) is not float and type(value) is not int:
        return Quality.BAD, "no number"
    if (
        not quantity.low <= value <= quantity.high
        or reading.unit != quantity.unit
        or value in quantity.sentinels
        or retained
    ):
        return _refused(value, reading.unit, quantity)
    if previous is None:
        return _FINE
    rate, good_value = quantity.max_rate_per_s, previous.good_value
    if (
        rate is not None
        and good_value is not None
        and abs(value - good_value) > rate * SMOOTHING_S
        and _jumps(value, rate, good_value, previous, now)
    ):
        return Quality.BAD, "jump"
    if (
        value == previous.value
        and channel.frozen_after_ns is not None
        and now.boottime_ns - previous.heard_ns <= channel.max_age_ns
        and now.boottime_ns - previous.changed_ns >= channel.frozen_after_ns
        and abs(value) > quantity.still_steps * quantity.resolution
    ):
        return Quality.BAD, "frozen"
    return _FINE


def _refused(value: float, unit: str | None, quantity: Quantity) -> tuple[Quality, str]:
    """Return what is wrong with a number that is not simply good, the worst first; where nothing else is, it was retained."""
    if not isfinite(value):
        return Quality.BAD, "no number"
    if value in quantity.sentinels:
        return Quality.BAD, "sentinel"
    if unit != quantity.unit:
        return (Quality.UNCERTAIN, "no unit") if unit is None else (Quality.BAD, f"unit {unit}")
    if not quantity.low <= value <= quantity.high:
        return Quality.BAD, "out of range"
    return Quality.UNCERTAIN, "retained"


def _jumps(value: float, rate: float, good_value: float, previous: Heard, now: Instant) -> bool:
    now_ns = now.boottime_ns
    good_ns = now_ns if previous.good_ns is None else previous.good_ns
    reach = rate * max(now_ns - good_ns, SMOOTHING_NS) / SECOND
    if abs(value - good_value) <= reach:
        return False
    # A second reading on the same side confirms the first: a plume that goes on rising is one, two spikes in a row hardly.
    jumped_to = previous.jumped_to
    return jumped_to is None or (value > good_value) is not (jumped_to > good_value)


def hear(
    reading: Reading,
    channel: Channel,
    previous: Heard | None,
    now: Instant,
    *,
    retained: bool = False,
    resent: bool = False,
) -> Heard:
    """Return what is remembered after `reading`. `resent`: a bridge repeated its whole cache, which refreshes nothing.

    What is no finite number is remembered as None, so that whoever shows `value` need not ask.
    """
    if resent and previous is not None:
        return previous
    fine = check(reading, channel, previous, now, retained=retained)
    now_ns = now.boottime_ns
    if previous is None:
        quality, reason = fine
        value = None if reason == "no number" else float(reading.value)
        if resent and fine is _FINE:
            quality, reason = Quality.UNCERTAIN, "resent"
        good = quality is Quality.GOOD
        return Heard(
            now_ns, now_ns, value, quality, reason, now_ns if good else None, value if good else None
        )
    value = None if fine[1] == "no number" else float(reading.value)
    # After a silence nobody knows whether it moved meanwhile: only what was heard not to move is frozen.
    still = value == previous.value and now_ns - previous.heard_ns <= channel.max_age_ns
    changed_ns = previous.changed_ns if still else now_ns
    quality, reason = fine
    if reason is None:
        return Heard(now_ns, changed_ns, value, quality, None, now_ns, value)
    jumped_to = value if reason == "jump" else None
    return Heard(now_ns, changed_ns, value, quality, reason, previous.good_ns, previous.good_value, jumped_to)


def known(heard: Heard, channel: Channel, now: Instant) -> float | None:
    """Return the last GOOD value where it is not older than the channel's `max_age`, else None: unknown."""
    if heard.good_ns is None or now.boottime_ns - heard.good_ns > channel.max_age_ns:
        return None
    return heard.good_value


def median(values: Sequence[float]) -> float:
    """Return the middle one of `values` (one or more); of an even number the mean of the middle two."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
