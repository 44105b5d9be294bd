"""Owns making a past: a simulated home that the daemon's own rooms decide for, into a real store, as fast as it goes.

Only the network and the event loop are missing; the home's clock is the one clock. Never in here: measuring, or replay.
"""

import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from appliance.adapters.store import Store
from appliance.cli.histories import home_of
from appliance.config import dialects, load_settings
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import LinkChanged, PersonSpoke, Tick
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.core.restoring import pack
from appliance.daemon.control import Control
from appliance.daemon.hearing import Hearing
from appliance.daemon.people import People
from appliance.daemon.performing import Performer
from appliance.daemon.running import CHECKPOINT_S
from appliance.replay import checkpoint
from appliance.simulate import Home

BEGAN = datetime(2026, 1, 12, 15, 0, tzinfo=UTC)
BOOTED_S = 7200.0
DAY_S = 86_400.0
WORDS = ((3.5 * 3600, "high", 2700), (17.0 * 3600, "off", 3600))
"""Each day, so long after it began, a person says so for so many seconds: some cooking, and a nap in the morning."""
CONFIG = """\
[home]
timezone = "Europe/Berlin"
[store]
folder = "state"
[appliances.purifier]
profile = "{profile}"
device = "zigbee2mqtt/purifier"
[appliances.purifier.channels]
pm2_5 = "zigbee2mqtt/living_air"
co2 = "zigbee2mqtt/living_co2"
temperature = "zigbee2mqtt/living_co2"
humidity = "zigbee2mqtt/living_co2"
"""


class Past:
    """A home and its daemon, in `folder`. Ticks come some milliseconds late, as in an event loop."""

    def __init__(self, folder: Path, profile: str, seed: int) -> None:
        self.config = folder / "appliance.toml"
        self.config.write_text(CONFIG.format(profile=profile), "utf-8")
        self.home = Home(seed, start=BEGAN)
        self.commands: list[Message] = []
        self.late_ns = 0
        self.kept_s = 0.0
        self.messages = 0
        loaded = load_settings(self.config, {})
        spoken = dialects(loaded.settings)
        self.deciders = home_of(loaded)
        self.store = Store(folder / "state", self.now, batch_s=3600.0)
        restored = self.store.start()
        state = self.deciders.at_start(restored.memories, self.now(), next_id=restored.next_id)
        self.control = Control(
            Controller(self.deciders, state),
            Intake(Decoder(spoken)),
            Performer(self._publish, spoken, self.store, self.deciders.speakers),
            None,  # type: ignore[arg-type]  nobody asks it for the time
            Hearing("appliance", People(self.deciders.appliances)),
        )

    def now(self) -> Instant:
        elapsed = self.home.elapsed
        wall = int(BEGAN.timestamp()) * SECOND + round(elapsed * SECOND)
        return Instant("past", round((elapsed + BOOTED_S) * SECOND) + self.late_ns, wall + self.late_ns)

    def live(self, days: int) -> None:
        """Let `days` pass; then all of it is on the disk, and the store closed."""
        self._checkpoint()
        self._turn([LinkChanged(True)])
        self._hear(self.home.announce())
        for day in range(days):
            for since_s, action, for_s in WORDS:
                self._until(day * DAY_S + since_s)
                self._turn([PersonSpoke("purifier", action, "page", for_s * SECOND)])
            self._until((day + 1) * DAY_S)
            self._flush()
        self.store.snapshot(partial(pack, self.control.controller.state), self.now())
        self._flush()
        self.store.close()

    def _until(self, end: float) -> None:
        controller = self.control.controller
        while self.home.elapsed < end:
            if self.home.elapsed >= self.kept_s + CHECKPOINT_S:
                self.kept_s = self.home.elapsed
                self._checkpoint()
            commands, self.commands = self.commands, []
            self._hear([answer for command in commands for answer in self.home.receive(command)])
            wake_s = (controller.wake_at() - self.now().boottime_ns) / SECOND
            messages = self.home.advance(
                max(min(1.0, max(wake_s, 0.0) + 0.003, end - self.home.elapsed), 0.001)
            )
            self.late_ns += 1
            if controller.wake_at() <= self.now().boottime_ns:
                self._turn([Tick()])
            self._hear(messages)

    def _hear(self, messages: list[Message]) -> None:
        if messages:
            self.late_ns += 1
            self.messages += len(messages)
            self.control.on_messages(messages, self.now())

    def _turn(self, events: list) -> None:
        self.late_ns += 1
        self.control.turn(events, self.now())

    def _publish(self, topic: str, payload: bytes) -> bool:
        self.commands.append(Message(topic, payload, False))
        return True

    def _checkpoint(self) -> None:
        controller = self.control.controller
        self.store.checkpoint(partial(checkpoint.pack, controller.home, controller.state), self.now())

    def _flush(self) -> None:
        for ask in (self.store.confirm, self.store.flush):
            told = threading.Event()
            ask(lambda error, told=told: told.set())
            if not told.wait(60):
                raise RuntimeError("the store does not come to an end")
