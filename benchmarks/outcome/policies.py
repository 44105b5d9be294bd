"""Owns the policies that are compared: each gets the same inputs once a minute and says an action.

Inputs: the sensor's PM2.5 in µg/m³ (never the truth), and what the shipped presence model says of the same sensors: True, False, or None where it
is not sure. Never in here: the home, or scoring.
"""

import json
import tomllib
from collections import deque
from datetime import UTC

from appliance.config import shipped_profiles
from appliance.core import guards
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller, Home
from appliance.core.events import LinkChanged, ReadingArrived, SendCommand, StateReported, Tick
from appliance.core.profile import Binding, assemble, read_profile
from appliance.core.readings import Reading
from appliance.core.registry import discover

LEVELS = ("off", "low", "medium", "high", "turbo")
START_S = 1000
_UNITS = {"pm2_5": "µg/m³", "co2": "ppm", "temperature": "°C", "humidity": "%"}


class Always:
    """One action, whatever happens."""

    def __init__(self, action: str) -> None:
        self.action = action

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        return self.action


class Threshold:
    """One level while the mean of the last ten minutes is above a limit; another limit while nobody is there."""

    def __init__(self, limit: float, level: int, away: float = 1.0) -> None:
        self.limit, self.level, self.away = limit, level, away
        self.recent: deque[float] = deque(maxlen=10)

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        self.recent.append(seen["pm2_5"])
        limit = self.limit * (self.away if present is False else 1.0)
        return LEVELS[self.level] if sum(self.recent) / len(self.recent) > limit else "off"


class Hysteresis:
    """One level from above `high` until below `low`."""

    def __init__(self, high: float, low: float, level: int, away: float = 1.0) -> None:
        self.high, self.low, self.level, self.away, self.on = high, min(low, high), level, away, False

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        factor = self.away if present is False else 1.0
        self.on = seen["pm2_5"] > (self.low if self.on else self.high) * factor
        return LEVELS[self.level] if self.on else "off"


class Ladder:
    """The highest level whose limit is passed; it is left at `back` of that limit. `away` raises all limits while nobody is there."""

    def __init__(self, limits: tuple[float, ...], back: float, away: float = 1.0) -> None:
        self.limits, self.back, self.away, self.level = limits, back, away, 0

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        factor = self.away if present is False else 1.0
        wanted = sum(seen["pm2_5"] > limit * factor for limit in self.limits)
        while self.level > wanted and seen["pm2_5"] < self.limits[self.level - 1] * factor * self.back:
            self.level -= 1
        self.level = max(self.level, wanted)
        return LEVELS[self.level]


class Rules:
    """The shipped profile through the very core that runs in a home; `classifiers` may be empty."""

    def __init__(self, classifiers: dict) -> None:
        profile = read_profile(
            tomllib.loads(shipped_profiles()["air_purifier"].read_text(encoding="utf-8")),
            where="air_purifier",
        )
        sources = dict.fromkeys(_UNITS, (("zigbee2mqtt/s", None),))
        plugs = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
        self.spec = assemble(
            profile, Binding("p", "zigbee2mqtt/p", channels=sources), plugs, where="air_purifier"
        )
        self.start = Instant("bench", START_S * SECOND, 1_768_237_200 * SECOND)
        home = Home([self.spec], classifiers, UTC)
        self.controller = Controller(home, home.at_start({}, self.start))
        self.action = "off"
        self._handle(self.start, LinkChanged(True))
        self._report(self.start)

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        now = self.start.plus(minute * 60 * SECOND)
        while self.controller.wake_at() < now.boottime_ns:
            self._handle(self.start.plus(self.controller.wake_at() - self.start.boottime_ns), Tick())
        readings = tuple(
            Reading("zigbee2mqtt/s", name, value, _UNITS[name])
            for name, value in seen.items()
            if name in _UNITS
        )
        self._handle(now, ReadingArrived("zigbee2mqtt/s", readings))
        return self.action

    def present(self) -> bool | None:
        """What the model's channel says now."""
        state = self.controller.state.appliances["p"]
        said = state.learned["presence"]
        return {"somebody": True, "nobody": False}.get(said.label) if said.quality == 0 else None

    def _handle(self, at: Instant, event) -> None:
        for effect in self.controller.handle([event], at):
            if isinstance(effect, SendCommand):
                self.action = effect.action
                self._report(at.plus(SECOND))

    def _report(self, at: Instant) -> None:
        words = next(
            spelling.seen for spelling in self.spec.actuator.spellings if spelling.action == self.action
        )
        states = tuple(Reading("zigbee2mqtt/p", metric, values[0], None) for metric, values in words.items())
        self.controller.handle([StateReported("zigbee2mqtt/p", states)], at)


def load_classifiers() -> dict:
    """The shipped model, as the daemon loads it."""
    from appliance.daemon.models import load_models

    ready, missing = load_models([Rules({}).spec])
    if missing:
        raise SystemExit(json.dumps(missing))
    return ready
