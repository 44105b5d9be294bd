"""Owns a home without a broker in driven time: `python -m tests.faults.offline FOLDER DAYS TRIES` prints how much its memory grew.

The real config, core, performer and store, whose clock is turned on as fast as it goes; then the real link against a port where nobody listens, as
often as it would try in that time or TRIES times. Never in here: a row.
"""

import asyncio
import gc
import json
import sys
from datetime import UTC
from functools import partial
from pathlib import Path

from appliance.adapters.mqtt import Address, Link, link
from appliance.adapters.store import Limits, Store
from appliance.adapters.store.ring import SIZE
from appliance.config import appliances, dialects, load_settings
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import LinkChanged, PersonSpoke, Tick
from appliance.core.home import Home
from appliance.daemon.performing import Performer
from appliance.replay import checkpoint
from tests.adapters.conftest import free_port

HOUR, DAY, REBOOTS = 3600, 86_400, 3
"""Every so many days the computer is started anew."""


def rss_mib() -> float:
    """Return what this process holds in memory now."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


class Time:
    """A clock that somebody turns: seconds since the first boot, and which boot it is."""

    def __init__(self) -> None:
        self.s = self.began = 0.0
        self.boot = 1

    def __call__(self) -> Instant:
        at = 1_767_225_600 + self.s
        return Instant(f"boot-{self.boot}", int((self.s - self.began + 10) * SECOND), int(at * SECOND))


def offline(folder: Path, days: float) -> tuple[float, float, int]:
    """Live so long without a broker. Return by how many MiB the memory grew until the ring of the newest decisions was full, and after that,
    and how many effects there were. Less than ten days do not wait for the ring.
    """
    loaded = load_settings(folder / "config.toml", {})
    spoken = dialects(loaded.settings)
    clock = Time()
    store = Store(folder / "offline", clock, Limits(400, 90, 64))
    home = Home(appliances(loaded), {}, UTC)
    said = 0
    memories = store.start().memories
    performer = Performer(lambda *_: False, spoken, store, home.speakers)
    controller = Controller(home, home.at_start(memories, clock()))
    decided, hour, first = 0, 0, 0.0
    full, began_s = None, 0.0

    def turn(*events: object) -> None:
        nonlocal decided
        now = clock()
        effects = controller.handle(events, now)
        performer.keep(events, effects, now)
        for effect in effects:
            performer.perform(effect, now)
        decided += len(effects)

    while full is None or clock.s < began_s + days * DAY:
        clock.s = max(clock.s + 1, clock.began - 10 + controller.wake_at() / SECOND)
        if clock.s // (REBOOTS * DAY) >= clock.boot:
            memories = {name: state.memory for name, state in controller.state.appliances.items()}
            clock.boot, clock.began = clock.boot + 1, clock.s
            controller.state = home.at_start(memories, clock(), next_id=controller.state.next_id)
        turn(Tick())
        if clock.s >= (hour + 1) * HOUR:
            hour = int(clock.s // HOUR)
            turn(LinkChanged(True), LinkChanged(False))  # the broker was there for a moment
            # Until the ring is full somebody speaks every few seconds; then once an hour.
            for _ in range(1 if full is not None else 60):
                said += 1
                clock.s += 5
                turn(PersonSpoke("fan", "low" if said % 2 else "high", "http", 600 * SECOND))
            if hour % 4 == 0:
                store.checkpoint(partial(checkpoint.pack, home, controller.state), clock())
            store.flush()
            if hour == 1:
                first = rss_mib()
            if full is None and (days < 10 or len(store.ring()) >= SIZE):
                full, began_s = rss_mib(), clock.s
    grown = rss_mib() - full
    store.close()
    return full - first, grown, decided


async def calling(tries: int) -> float:
    """Call so often where nobody listens; return by how many MiB the memory grew after the first hundred."""
    link.RETRY_S = (0.0, 0.0)
    real, made = Link._one_session, 0
    begin = 0.0
    done = asyncio.Event()

    async def counted(self: Link) -> str:
        nonlocal made, begin
        made += 1
        if made == 100:
            begin = rss_mib()
        if made == tries:
            done.set()
        return await real(self)

    Link._one_session = counted
    calls = Link(
        Address("127.0.0.1", free_port(), "offline"), clock=Time(), subscriptions=["a/#"], status_topic="a/status",
        deliver=lambda *_: None, on_change=lambda *_: None,
    )  # fmt: skip
    running = asyncio.create_task(calls.run())
    await done.wait()
    running.cancel()
    return rss_mib() - begin


if __name__ == "__main__":
    filled, grown, decided = offline(Path(sys.argv[1]), float(sys.argv[2]))
    called = asyncio.run(calling(int(sys.argv[3])))
    print(json.dumps({"ring": filled, "home": grown, "effects": decided, "link": called}))
