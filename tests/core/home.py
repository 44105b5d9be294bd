"""A home for tests: one purifier by the shipped profile or a profile of the test's own, driven by messages and seconds."""

import json
import tomllib
from typing import Any
from zoneinfo import ZoneInfo

from appliance.core import guards
from appliance.core.assembly import assemble
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import (
    Decision,
    Effect,
    Event,
    LinkChanged,
    Memory,
    Notify,
    PersonSpoke,
    Record,
    SendCommand,
    Tick,
)
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt
from appliance.core.profile import Appliance, Binding, read_profile
from appliance.core.registry import discover

START = Instant("boot-1", 1000 * SECOND, 1_767_225_600 * SECOND)
GUARDS = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}

PROFILE = """
name = "fan"
title = "A fan"
actions = ["off", "low", "high"]
modes = ["auto"]
rest = "off"
safe = "off"
hold = "10 min"
[channels.pm2_5]
max_age = "5 min"
[channels.co2]
[fallback]
because = "nobody asks"
[commands.zigbee2mqtt]
off = { set = { fan_mode = "off" }, seen = { fan_state = "off" } }
auto = { set = { fan_mode = "auto" }, seen = { fan_state = "on", fan_mode = "auto" } }
low = { set = { fan_mode = "2" }, seen = { fan_state = "on", fan_mode = "2" } }
high = { set = { fan_mode = "9" }, seen = { fan_state = "on", fan_mode = "9" } }
"""

RULE = """
[[rules]]
id = "dusty"
when = "pm2_5 > 35"
until = "pm2_5 < 20"
at_least = "high"
because = "{pm2_5} of dust"
"""


def appliance_of(text: str, **binding: Any) -> Appliance:
    channels = binding.pop(
        "channels", {"pm2_5": (("zigbee2mqtt/air", None),), "co2": (("zigbee2mqtt/air", None),)}
    )
    given = Binding("fan", "zigbee2mqtt/fan", channels=channels, **binding)
    return assemble(read_profile(tomllib.loads(text), where="profile"), given, GUARDS, where="profile")


class House:
    """Drives one appliance; `at` is seconds since the start."""

    def __init__(
        self,
        text: str,
        *,
        memory: Memory | None = None,
        start: Instant = START,
        linked: bool = True,
        **binding: Any,
    ) -> None:
        self.spec = appliance_of(text, **binding)
        self.home = Home([self.spec], {}, ZoneInfo("UTC"))
        self.start = start
        self.controller = Controller(
            self.home, self.home.at_start({} if memory is None else {"fan": memory}, start)
        )
        self.intake = Intake(Decoder([Zigbee2mqtt()]))
        self.effects: list[tuple[float, Effect]] = []
        self.at = 0.0
        if linked:
            self.events(0.0, LinkChanged(True))

    def events(self, at: float, *events: Event) -> list[Effect]:
        now = self.start.plus(round(at * SECOND))
        effects = self.controller.handle(events, now)
        self.effects += [(at, effect) for effect in effects]
        self.at = at
        return effects

    def say(self, at: float, device: str, retain: bool = False, **payload: Any) -> list[Effect]:
        self.let_pass(at)
        message = Message(f"zigbee2mqtt/{device}", json.dumps(payload).encode(), retain)
        return self.events(at, *self.intake.events([message]))

    def report(self, at: float, mode: str, retain: bool = False) -> list[Effect]:
        return self.say(at, "fan", retain, fan_mode=mode, fan_state="OFF" if mode == "off" else "ON")

    def person(self, at: float, action: str | None, for_s: int | None = None) -> list[Effect]:
        self.let_pass(at)
        return self.events(at, PersonSpoke("fan", action, "http", None if for_s is None else for_s * SECOND))

    def let_pass(self, until: float) -> None:
        """Tick whenever the controller wants it, up to `until`."""
        while (wake := (self.controller.wake_at() - self.start.boottime_ns) / SECOND) < until:
            self.events(max(wake, self.at), Tick())

    @property
    def commands(self) -> list[tuple[float, str]]:
        return [(at, effect.action) for at, effect in self.effects if isinstance(effect, SendCommand)]

    @property
    def decisions(self) -> list[Decision]:
        return [effect.decision for _, effect in self.effects if isinstance(effect, Record)]

    @property
    def notices(self) -> list[str]:
        return [effect.text for _, effect in self.effects if isinstance(effect, Notify)]

    @property
    def last(self) -> Decision:
        last = self.controller.state.appliances["fan"].last
        assert last is not None
        return last

    @property
    def memory(self) -> Memory:
        return self.controller.state.appliances["fan"].memory
