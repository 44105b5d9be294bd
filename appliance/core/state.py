"""Owns everything that the core remembers: of each appliance, of each device, of the link.

Never in here: changing it. `controller.decide` makes a new state from an old one and never alters its argument.
"""

from collections.abc import Mapping

import msgspec

from appliance.core.arbitration import Voice
from appliance.core.commands import Flight
from appliance.core.conditions import Node
from appliance.core.edge import Offered
from appliance.core.events import Decision, Memory
from appliance.core.payloads.message import Scalar
from appliance.core.senses import Learned, Sense
from appliance.core.words import Told


class DeviceState(msgspec.Struct, frozen=True, gc=False):
    """What a device said last, to tell a new message from a re-send of a cache. `told_ns`: when we last commanded it.

    `doubted`: the stamp, in seconds, of a message that went far back since, and when that was heard.
    """

    values: Mapping[str, Scalar] = {}
    last_seen: str | None = None
    told_ns: int | None = None
    doubted: tuple[float, int] | None = None


class ApplianceState(msgspec.Struct, frozen=True):
    """What is remembered of one appliance: `memory` outlives a restart, the rest is heard again or rebuilt.

    `states` is the fold of its device's reports; `answered` whether any came since the link is up; `asks` how often it was
    asked since then for one, the last time at `asked_ns`; `quiet_until_ns` until when a change is no hand; `rests_on` is how each input stood at the last decision; `voices` who was heard at the newest look,
    also where `last` stood; `wake_ns` when to look again; `offered` what each channel of a model
    has with the edge.
    """

    senses: Mapping[str, Sense]
    learned: Mapping[str, Learned]
    memory: Memory
    words: Mapping[str, Told] = {}
    states: Mapping[str, Scalar] = {}
    available: bool | None = None
    answered: bool = False
    asks: int = 0
    asked_ns: int = 0
    resend: bool = False
    flight: Flight | None = None
    quiet_until_ns: int = 0
    last: Decision | None = None
    rests_on: tuple[int, ...] = ()
    voices: tuple[Voice, ...] = ()
    leased_ns: int | None = None
    ends: tuple[str, Node] | None = None
    troubles: frozenset[str] = frozenset()
    wants: int | None = None
    wake_ns: int = 0
    offered: Mapping[str, Offered] = {}


class State(msgspec.Struct, frozen=True):
    """The whole of it. `next_id` numbers decisions over the whole history; `wake_ns` is never later than any appliance's."""

    appliances: Mapping[str, ApplianceState]
    devices: Mapping[str, DeviceState] = {}
    next_id: int = 1
    connected: bool = False
    since_ns: int = 0
    wake_ns: int = 0
