"""Owns a lab: one home with a heater and a fan, a real broker, the real daemon as a process, and the checks after every row.

Never in here: a fault. A home that a row does not ask for is not put together.
"""

import contextlib
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.adapters.store import Queries
from tests.adapters.conftest import Broker, until_sync
from tests.faults.handle import Handle
from tests.faults.oracle import SLACK_S, Law, Stall, judge, ran_blind
from tests.faults.world import Fan, Plug, Sensor, World, now
from tests.oracle.oracle import EQUIPMENT, SECOND, Plan, PlannedRule

RSS_MIB = 150.0
MAX_AGE_S = 6.0
"""So long is a temperature believed here; shipped: 120 s."""
LEASE_S = 10.0
"""So long does the heater's plug heat untold here; shipped: 600 s."""

CONFIG = """
[mqtt]
port = {port}
[store]
folder = "state"
[http]
port = 0
[appliances.heater]
profile = "heater.toml"
device = "zigbee2mqtt/heater"
channels.temperature = "zigbee2mqtt/room"
channels.power = "zigbee2mqtt/heater"
[appliances.fan]
profile = "fan.toml"
device = "zigbee2mqtt/fan"
channels.pm2_5 = "zigbee2mqtt/air"
"""

HEATER = """
name = "heater"
title = "A heater"
actions = ["off", "on"]
rest = "off"
safe = "off"
hold = "1 h"
[channels.temperature]
max_age = "{max_age} s"
[channels.power]
[[rules]]
id = "blind"
when = "temperature is unknown"
exactly = "off"
authority = "EQUIPMENT"
because = "nobody knows how warm it is"
[[rules]]
id = "overheat"
when = "temperature > 30"
until = "temperature < 25"
exactly = "off"
authority = "EQUIPMENT"
because = "it is {{temperature}}"
[[rules]]
id = "cold"
when = "temperature < 18"
until = "temperature > 19.5"
at_least = "on"
because = "it is {{temperature}}"
[lease]
for = "{lease} s"
required = true
[guards.switches]
per_hour = 12
[guards.feedback]
channel = "power"
on_above = "5 W"
off_below = "5 W"
[fallback]
because = "it is warm enough"
[commands.zigbee2mqtt]
off = {{ set = {{ state = "OFF" }}, seen = {{ state = "off" }} }}
on = {{ set = {{ state = "ON" }}, lease = {{ on_time = "seconds" }}, seen = {{ state = "on" }} }}
"""

FAN = """
name = "fan"
title = "A fan"
actions = ["off", "low", "high"]
rest = "off"
safe = "off"
hold = "1 h"
[channels.pm2_5]
max_age = "5 min"
[channels.co2]
[[rules]]
id = "dusty"
when = "pm2_5 > 35"
until = "pm2_5 < 20"
at_least = "high"
because = "{pm2_5} of dust"
[fallback]
because = "nobody asks"
[commands.zigbee2mqtt]
off = { set = { fan_mode = "off" }, seen = { fan_state = "off" } }
low = { set = { fan_mode = "2" }, seen = { fan_state = "on", fan_mode = "2" } }
high = { set = { fan_mode = "9" }, seen = { fan_state = "on", fan_mode = "9" } }
"""


def heater_plan(max_age_s: float, lease_s: float) -> Plan:
    """Return the heater's profile in the oracle's own words."""
    return Plan(
        size=2,
        per_hour=12,
        lease=int(lease_s) * SECOND,
        max_age={"temperature": int(max_age_s) * SECOND},
        rules=(
            PlannedRule("blind", ("unknown", "temperature"), None, 0, 0, EQUIPMENT),
            PlannedRule(
                "overheat", ("gt", "temperature", 30.0), ("lt", "temperature", 25.0), 0, 0, EQUIPMENT
            ),
            PlannedRule("cold", ("lt", "temperature", 18.0), ("gt", "temperature", 19.5), 1, 1),
        ),
    )


FAN_PLAN = Plan(
    size=3,
    max_age={"pm2_5": 300 * SECOND},
    rules=(PlannedRule("dusty", ("gt", "pm2_5", 35.0), ("lt", "pm2_5", 20.0), 2, 2),),
)

Check = tuple[str, float | str, str, str, bool]
"""The fields of a Figure."""


class Lab:
    """A folder of its own and, as soon as somebody asks for them, a broker, a world and daemons."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fault-"))
        self.daemons: list[Handle] = []
        self.slack_s = SLACK_S
        """What may lie between the broker and the daemon; a row that slows the link down says so here."""
        self.stalls: list[Stall] = []
        """When something stood still; between those moments more may lie between them."""
        self.more_fans: tuple[str, ...] = ()
        """Names of further devices like the fan, which the config must name too."""
        self.config = CONFIG
        self.max_age_s, self.lease_s = MAX_AGE_S, LEASE_S
        """Of the heater; to be changed before anything is put together."""
        self.profiles = {"heater.toml": HEATER, "fan.toml": FAN}
        self.ends = contextlib.ExitStack()
        """What a row made that must last until its daemons have ended: a mounted disk, say."""
        self.damaged = False
        """Whether the row damaged what was recorded, so that the chain can't be whole."""
        self.laws: list[Law] = []
        self.unsafe: list[str] = []
        """What a row itself found unsafe, in words."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for daemon in self.daemons:
            with contextlib.suppress(OSError):
                if not daemon.ended:
                    daemon.kill()
        if "world" in self.__dict__:
            self.world.stop()
        if "broker" in self.__dict__:
            self.broker.kill()
        self.ends.close()
        if kind is None or not issubclass(kind, Exception):
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"left for looking into it: {self.folder}", file=sys.stderr)

    # ------------------------------------------------------------ what is there when asked for

    @cached_property
    def broker(self) -> Broker:
        """A Mosquitto of its own, running."""
        broker = Broker(self.folder)
        broker.start()
        return broker

    @cached_property
    def world(self) -> World:
        """The sensors and devices, connected. A heater's thermometer and an air sensor, both silent until they have a value."""
        world = World(self.broker.port)
        self.room = Sensor(world, "room", "temperature")
        self.air = Sensor(world, "air", "pm25")
        self.heater = Plug(world, "heater")
        self.fan = Fan(world, "fan")
        self.laws = [
            Law(
                self.heater,
                heater_plan(self.max_age_s, self.lease_s),
                ("off", "on"),
                {self.room.topic: ("temperature", "temperature")},
                self.lease_s,
            ),
            Law(self.fan, FAN_PLAN, ("off", "low", "high"), {self.air.topic: ("pm25", "pm2_5")}),
        ]
        for name in self.more_fans:
            self.laws.append(Law(Fan(world, name), FAN_PLAN, ("off", "low", "high"), {}))
        world.start()
        return world

    def daemon(self, config: str | None = None, *, start: bool = True) -> Handle:
        """Return a daemon of this home, started and serving; `config` is its whole file, by default `lab.config` at the broker."""
        port = self.world._port
        text = self.config.format(port=port) if config is None else config
        handle = Handle(self.folder / f"daemon{len(self.daemons)}", text)
        for name, profile in self.profiles.items():
            text = profile
            if name == "heater.toml":
                text = profile.format(max_age=int(self.max_age_s), lease=int(self.lease_s))
            (handle.folder / name).write_text(text, "utf-8")
        self.daemons.append(handle)
        return handle.start() if start else handle

    def home(self, daemon: Handle | None = None) -> Handle:
        """Return a daemon (by default a new one, and one that has not been started is) in control of the home: 15 °C and dusty air, the
        heater on and the fan at high.
        """
        daemon = daemon or self.daemon(start=False)
        return self.controlled(daemon.start() if daemon.process is None else daemon)

    def controlled(self, daemon: Handle) -> Handle:
        """Return `daemon`, once it controls the home as `home` says."""
        self.room.says(15.0)
        self.air.says(50.0)
        self.until(lambda: self.heater.doing == "on" and self.fan.doing == "high", 30)
        self.until(lambda: daemon.doing("heater") == "on" and daemon.doing("fan") == "high", 30)
        return daemon

    # ------------------------------------------------------------ for rows

    def settled(self, daemon: Handle) -> None:
        """Await that what devices do from now on counts as done by a hand: not right after the link came up, or a command."""
        self.took(lambda: daemon.health()["uptime_s"] > 11.0, 15)
        self.took(lambda: False, 3.5)

    @staticmethod
    def until(condition: Callable[[], object], timeout_s: float = 15.0) -> float:
        """Await a condition; return the seconds that it took. Raises TimeoutError."""
        return until_sync(condition, timeout_s)

    @staticmethod
    def took(condition: Callable[[], object], timeout_s: float = 15.0) -> float:
        """Await a condition; return the seconds that it took, infinite where it did not come: a figure that falls short."""
        with contextlib.suppress(TimeoutError):
            return until_sync(condition, timeout_s)
        return float("inf")

    def ready(self, daemon: Handle) -> bool:
        """Whether it is in control; False also where it can't be asked."""
        try:
            return bool(daemon.health()["ready"])
        except OSError:
            return False

    @staticmethod
    def where(error: BaseException) -> str:
        """Return the line of the row that `error` came from."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "faults/rows" in frame.filename] or frames
        return f"{Path(own[-1].filename).name}:{own[-1].lineno}"

    def checks(self) -> list[Check]:
        """Return the checks after every row, of what was put together at all, and end the daemons."""
        found: list[Check] = []
        if "world" in self.__dict__:
            unsafe = [
                *self.unsafe,
                *(
                    one
                    for law in self.laws
                    for one in judge(list(self.world.seen), law, self.slack_s, self.stalls)
                ),
            ]
            told = f": {unsafe[0]}" if unsafe else ""
            found.append((f"unsafe commands{told}", len(unsafe), "", "is 0", not unsafe))
            blind = max(ran_blind(list(self.world.seen), law, now(), self.slack_s) for law in self.laws)
            found.append(("a load ran beyond lease and age", blind, "s", "is 0", blind == 0))
            broken = self.world.errors
            if broken:
                found.append((f"errors of the world: {broken[0]!r}", len(broken), "", "is 0", False))
        if self.daemons:
            alive = all(
                not one.expected or (not one.ended and "status" in one.health()) for one in self.daemons
            )
            found.append(("daemon", "alive" if alive else "gone", "", "is alive", alive))
            rss = max(one.peak_mib() for one in self.daemons)
            found.append(("memory at most", rss, "MiB", f"at most {RSS_MIB:g}", rss <= RSS_MIB))
            for one in self.daemons:
                if not one.ended:
                    one.kill()
            states = [] if self.damaged else [one.state for one in self.daemons]
            gaps = [_chain(state) for state in states if (state / "decisions.sqlite3").exists()]
            gap = next((gap for gap in gaps if gap is not None), None)
            found.append(
                (
                    "decisions",
                    "a whole chain" if gap is None else f"broken at {gap}",
                    "",
                    "is whole",
                    gap is None,
                )
            )
        return found


def _chain(state: Path) -> int | None:
    return Queries(state).verify()
