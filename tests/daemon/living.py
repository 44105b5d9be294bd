"""A simulated room lived in for some days: its readings in a real store, and what somebody told of it."""

from collections.abc import Callable, Iterable
from datetime import datetime

import numpy as np

from appliance.adapters.store import Store
from appliance.core.clock import SECOND, Instant
from appliance.core.events import Labelled
from appliance.core.readings import Quality, Reading
from appliance.simulate import Home, HomeParameters
from tests.daemon.conftest import Daemon

LEARNED = """
[channels.temperature]
[channels.humidity]
[channels.presence]
model = "presence"
words = ["nobody", "somebody"]
[channels.door]
metric = "contact"
words = { open = false, closed = true }
[fallback]"""
UNITS = {"co2": "ppm", "temperature": "°C", "humidity": "%"}

Spans = Callable[[list[bool], int], Iterable[tuple[int, int]]]
"""From whether somebody is at home, by minute, and a day to the minutes that are told of: (first, last)."""


def in_home(daemon: Daemon) -> Daemon:
    profile = daemon.folder / "fan.toml"
    profile.write_text(profile.read_text("utf-8").replace("\n[fallback]", LEARNED), "utf-8")
    more = "".join(f'{name} = "zigbee2mqtt/air"\n' for name in UNITS)
    daemon.config.write_text(daemon.config.read_text("utf-8") + more + 'door = "zigbee2mqtt/door"\n', "utf-8")
    return daemon


def live(daemon: Daemon, start: datetime, days: int, told: Spans) -> Daemon:
    """Let the days pass, and tell of each what `told` says."""
    # A home that the shipped model fits badly: where a version of its own helps nothing, none is made.
    room = Home(0, start=start, step_s=30.0, parameters=HomeParameters.draw(np.random.default_rng(20_004)))
    began = Instant("room", SECOND, round(start.timestamp()) * SECOND)
    now = began
    store = Store(daemon.folder / "state", lambda: now)
    store.start()
    home_at = []
    for minute in range(days * 1440):
        room.elapse(60.0)
        now = began.plus(minute * 60 * SECOND)
        heard = room.measure()
        worth = [
            (Reading("zigbee2mqtt/air", name, heard[name], unit), Quality.GOOD, None)
            for name, unit in UNITS.items()
        ]
        store.readings(worth, retained=False, resent=False, at=now)
        home_at.append(room.truth.people_home > 0)
        if minute % 10_000 == 9999:
            store.flush()
    for day in range(days):
        for first, last in told(home_at, day):
            word = "somebody" if home_at[first] else "nobody"
            times = (began.wall_ns + first * 60 * SECOND, began.wall_ns + last * 60 * SECOND)
            store.label(Labelled("fan", "presence", word, *times, "cli"), now)
    store.close(60.0)
    return daemon


def stretch(home_at: list[bool], first: int, most: int) -> tuple[int, int]:
    """Return the minutes from `first` on that are as it is, at most so many."""
    last = first
    while last < min(first + most, len(home_at) - 1) and home_at[last + 1] == home_at[first]:
        last += 1
    return first, last
