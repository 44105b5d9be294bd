"""Owns the pretended world of a lab: sensors that speak, devices with lease timers that obey, and a record of every message.

Never in here: the daemon, or judging what it did (oracle).
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.adapters.conftest import until_sync

TICK_S = 0.02
BASE = "zigbee2mqtt"


def now() -> float:
    """Return seconds of boot time: they run on in suspend, and no clock step moves them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Seen:
    """A message that the broker handed on, at `at` seconds of boot time. `own`: the world itself had said it."""

    at: float
    topic: str
    payload: bytes
    retained: bool
    own: bool = False

    @property
    def said(self) -> dict[str, Any]:
        """What it says, where that is a JSON object; else nothing."""
        try:
            said = json.loads(self.payload)
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}


class World:
    """One client of the broker that is every sensor and every device, and remembers all that it hears."""

    def __init__(self, port: int) -> None:
        self.seen: list[Seen] = []
        self._own: deque[tuple[str, bytes]] = deque(maxlen=1000)
        self.sensors: list[Sensor] = []
        self.devices: list[Device] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._lock = threading.RLock()
        self._ends = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2, client_id="world")
        client.suppress_exceptions = True
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        self.errors: list[Exception] = []
        self._subscribed = threading.Event()
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_disconnect = lambda *_: self._subscribed.clear()
        self.client = client
        self._port = port
        self._ticking = threading.Thread(target=self._tick, name="world", daemon=True)

    def start(self) -> None:
        """Connect, and let time pass."""
        self.client.connect("127.0.0.1", self._port)
        self.client.loop_start()
        self._ticking.start()
        self.listens()

    def listens(self, timeout_s: float = 15.0) -> float:
        """Await that it hears the broker."""
        return until_sync(self._subscribed.is_set, timeout_s)

    def stop(self) -> None:
        self._ends.set()
        self._ticking.join()
        self.client.disconnect()
        self.client.loop_stop()

    def publish(self, topic: str, said: dict[str, Any] | bytes, *, retain: bool = False) -> None:
        """Say something now, or never: nothing is queued where the broker is away."""
        if self.client.is_connected():
            payload = said if isinstance(said, bytes) else json.dumps(said).encode()
            self._own.append((topic, payload))
            self.client.publish(topic, payload, qos=0, retain=retain)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it then, on the world's thread."""
        with self._lock:
            self._later.append((now() + seconds, call))

    def commands(self, device: str, since: float = 0.0) -> list[Seen]:
        """Return the commands of others, the daemon, to `device` that the broker handed on since then."""
        topic = f"{BASE}/{device}/set"
        return [one for one in list(self.seen) if one.topic == topic and one.at >= since and not one.own]

    def topics(self) -> list[str]:
        """Return what is listened to: not all, so that a flood on a topic of its own costs the world nothing."""
        devices = [f"{BASE}/{device.name}{end}" for device in self.devices for end in ("", "/set", "/get")]
        return [*devices, *(sensor.topic for sensor in self.sensors), "appliance/#"]

    def _on_connect(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: object, properties: object
    ) -> None:
        del userdata, flags, reason, properties
        client.subscribe([(topic, 0) for topic in self.topics()])

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        del client, userdata
        own = (message.topic, bytes(message.payload)) in self._own
        seen = Seen(now(), message.topic, bytes(message.payload), message.retain, own)
        with self._lock:
            if own:
                self._own.remove((message.topic, bytes(message.payload)))
            self.seen.append(seen)
            try:
                for device in self.devices:
                    device.hear(seen)
            except Exception as broken:  # told at the end: the world itself must not fail silently
                self.errors.append(broken)

    def _tick(self) -> None:
        while not self._ends.wait(TICK_S):
            at = now()
            with self._lock:
                due = [call for when, call in self._later if when <= at]
                self._later = [pair for pair in self._later if pair[0] > at]
                try:
                    for call in due:
                        call()
                    for sensor in self.sensors:
                        sensor.tick(at)
                    for device in self.devices:
                        device.tick(at)
                except Exception as broken:
                    self.errors.append(broken)


class Sensor:
    """Says `{key: value}` every `every_s` seconds while it has a value and is not `silent`.

    A number moves by a hundredth from time to time, as measured ones do: after a link's return, what never moves is taken for a bridge's
    cache that is sent again.
    """

    def __init__(self, world: World, name: str, key: str, every_s: float = 1.0) -> None:
        self.topic, self.key, self.every_s = f"{BASE}/{name}", key, every_s
        self.value: Any = None
        self.silent = False
        self._world = world
        self._next = 0.0
        self._said = 0
        world.sensors.append(self)

    def says(self, value: Any) -> None:
        """Say it at once, and from now on."""
        self.value = value
        self._next = now() + self.every_s
        if not self.silent:
            self._world.publish(self.topic, {self.key: value})

    def tick(self, at: float) -> None:
        if self.value is not None and at >= self._next:
            self._next = at + self.every_s
            self._said += 1
            if not self.silent:
                moved = self.value + 0.01 * (self._said % 3) if isinstance(self.value, float) else self.value
                self._world.publish(self.topic, {self.key: moved})


class Device:
    """A device that obeys after `delay_s`, reports, and switches itself off when its lease runs out.

    `mode`: "obeys"; "deaf": speaks, does not hear; "stuck": hears and answers, does not obey; "mute": neither.
    `history` is what it really did: (boot seconds, action).
    """

    off = "off"

    def __init__(self, world: World, name: str, *, delay_s: float = 0.1) -> None:
        self.name, self.delay_s = name, delay_s
        self.doing = self.off
        self.mode = "obeys"
        self.lease_ends: float | None = None
        self.history: list[tuple[float, str]] = [(now(), self.off)]
        self._world = world
        world.devices.append(self)

    def wanted(self, said: dict[str, Any]) -> str | None:
        """Return the action that a command means."""
        raise NotImplementedError

    def spelt(self) -> dict[str, Any]:
        """Return what it says of what it does."""
        raise NotImplementedError

    def hear(self, seen: Seen) -> None:
        if self.mode in ("deaf", "mute"):
            return
        if seen.topic == f"{BASE}/{self.name}/get":
            self._world.later(self.delay_s, self.report)
        elif seen.topic == f"{BASE}/{self.name}/set":
            action = self.wanted(seen.said)
            if action is not None:
                lease = seen.said.get("on_time")
                self._world.later(self.delay_s, lambda: self._obey(action, lease))

    def _obey(self, action: str, lease: float | None) -> None:
        if self.mode == "obeys":
            self.turn(action, lease)
        else:
            self.report()

    def turn(self, action: str, lease: float | None = None) -> None:
        """It switches: by a command, or, where nobody commanded it, by a hand."""
        if action != self.doing:
            self.history.append((now(), action))
        self.doing = action
        self.lease_ends = None if lease is None or action == self.off else now() + lease
        self.report()

    def report(self) -> None:
        if self.mode != "mute":
            self._world.publish(f"{BASE}/{self.name}", self.spelt())

    def tick(self, at: float) -> None:
        if self.lease_ends is not None and at >= self.lease_ends:
            self.turn(self.off)


class Plug(Device):
    """A smart plug with a timer of its own (`on_time`) and a meter. `welded`: its relay does not open, whatever it says."""

    welded = False

    def wanted(self, said: dict[str, Any]) -> str | None:
        return {"ON": "on", "OFF": "off"}.get(said.get("state", ""))

    def spelt(self) -> dict[str, Any]:
        watts = 1500 if self.doing == "on" or self.welded else 0
        return {"state": self.doing.upper(), "power": watts}


class Fan(Device):
    """A purifier with three speeds."""

    modes: ClassVar = {"off": "off", "2": "low", "9": "high"}

    def wanted(self, said: dict[str, Any]) -> str | None:
        return self.modes.get(str(said.get("fan_mode")))

    def spelt(self) -> dict[str, Any]:
        mode = next(mode for mode, action in self.modes.items() if action == self.doing)
        return {"fan_mode": mode, "fan_state": "OFF" if mode == "off" else "ON"}
