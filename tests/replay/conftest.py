"""A simulated home that is really decided for, by the daemon's own rooms and a real store; only the network is missing."""

import json
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.adapters.store import Store
from appliance.config import appliances, dialects, load_settings
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import Event, LinkChanged, PersonSpoke, Tick
from appliance.core.home import Home as Deciders
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.core.readings import Reading
from appliance.core.restoring import pack, rehear, unpack
from appliance.daemon.control import Control
from appliance.daemon.hearing import Hearing
from appliance.daemon.models import load_models
from appliance.daemon.people import People
from appliance.daemon.performing import Performer
from appliance.daemon.reloading import Reloading
from appliance.replay import checkpoint
from appliance.simulate import Home

BEGAN = datetime(2026, 1, 12, 15, 0, tzinfo=UTC)
CONFIG = """\
[home]
timezone = "Europe/Berlin"
[store]
folder = "state"
[appliances.purifier]
profile = "air_purifier"
device = "zigbee2mqtt/purifier"
[appliances.purifier.channels]
pm2_5 = "zigbee2mqtt/living_air"
co2 = "zigbee2mqtt/living_co2"
temperature = "zigbee2mqtt/living_co2"
humidity = "zigbee2mqtt/living_co2"
"""


QUICK = """\
name = "quick"
title = "A purifier that only counts"
actions = ["off", "low", "medium", "high", "turbo"]
modes = ["auto"]
rest = "off"
safe = "off"
hold = "20 min"
[channels.pm2_5]
[channels.co2]
[[rules]]
id = "raised"
when = "pm2_5 > 10"
until = "pm2_5 < 7"
at_least = "low"
because = "particles are at {pm2_5}"
[[rules]]
id = "mean"
when = "mean(pm2_5, 10 min) > 25 for 2 min"
at_least = "high"
because = "particles have been at {pm2_5}"
[[rules]]
id = "evening"
when = "time is between 20:00 and 20:30"
at_most = "low"
because = "it is evening"
[[rules]]
id = "stale"
when = "co2 > 900"
at_least = "medium"
because = "the air is stale"
[guards.minimum_on]
for = "5 min"
[guards.minimum_off]
for = "1 min"
[fallback]
because = "nobody asks"
[watts]
off = 0
low = 2
medium = 6
high = 13
[commands.zigbee2mqtt]
off = { set = { fan_mode = "off" }, seen = { fan_state = "off" } }
auto = { set = { fan_mode = "auto" }, seen = { fan_state = "on", fan_mode = "auto" } }
low = { set = { fan_mode = "2" }, seen = { fan_state = "on", fan_mode = ["1", "2"] } }
medium = { set = { fan_mode = "4" }, seen = { fan_state = "on", fan_mode = ["3", "4"] } }
high = { set = { fan_mode = "6" }, seen = { fan_state = "on", fan_mode = ["5", "6", "7"] } }
turbo = { set = { fan_mode = "9" }, seen = { fan_state = "on", fan_mode = ["8", "9"] } }
"""


def quick(folder: Path) -> "Lived":
    """Return a home decided for without a model: a day of it takes a second or two."""
    (folder / "quick.toml").write_text(QUICK, "utf-8")
    config = CONFIG.replace("air_purifier", "quick.toml").partition("temperature")[0]
    return Lived(folder, config=config)


class Lived:
    """Lives a home, a moment at a time: `config` decides, `folder / "state"` remembers.

    Ticks come some milliseconds late, as in an event loop.
    """

    def __init__(self, folder: Path, seed: int = 3, config: str = CONFIG) -> None:
        self.config = folder / "appliance.toml"
        self.config.write_text(config, "utf-8")
        self.folder = folder / "state"
        self.home = Home(seed, start=BEGAN)
        self.boot = "boot-1"
        self.boot_s = -1000.0
        self.late_ns = 0
        self.control: Control | None = None
        self.told: list[str] = []
        self.retained: list[Message] = []

    def now(self) -> Instant:
        elapsed = self.home.elapsed
        wall = int(BEGAN.timestamp()) * SECOND + round(elapsed * SECOND)
        return Instant(self.boot, round((elapsed - self.boot_s) * SECOND) + self.late_ns, wall + self.late_ns)

    def start(self, *, observe: bool = False) -> None:
        loaded = load_settings(self.config, {})
        specs = appliances(loaded)
        spoken = dialects(loaded.settings)
        self.store = Store(self.folder, self.now, batch_s=3600.0)
        restored = self.store.start()
        deciders = Deciders(
            specs, load_models(specs)[0], ZoneInfo(loaded.settings.home.timezone), observe=observe
        )
        now = self.now()
        state = deciders.at_start(restored.memories, now, next_id=restored.next_id)
        found = self.store.queries.snapshot() if (self.folder / "readings.sqlite3").exists() else None
        if found is not None and found[1].boot_id == now.boot_id:
            state = unpack(found[0], state)
            later = self.store.queries.events(found[2] - 1)
            state = rehear(
                state,
                deciders.routes,
                deciders.word_routes,
                (
                    (Reading(row.device, row.metric, row.value, row.unit), row.at, row.retained)
                    for row in later
                ),
            )
        self.commands: list[Message] = []
        performer = Performer(self._publish, spoken, self.store, deciders.speakers)
        self.control = Control(
            Controller(deciders, state),
            Intake(Decoder(spoken)),
            performer,
            None,
            Hearing("appliance", People(deciders.appliances)),
        )
        self.store.checkpoint(partial(checkpoint.pack, deciders, state), now)
        self.link(up=True)

    def _publish(self, topic: str, payload: bytes) -> bool:
        self.commands.append(Message(topic, payload, False))
        self.told += [topic] if topic.endswith("/set") else []
        return True

    def link(self, *, up: bool) -> None:
        self.late_ns += 1
        self.control.turn([LinkChanged(up)], self.now())
        if up:
            self.late_ns += 1
            self.control.on_messages(self.home.announce(), self.now())

    def live(self, seconds: float, *, heard: bool = True) -> None:
        """Let time pass; commands reach the device, and what it and the sensors say is heard."""
        end = self.home.elapsed + seconds
        control = self.control
        while self.home.elapsed < end:
            commands, self.commands = self.commands, []
            said = [answer for command in commands for answer in self.home.receive(command)]
            if said and heard:
                control.on_messages(said, self.now())
            wake_s = (control.controller.wake_at() - self.now().boottime_ns) / SECOND
            step = min(1.0, max(wake_s, 0.0) + 0.003, end - self.home.elapsed)
            messages = self.home.advance(max(step, 0.001))
            self.late_ns += 1
            if control.controller.wake_at() <= self.now().boottime_ns:
                control.turn([Tick()], self.now())
                self.late_ns += 1
            if messages and heard:
                control.on_messages(messages, self.now())

    def reload(self) -> None:
        """Take the config in anew, as at SIGHUP."""
        loaded = load_settings(self.config, {})
        self.late_ns += 1
        self.control.clock = self.now
        reloading = Reloading(loaded, self.control, lambda: loaded, lambda _, __: None)
        reloading.take(reloading.prepare())

    def person(self, action: str | None, for_s: int | None = None) -> None:
        self.say(PersonSpoke("purifier", action, "page", None if for_s is None else for_s * SECOND))

    def say(self, event: Event) -> None:
        self.late_ns += 1
        self.control.turn([event], self.now())

    def hear(self, device: str, **payload: object) -> None:
        self.late_ns += 1
        self.control.on_messages(
            [Message(f"zigbee2mqtt/{device}", json.dumps(payload).encode(), False)], self.now()
        )

    def checkpoint(self) -> None:
        controller = self.control.controller
        self.store.checkpoint(partial(checkpoint.pack, controller.home, controller.state), self.now())

    def flush(self) -> None:
        for ask in (self.store.confirm, self.store.flush):
            told = threading.Event()
            ask(lambda error, told=told: told.set())
            assert told.wait(20)

    def stop(self) -> None:
        if self.control is not None:
            self.store.snapshot(partial(pack, self.control.controller.state), self.now())
            self.flush()
            self.store.close()
            self.control = None
