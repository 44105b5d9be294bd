"""Owns how the simulated devices speak through a zigbee2mqtt bridge: topics, caches and payloads.

Never in here: what a device measures or does, when it speaks, or a connection.

The bridge keeps a cache of all keys of a device and sends the whole of it with every change, so a key's
presence says nothing of its age. Shapes are those of zigbee2mqtt 2.x.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from appliance.core.payloads.message import Message
from appliance.simulate.declarations import AIR_QUALITY, DEVICES
from appliance.simulate.devices import LIVING_AIR, LIVING_CO2, PURIFIER
from appliance.simulate.purifier import MODES

BASE: Final = "zigbee2mqtt"
MAX_COMMAND: Final = 65_536
"""Bytes: a longer command is not read."""
DEVICE_AGE, FILTER_AGE = 60_313, 5_021
"""Minutes at the start: a purifier of a year and a filter of some months (assumed)."""

_UPDATE: Final = {"installed_version": -1, "latest_version": -1, "state": None}


def air_quality(pm25: float) -> str:
    """Return the bridge's word for the purifier's own reading in µg/m³; below 0 it has none."""
    if pm25 < 0:
        return "unknown"
    return next((word for limit, word in AIR_QUALITY if pm25 <= limit), "out_of_range")


class Bridge:
    """What the bridge knows of its devices. Mutable: `learn` changes a cache."""

    __slots__ = ("_start", "caches")

    def __init__(self, start: datetime, linkquality: Mapping[str, int]) -> None:
        self._start = start.astimezone(UTC)
        keys: dict[str, dict[str, Any]] = {
            LIVING_AIR: {
                "humidity": None,
                "pm25": None,
                "temperature": None,
                "update": _UPDATE,
                "voc_index": None,
            },
            LIVING_CO2: {"battery": 100, "co2": None, "humidity": None, "temperature": None},
            PURIFIER: {
                "air_quality": "unknown",
                "child_lock": "UNLOCK",
                "device_age": DEVICE_AGE,
                "fan_mode": "off",
                "fan_speed": 0,
                "fan_state": "OFF",
                "filter_age": FILTER_AGE,
                "identify": None,
                "led_enable": True,
                "pm25": -1,
                "replace_filter": False,
                "update": _UPDATE,
            },
        }
        self.caches: dict[str, dict[str, Any]] = {
            name: dict(sorted({**cache, "last_seen": None, "linkquality": linkquality[name]}.items()))
            for name, cache in keys.items()
        }

    def learn(self, device: str, changes: Mapping[str, Any], at: float) -> None:
        """Fold what `device` said at `at` seconds into its cache."""
        cache = self.caches[device]
        cache.update(changes)
        cache["last_seen"] = at

    @staticmethod
    def used(seconds: float) -> dict[str, int]:
        """Return how the purifier tells that its fan ran for `seconds` since the start: ages in minutes."""
        minutes = int(seconds // 60.0)
        return {"device_age": DEVICE_AGE + minutes, "filter_age": FILTER_AGE + minutes}

    def state(self, device: str) -> Message:
        """Return the whole cache of `device` as a message."""
        cache = dict(self.caches[device])
        seen = cache["last_seen"]
        if seen is not None:
            stamp = self._start + timedelta(seconds=seen)
            cache["last_seen"] = f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"
        return Message(f"{BASE}/{device}", msgspec.json.encode(cache))

    def declare(self) -> list[Message]:
        """Return what the bridge keeps retained: its state, its devices, and that each is available."""
        online = b'{"state":"online"}'
        return [
            Message(f"{BASE}/bridge/state", online, retained=True),
            Message(f"{BASE}/bridge/devices", msgspec.json.encode(DEVICES), retained=True),
            *(Message(f"{BASE}/{device}/availability", online, retained=True) for device in self.caches),
        ]


class Request(msgspec.Struct, frozen=True):
    """A command as it came: `wanted` is property -> value; `reads`: it asks for values instead."""

    device: str
    wanted: Mapping[str, Any]
    reads: bool


def understand(message: Message) -> Request | None:
    """Return what `message` asks of a device of this home, or None where a bridge would do nothing.

    `<base>/<device>/set` and `.../get` with a JSON object, or `.../set/<property>` with a JSON or bare value.
    """
    parts = message.topic.split("/")
    if (
        len(message.payload) > MAX_COMMAND
        or len(parts) not in (3, 4)
        or parts[0] != BASE
        or parts[2] not in ("set", "get")
    ):
        return None
    device, verb = parts[1], parts[2]
    if device not in (LIVING_AIR, LIVING_CO2, PURIFIER):
        return None
    value: Any
    try:
        value = msgspec.json.decode(message.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if len(parts) == 3:
            return None
        value = message.payload.decode("utf-8", "replace")
    if len(parts) == 4:
        value = {parts[3]: value}
    return Request(device, value, verb == "get") if isinstance(value, dict) else None


def mode_wanted(key: str, value: object) -> str | None:
    """Return the mode that `{key: value}` asks for, else None. A state of ON means auto."""
    word = str(value).lower()
    if key == "fan_state":
        return {"on": "auto", "off": "off"}.get(word)
    return word if key == "fan_mode" and word in MODES else None
