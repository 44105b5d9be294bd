"""Owns the purifier: what it delivers, draws and sounds like at each mode, and how it changes mode.

Never in here: messages, or who commands it.

An IKEA STARKVIND (E2007) has the modes off, auto and nine speeds, of which its knob offers five. Per mode:

    clean air   260 m³/h at the highest speed, 50 m³/h at the lowest (IKEA product information, not re-read
                for this table); in between in proportion to the speed (fan laws: flow follows speed; assumed)
    power       0.2 W off; 1.6, 2.2, 3.6, 5.8, 8.9, 13.0, 18.3, 21.4, 24.8 W at modes 1 to 9: measured at the
                plug (homeassistant-powercalc, profile_library/ikea/E2007, its percentages read as modes 1 to
                9)
    sound       24 dB(A) at the lowest and 53 dB(A) at the highest speed (IKEA product information, as above);
                in between with the logarithm of the flow (fan laws, ASHRAE Handbook); off: 0
    auto        by its own sensor: green to 35 µg/m³, amber to 85, red above (IKEA manual); the speeds 1, 5
                and 9 that it chooses there are assumed
"""

from collections.abc import Mapping
from math import log
from types import MappingProxyType
from typing import Final

import msgspec

ACTIONS: Final = ("off", "low", "medium", "high", "turbo")
"""The ladder that a controller steps on; "auto" lies beside it."""
MODES: Final = ("off", "auto", "1", "2", "3", "4", "5", "6", "7", "8", "9")
TOP: Final = 9

COMMANDED: Final[Mapping[str, str]] = MappingProxyType(
    {"off": "off", "low": "2", "medium": "4", "high": "6", "turbo": "9", "auto": "auto"}
)
"""Action -> mode, as the shipped purifier profile commands it."""
KNOB: Final[Mapping[str, str]] = MappingProxyType(
    {"off": "off", "low": "1", "medium": "3", "high": "5", "turbo": "9", "auto": "auto"}
)
"""Action -> mode, as a hand can set it: the knob's speeds 1 to 5 are the modes 1, 3, 5, 7 and 9."""

_CLEAN = (0.0, *(50.0 + (260.0 - 50.0) * (speed - 1) / (TOP - 1) for speed in range(1, TOP + 1)))
_SOUND = (0.0, *(24.0 + (53.0 - 24.0) * log(clean / 50.0) / log(260.0 / 50.0) for clean in _CLEAN[1:]))
_WATTS = (0.2, 1.6, 2.2, 3.6, 5.8, 8.9, 13.0, 18.3, 21.4, 24.8)
_ACTION = ("off", "low", "low", "medium", "medium", "high", "high", "high", "turbo", "turbo")

GREEN, AMBER = 35.0, 85.0
AUTO_SPEEDS = (1, 5, 9)


class Output(msgspec.Struct, frozen=True):
    """What a purifier does at one speed: clean air in m³/h, electric power in W, sound pressure in dB(A)."""

    clean_m3_per_h: float
    power_w: float
    sound_dba: float


OUTPUTS: Final = tuple(Output(*row) for row in zip(_CLEAN, _WATTS, _SOUND, strict=True))
"""By speed, 0 (off) to 9."""


class Purifier:
    """The appliance itself. Mutable: `mode` is what it was told, `speed` what its fan does."""

    __slots__ = ("mode", "speed")

    def __init__(self, mode: str = "off") -> None:
        self.mode = "off"
        self.speed = 0
        self.turn(mode, None)

    @property
    def output(self) -> Output:
        """What it does now."""
        return OUTPUTS[self.speed]

    @property
    def action(self) -> str:
        """The action of the ladder that it does now, whoever chose it."""
        return _ACTION[self.speed]

    def turn(self, mode: str, sensed: float | None) -> None:
        """Enter `mode`, one of `MODES`; `sensed`: what its own sensor says in µg/m³, None where it is off."""
        self.mode = mode
        self.speed = 0 if mode == "off" else int(mode) if mode != "auto" else self._auto(sensed)

    def sense(self, sensed: float) -> bool:
        """In auto mode choose the speed for `sensed` µg/m³; return whether it changed."""
        if self.mode != "auto":
            return False
        before, self.speed = self.speed, self._auto(sensed)
        return self.speed != before

    @staticmethod
    def _auto(sensed: float | None) -> int:
        if sensed is None or sensed <= GREEN:
            return AUTO_SPEEDS[0]
        return AUTO_SPEEDS[1] if sensed <= AMBER else AUTO_SPEEDS[2]
