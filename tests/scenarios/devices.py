"""Owns the pretended device of an appliance: it hears commands on the wire, obeys a second later, and says so.

Never in here: sensors, or anything that the core does.
"""

import json
from typing import Any

from appliance.core.commands import Spelling
from appliance.core.payloads.message import Message
from appliance.core.profile import Appliance

OBEYS_AFTER_S = 1.0


class Device:
    """One device. `commanded` is what it was told; `leases` counts how often its own timer was started. `mode` is "obeys",
    "stuck" (hears and answers, does not obey), "deaf" (speaks, does not hear) or "silent" (unplugged).
    """

    def __init__(self, spec: Appliance, doing: str | None = None) -> None:
        self.spec = spec
        self.dialect, _, self.name = spec.actuator.device.partition("/")
        self.doing = doing or spec.ladder.actions[0]
        self.mode = "obeys"
        self.leases = 0
        self.commanded: list[str] = []
        self._told: dict[str, Any] = {}

    def hear(self, topic: str, payload: bytes) -> list[Message]:
        """Take a message off the wire; return what it says in answer."""
        if self.dialect == "zigbee2mqtt":
            if topic == f"zigbee2mqtt/{self.name}/get":
                return [] if self.mode == "deaf" else self.report()
            if topic != f"zigbee2mqtt/{self.name}/set":
                return []
            said = json.loads(payload)
            self._told = {**self._told, **said}
        elif self.dialect == "tasmota":
            prefix = f"cmnd/{self.name}/"
            if not topic.startswith(prefix):
                return []
            command = topic.removeprefix(prefix)
            if command.upper() in ("STATE", "STATUS"):
                return [] if self.mode == "deaf" else self.report()
            said = {command: payload.decode()}
            self._told = {**self._told, **said}
        else:
            return []
        wanted = next((one for one in self.spec.actuator.spellings if self._means(one, said)), None)
        if wanted is None:
            return []
        self.commanded.append(wanted.action)
        if self.mode in ("silent", "deaf"):
            return []
        if self.mode == "obeys":
            self.doing = wanted.action
            if self.spec.actuator.leases(wanted.action):
                self.leases += 1
        return self.report()

    def _means(self, spelling: Spelling, said: dict[str, Any]) -> bool:
        """Its own timer says nothing of what it is to do; of several actions that are spelt alike the first holds."""
        told = all(str(self._told.get(key)) == str(value) for key, value in spelling.set.items())
        return told and bool(said.keys() & spelling.set.keys() - {"PulseTime", "on_time"})

    def run_out(self, lease: int) -> list[Message]:
        """The device's own timer ends, unless a later command set it anew."""
        if lease != self.leases or self.mode == "silent" or not self.spec.actuator.leases(self.doing):
            return []
        return self.turn(self.spec.ladder.actions[0])

    def turn(self, action: str) -> list[Message]:
        """A hand switches it."""
        self.doing = action
        self._told = dict(self.spec.actuator.command(action))
        return self.report()

    def report(self) -> list[Message]:
        """Return what it says of what it does, in its dialect; nothing where it is silent."""
        if self.mode == "silent":
            return []
        spelling = next(one for one in self.spec.actuator.spellings if one.action == self.doing)
        seen = {metric: words[0] for metric, words in spelling.seen.items()}
        if self.dialect == "zigbee2mqtt":
            upper = {"state", "fan_state"}
            said = {
                key: value.upper() if key in upper and isinstance(value, str) else value
                for key, value in seen.items()
            }
            return [Message(f"zigbee2mqtt/{self.name}", json.dumps(said).encode())]
        names = {"state": "POWER", "fan_speed": "FanSpeed"}
        said = {
            names.get(metric, metric.replace("state_", "POWER")): value.upper()
            if isinstance(value, str)
            else value
            for metric, value in seen.items()
        }
        return [Message(f"stat/{self.name}/RESULT", json.dumps(said).encode())]
