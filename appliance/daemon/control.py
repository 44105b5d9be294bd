"""Owns the turning of the control loop: messages, words of people, and time in; effects performed.

One asyncio loop owns it. Never in here: the network, the disk, or any deciding.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from appliance.adapters.clock import SystemClock
from appliance.adapters.systemd import Systemd
from appliance.core.clock import Instant
from appliance.core.controller import Controller
from appliance.core.events import Event, LinkChanged, Tick
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads.message import Message
from appliance.daemon.hearing import Hearing
from appliance.daemon.performing import Performer
from appliance.daemon.quarantine import Quarantine

LONGEST_NAP_S = 5.0
"""A full control cycle happens at least so often, also in a silent home: the watchdog is fed by nothing else."""


class Control:
    """The control loop's state between turns, and its counters."""

    def __init__(
        self,
        controller: Controller,
        intake: Intake,
        performer: Performer,
        clock: SystemClock,
        hearing: Hearing,
        quarantine: Quarantine | None = None,
    ) -> None:
        self.controller = controller
        self.intake = intake
        self.hearing = hearing
        self.quarantine = quarantine
        self.performer = performer
        self.clock = clock
        self.connected = False
        self.turns = 0
        self.cases = 0
        """Rows that models with a bigger one behind them decided, never those of suppositions: what the edge may be asked is a share of these."""
        self.last_tick_s: float | None = None
        """When the last full cycle ended, on the machine's own monotonic clock."""
        self.missing_models: Mapping[str, str] = {}
        """Why a model that an appliance wants can't be asked: name -> reason."""
        self.config_refused: str | None = None
        """Why the newest config is not in force."""
        self._armed_ns = 0
        self._sooner = asyncio.Event()

    def on_messages(self, messages: Sequence[Message], at: Instant) -> None:
        """Take one wake-up's messages, all stamped `at`."""
        quarantine = self.quarantine
        if quarantine is None or not any(message.retained for message in messages):
            self._take(messages, at)
            return
        for batch in quarantine.split(messages):
            with quarantine.looking_at(batch):
                self._take(batch, at)

    def _take(self, messages: Sequence[Message], at: Instant) -> None:
        if any(self.hearing.mine(message) for message in messages):
            # Rare: what a person says keeps its place among what devices say.
            events: list[Event] = []
            for message in messages:
                heard = self.hearing if self.hearing.mine(message) else None
                events += self.intake.events([message]) if heard is None else heard.events([message], at)
        else:
            events = self.intake.events(messages)
        if events:
            self.turn(events, at)

    def on_link(self, connected: bool) -> None:  # noqa: FBT001  the link's own callback shape
        """Take the news that the link came up or went down."""
        self.connected = connected
        self.turn([LinkChanged(connected)], self.clock())

    def turn(self, events: Sequence[Event], at: Instant) -> None:
        """Decide about `events`, and perform what follows."""
        home = self.controller.home
        before = _asked(home)
        effects = self.controller.handle(events, at)
        self.cases += _asked(home) - before
        self.performer.keep(events, effects, at)
        for effect in effects:
            self.performer.perform(effect, at)
        self.turns += 1
        if self.controller.wake_at() < self._armed_ns:
            self._sooner.set()

    async def tick(self, systemd: Systemd, fed: Callable[[], None] = lambda: None) -> None:
        """Hand the controller its ticks, and feed the watchdogs after each full cycle. Runs until cancelled."""
        while True:
            self._armed_ns = self.controller.wake_at()
            nap = min(
                max(self.clock.seconds_until(self._armed_ns), 0.0),
                LONGEST_NAP_S,
                (systemd.watchdog_s or 60.0) / 3,
            )
            self._sooner.clear()
            try:
                async with asyncio.timeout(nap):
                    await self._sooner.wait()
            except TimeoutError:
                self.turn([Tick()], self.clock())
                self.last_tick_s = time.monotonic()
                systemd.alive()
                fed()


def _asked(home: Home) -> int:
    """Return how many rows the models with a bigger one behind them were asked so far; one that does not count was asked none."""
    count = 0
    for name in home.edges:
        count += getattr(home.classifiers.get(name), "asked", 0)
    return count
