"""Owns the policies that are compared: each gets the same inputs once a minute and says an action.

Inputs: what the sensors said last (never the truth), and one word on presence: True, False, or None where it is not known, which
counts as somebody. Never in here: the home, scoring, or how limits are chosen.
"""

import re
import tomllib
from collections import deque
from datetime import UTC, datetime
from functools import cache

import numpy as np

from appliance.config import shipped_profiles
from appliance.core import guards
from appliance.core.assembly import assemble
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import LinkChanged, ReadingArrived, SendCommand, StateReported, Tick
from appliance.core.features import Feature, FeatureSpec
from appliance.core.home import Classifier, Home
from appliance.core.profile import Appliance, Binding, read_profile
from appliance.core.readings import Reading
from appliance.core.registry import discover
from appliance.core.trust import Trust
from appliance.daemon.models import load_models

LEVELS = ("off", "low", "medium", "high", "turbo")
_UNITS = {"pm2_5": "µg/m³", "co2": "ppm", "temperature": "°C", "humidity": "%"}
_BOOTED_S = 1000
_LIMIT = re.compile(r"(pm2_5 [<>]=? )(\d+(?:\.\d+)?)")


class Always:
    """One action, whatever happens."""

    def __init__(self, action: str) -> None:
        self.action = action

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        return self.action


class Threshold:
    """One level while the mean of the last ten minutes is above a limit; `away` times the limit while nobody is there."""

    def __init__(self, limit: float, level: int, away: float = 1.0) -> None:
        self.limit, self.level, self.away = limit, level, away
        self.recent: deque[float] = deque(maxlen=10)

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        self.recent.append(seen["pm2_5"])
        limit = self.limit * (self.away if present is False else 1.0)
        return LEVELS[self.level] if sum(self.recent) / len(self.recent) > limit else "off"


class Hysteresis:
    """One level from above `high` until below `low`; `away` times both while nobody is there."""

    def __init__(self, high: float, low: float, level: int, away: float = 1.0) -> None:
        self.high, self.low, self.level, self.away, self.on = high, min(low, high), level, away, False

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        factor = self.away if present is False else 1.0
        self.on = seen["pm2_5"] >= self.low * factor if self.on else seen["pm2_5"] > self.high * factor
        return LEVELS[self.level] if self.on else "off"


class Ladder:
    """The highest level whose limit is passed, left below `back` of it; `away` times all limits while nobody is there."""

    def __init__(self, limits: tuple[float, ...], back: float, away: float = 1.0) -> None:
        self.limits, self.back, self.away, self.level = limits, back, away, 0

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        factor = self.away if present is False else 1.0
        wanted = sum(seen["pm2_5"] > limit * factor for limit in self.limits)
        while self.level > wanted and seen["pm2_5"] < self.limits[self.level - 1] * factor * self.back:
            self.level -= 1
        self.level = max(self.level, wanted)
        return LEVELS[self.level]


class Told:
    """A classifier that repeats the word on presence that a policy is given, in place of the model: the core around it is
    the real one. Its one feature only makes the core ask it when particles are heard.
    """

    spec = FeatureSpec((Feature("heard", "mean", "pm2_5", 30),))
    labels = ("nobody", "somebody")
    trust = Trust(labels, 0.9)

    def __init__(self) -> None:
        self.present: bool | None = None

    def predict(self, rows: np.ndarray) -> np.ndarray:
        somebody = 0.5 if self.present is None else float(self.present)
        return np.full((len(rows), 2), (1.0 - somebody, somebody), dtype=np.float32)


class Rules:
    """The shipped profile through the very core that runs in a home, its limits on PM2.5 times `scale`.

    `mind` is "none" (no model), "model" (the shipped ones ask the sensors themselves), "told" (the same, but for the word on presence that it
    is given), "presence" (that word alone) or "air-event" (that model alone).
    """

    def __init__(self, mind: str, start: datetime, scale: float = 1.0) -> None:
        self.told = Told() if mind in ("told", "presence") else None
        shipped = _shipped()
        minds: dict[str, Classifier] = {
            "none": {},
            "model": shipped,
            "told": {**shipped, "presence": self.told},
            "presence": {"presence": self.told},
            "air-event": {"air-event": shipped["air-event"]},
        }[mind]
        self.spec = _spec(scale)
        self.start = Instant("bench", _BOOTED_S * SECOND, round(start.timestamp()) * SECOND)
        home = Home([self.spec], minds, UTC)
        self.controller = Controller(home, home.at_start({}, self.start))
        self.action = "off"
        self._handle(self.start, LinkChanged(True))
        self._obey(self.start)

    def decide(self, minute: int, seen: dict[str, float], present: bool | None) -> str:
        if self.told is not None:
            self.told.present = present
        self.now = self.start.plus(minute * 60 * SECOND)
        while self.controller.wake_at() < self.now.boottime_ns:
            self._handle(self.start.plus(self.controller.wake_at() - self.start.boottime_ns), Tick())
        readings = tuple(
            Reading("zigbee2mqtt/s", name, value, _UNITS[name])
            for name, value in seen.items()
            if name in _UNITS
        )
        self._handle(self.now, ReadingArrived("zigbee2mqtt/s", readings))
        return self.action

    def present(self) -> bool | None:
        """What the model's channel says now, as far as a rule may act on it."""
        said = self.controller.state.appliances["p"].learned["presence"].value(self.now)
        return {"somebody": True, "nobody": False}.get(said or "")

    def _handle(self, at: Instant, event) -> None:
        for effect in self.controller.handle([event], at):
            if isinstance(effect, SendCommand):
                self.action = effect.action
                self._obey(at.plus(SECOND))

    def _obey(self, at: Instant) -> None:
        """The purifier reports that it does what it was told."""
        words = next(
            spelling.seen for spelling in self.spec.actuator.spellings if spelling.action == self.action
        )
        states = tuple(Reading("zigbee2mqtt/p", metric, values[0], None) for metric, values in words.items())
        self._handle(at, StateReported("zigbee2mqtt/p", states))


@cache
def _spec(scale: float) -> Appliance:
    table = tomllib.loads(shipped_profiles()["air_purifier"].read_text(encoding="utf-8"))
    if scale != 1.0:
        for rule in table["rules"]:
            for key in ("when", "until"):
                if key in rule:
                    rule[key] = _LIMIT.sub(lambda hit: f"{hit[1]}{float(hit[2]) * scale:.2f}", rule[key])
    profile = read_profile(table, where="air_purifier")
    sources = dict.fromkeys(_UNITS, (("zigbee2mqtt/s", None),))
    plugs = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
    return assemble(profile, Binding("p", "zigbee2mqtt/p", channels=sources), plugs, where="air_purifier")


@cache
def _shipped() -> dict[str, Classifier]:
    """The shipped model, as the daemon loads it, once a process."""
    ready, missing = load_models([_spec(1.0)])
    if missing:
        raise SystemExit(f"the shipped model can't be loaded: {missing}")
    return ready
