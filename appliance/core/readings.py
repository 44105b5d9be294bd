"""Owns the reading and the trust in it: what a sensor said, and whether that may be acted on.

Never in here: what a reading leads to, or how it was spelt on the wire.
"""

from enum import IntEnum

import msgspec


class Quality(IntEnum):
    """How far a value may be trusted. Only GOOD enters windows and refreshes a channel."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


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
