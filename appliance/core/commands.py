"""Owns the words between an appliance and its device: how an action is commanded, how a report is understood.

Never in here: deciding, or a dialect's spelling of topics and payloads.
"""

from collections.abc import Mapping
from functools import cached_property

import msgspec

from appliance.core.clock import SECOND
from appliance.core.payloads.message import Scalar

SETTLE_NS = 3 * SECOND
"""How long a device may take to obey. Echoes, late reports of the command before, and the device's own report all come
within it (a zigbee fan reports within 1 to 2 s), so no report inside it is a hand. Three tries stay under 10 s."""
TRIES = 3
"""So often a command is sent before the device counts as not obeying."""
FAULT_RETRY_NS = 600 * SECOND
"""A device that would not obey is tried again so often: somebody may have plugged it in meanwhile (assumed)."""
RETURN_NS = 10 * SECOND
"""After a link, a bridge or the device came back, reports tell what happened meanwhile; none of them is a hand."""
LONGEST_ASK_NS = 60 * SECOND
"""A device that does not say what it is doing is asked again three times a second apart, then after 2 s, 4 s, 8 s, and then so often."""

LEASE_UNITS = ("seconds", "pulsetime")
"""How devices count the time until they switch themselves off."""


def lease_value(lease_ns: int, unit: str) -> int:
    """Return a lease in a device's own unit: "seconds" (zigbee2mqtt's on_time), or "pulsetime": Tasmota's PulseTime counts
    tenths of a second up to 111, and beyond it seconds plus 100 (tasmota.github.io, Commands).
    """
    seconds = max(1, round(lease_ns / SECOND))
    if unit == "pulsetime":
        return seconds * 10 if seconds <= 11 else seconds + 100
    return seconds


class Spelling(msgspec.Struct, frozen=True):
    """One action in the device's words: `set` commands it; a report in which all of `seen` hold means it.

    `leased`: the device itself ends it after the actuator's lease.
    """

    action: str
    set: Mapping[str, Scalar]
    seen: Mapping[str, tuple[Scalar, ...]]
    leased: bool = False

    def fits(self, states: Mapping[str, Scalar]) -> bool:
        """Return whether a report of `states` (metric -> value) means this action."""
        return bool(self.seen) and all(states.get(metric) in words for metric, words in self.seen.items())


class Actuator(msgspec.Struct, frozen=True, dict=True):
    """The device that carries out an appliance's actions. `spellings` are tried in order: the first that fits, holds."""

    device: str
    spellings: tuple[Spelling, ...]
    askable: bool = True
    """Whether its dialect knows how to ask what it is doing."""
    lease_ns: int | None = None
    """After which time the device ends a leased action by itself, unless it is commanded again."""

    def command(self, action: str) -> Mapping[str, Scalar]:
        """Return what to set for `action`, which is one of the spellings'."""
        return self._by_action[action].set

    def leases(self, action: str | None) -> bool:
        """Return whether the device ends `action` by itself."""
        if self.lease_ns is None or action is None:
            return False
        spelling = self._by_action.get(action)
        return spelling is not None and spelling.leased

    @cached_property
    def _by_action(self) -> Mapping[str, Spelling]:
        return {spelling.action: spelling for spelling in self.spellings}

    def recognise(self, states: Mapping[str, Scalar], expected: str | None) -> str | None:
        """Return the action that `states` (metric -> value) mean, or None where they mean none that is known.

        A plug's "on" may mean several levels: where `expected`, what was commanded last, is one of them, it is meant.
        """
        fits = [spelling.action for spelling in self.spellings if spelling.fits(states)]
        if not fits:
            return None
        return expected if expected in fits else fits[0]

    @cached_property
    def reports(self) -> bool:
        """Whether this device ever says what it does."""
        return any(spelling.seen for spelling in self.spellings)

    @cached_property
    def waits(self) -> bool:
        """Whether a command has to wait for the device's first word: only where it reports, and can be asked."""
        return self.reports and self.askable

    @property
    def asks(self) -> tuple[str, ...]:
        """The properties to ask for its state."""
        return tuple(dict.fromkeys(name for spelling in self.spellings for name in spelling.set))


class Flight(msgspec.Struct, frozen=True, gc=False):
    """A command on its way: sent at `sent_ns`, for the `tries`-th time; `faulted` once the device would not obey."""

    sent_ns: int
    tries: int
    faulted: bool = False

    def flying(self, now_ns: int) -> bool:
        """Return whether the device may still be about to obey."""
        return now_ns - self.sent_ns < SETTLE_NS
