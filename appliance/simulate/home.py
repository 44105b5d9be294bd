"""Owns the simulated home as a whole: its clock, and the order in which its parts move.

Never in here: MQTT connections, real time, files. The caller carries messages in both directions and says how
much time passes; the same seed, parameters and calls give the same messages byte for byte, in whatever
portions time passes.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np

from appliance.core.payloads.message import Message
from appliance.errors import ConfigError
from appliance.simulate.devices import LIVING_AIR, LIVING_CO2, PROBES, PURIFIER
from appliance.simulate.dwelling import Dwelling
from appliance.simulate.instruments import PROBE_COUNT, Instruments
from appliance.simulate.parameters import HomeParameters
from appliance.simulate.purifier import COMMANDED, KNOB, MODES, Purifier
from appliance.simulate.truth import Truth
from appliance.simulate.zigbee2mqtt import Bridge, Request, air_quality, mode_wanted, understand

OBEYS_S = (1.0, 2.0)
"""The purifier carries out and reports a command so long after it; the bridge echoes at once (assumed, as
owners see it)."""
HAND_S = (0.4, 1.2)
"""It reports a turn of its knob so long after it (assumed)."""
ANSWERS_S = (0.1, 0.4)
"""A device answers a question after so long (assumed)."""
SPEED_LATER_S = 0.3
"""The fan's speed is reported so long after the mode (assumed)."""
USED_EVERY_S = 3600.0
"""How often the purifier reports how long it was used (zigbee-herdsman-converters, ikea.ts)."""
MAX_PENDING = 1000
"""More commands under way than this are lost, as on a real radio."""
MAX_KEYS = 64

Told = tuple[str, dict[str, Any]]
"""A device, and what it says: key -> value."""


class Home:
    """One home that lives in simulated time. `start` is its first moment on the wall clock, with a time zone.

    Attributes:
        elapsed: seconds since the start.
        dwelling: its air, people and weather.
        purifier: the appliance itself.
    """

    def __init__(
        self, seed: int, *, start: datetime, step_s: float = 10.0, parameters: HomeParameters | None = None
    ) -> None:
        """Build the home.

        Raises:
            ConfigError: `seed` is negative, `start` has no time zone, or `step_s` is not within 1 to 60 s.
        """
        if seed < 0:
            raise ConfigError(f"the seed {seed} is negative", hint="choose 0 or more")
        if start.tzinfo is None:
            raise ConfigError(
                "the start of a simulated home has no time zone", hint="give one, as datetime.now(UTC)"
            )
        if not 1.0 <= step_s <= 60.0:
            raise ConfigError(f"steps of {step_s} s", hint="choose from 1 to 60 seconds")
        sequences = np.random.SeedSequence(seed).spawn(3 + PROBE_COUNT)
        weather_rng, self._device_rng, link_rng, *probe_rngs = (
            np.random.default_rng(sequence) for sequence in sequences
        )
        self.elapsed = 0.0
        self.purifier = Purifier()
        self.dwelling = Dwelling(seed, start, parameters or HomeParameters(), weather_rng)
        self._start = start
        self._step_s = step_s
        self._steps = 0
        self._instruments = Instruments(self.dwelling.truths(), probe_rngs)
        self._bridge = Bridge(start, {name: int(link_rng.integers(60, 200)) for name in PROBES})
        self._phase = {name: float(link_rng.uniform(0.05, 0.9)) * step_s for name in PROBES}
        self._order = count()
        self._queue: list[tuple[float, int, Callable[[float], Told | None]]] = []
        self._arrives = 0.0
        self._energy_wh = 0.0
        self._used_s = 0.0
        self._used_told = 0.0
        for name in (LIVING_AIR, LIVING_CO2):
            keys = tuple(spec.key for spec in PROBES[name])
            self._bridge.learn(name, self._instruments.say(name, keys, 0.0, 0), 0.0)
        self._bridge.learn(PURIFIER, {}, 0.0)

    @property
    def now(self) -> datetime:
        """The simulated time of day, in the zone of the start."""
        return self._start + timedelta(seconds=self.elapsed)

    def announce(self) -> list[Message]:
        """Return what a bridge sends when it starts: what is retained, then the state of each device."""
        return [*self._bridge.declare(), *(self._bridge.state(name) for name in PROBES)]

    def advance(self, seconds: float) -> list[Message]:
        """Let `seconds` pass; return the messages sent meanwhile in order of time."""
        return [message for _, message in self.advance_timed(seconds)]

    def advance_timed(self, seconds: float) -> list[tuple[float, Message]]:
        """Let `seconds` pass; return the messages sent meanwhile, each with the elapsed seconds of then."""
        sent: list[tuple[float, Message]] = []
        self._run(seconds, sent)
        return sent

    def elapse(self, seconds: float) -> None:
        """Let `seconds` pass as `advance` does, but make no messages: the fast way to `measure`."""
        self._run(seconds, None)

    def receive(self, message: Message) -> list[Message]:
        """Take a message to `zigbee2mqtt/<device>/set` or `/get`; return what the bridge echoes at once.

        The device obeys or answers later, while time passes. Anything that a bridge would refuse is ignored.
        """
        request = understand(message)
        if request is None or len(self._queue) >= MAX_PENDING:
            return []
        if request.reads:
            self._later(self.elapsed + self._draw(ANSWERS_S), lambda at: self._answer(request, at))
            return []
        if request.device != PURIFIER:
            return []
        echoed: dict[str, Any] = {}
        for key, value in list(request.wanted.items())[:MAX_KEYS]:
            mode = mode_wanted(key, value)
            if mode is not None:
                self._command(mode)
                echoed |= _mode_keys(mode)
            elif (key == "child_lock" and value in ("LOCK", "UNLOCK")) or (
                key == "led_enable" and isinstance(value, bool)
            ):
                echoed[key] = value
        if not echoed:
            return []
        # The device's acknowledgement of the radio frame precedes the echo, so it counts as seen.
        self._bridge.learn(PURIFIER, echoed, self.elapsed)
        return [self._bridge.state(PURIFIER)]

    def press(self, action: str) -> None:
        """A hand turns the knob to `action` ("off" to "turbo", "auto"), at once; a locked knob does nothing.

        Raises:
            ConfigError: there is no such action.
        """
        mode = _mode(KNOB, action)
        if self._bridge.caches[PURIFIER]["child_lock"] == "UNLOCK":
            self._turn_now(mode)

    def set_level(self, action: str) -> None:
        """Let the purifier do `action` at once, as the shipped profile spells it, without a message.

        Raises:
            ConfigError: there is no such action.
        """
        mode = _mode(COMMANDED, action)
        if mode != self.purifier.mode:
            self._turn_now(mode)

    def measure(self) -> dict[str, float]:
        """Return what the sensors said last: metric -> value in its unit. What has no value is missing.

        Temperature and humidity are those of `living_co2`, which resolves them better than `living_air`.
        """
        return self._instruments.measure()

    def fault(
        self,
        sensor: str,
        kind: str,
        *,
        start: float | None = None,
        duration: float | None = None,
        size: float | None = None,
    ) -> None:
        """Give a sensor a fault: "stuck", "spike", "drift", "silent" or "sentinel".

        `sensor` is "living_air/pm25" (or "living_air/pm2_5"), or a device alone: all its sensors for
        "silent", its first otherwise. `start` in seconds since the start of the home (default: now),
        `duration` in seconds (default: for ever), `size` in the sensor's unit: of a spike, or of a drift in
        an hour. Of several faults the newest holds.

        Raises:
            ConfigError: there is no such sensor or kind, or it has too many faults.
        """
        self._instruments.fault(sensor, kind, self.elapsed if start is None else start, duration, size)

    @property
    def truth(self) -> Truth:
        """What really is now."""
        output, moment, air, outside = (
            self.purifier.output,
            self.dwelling.moment,
            self.dwelling.air,
            self.dwelling.outside,
        )
        return Truth(
            elapsed=self.elapsed,
            pm2_5=air.pm2_5,
            co2=air.co2,
            temperature=air.temperature,
            humidity=air.humidity,
            people_home=moment.home,
            people_awake=moment.awake,
            window_open=moment.window,
            action=self.purifier.action,
            mode=self.purifier.mode,
            level=self.purifier.speed,
            power_w=output.power_w,
            sound_dba=output.sound_dba,
            energy_kwh=self._energy_wh / 1000.0,
            outdoor_pm2_5=outside.pm2_5,
            outdoor_temperature=outside.temperature,
            events=moment.events,
        )

    # ---- time

    def _run(self, seconds: float, sent: list[tuple[float, Message]] | None) -> None:
        """Move on. Steps lie on a fixed grid, events at their times: the portions of time don't matter."""
        until = self.elapsed + max(0.0, seconds)
        queue = self._queue
        while True:
            grid = (self._steps + 1) * self._step_s
            if queue and queue[0][0] <= min(grid, until):
                at, _, happen = heappop(queue)
                self.elapsed = at
                told = happen(at)
                if told is not None:
                    self._bridge.learn(*told, at)
                    if sent is not None:
                        sent.append((at, self._bridge.state(told[0])))
            elif grid <= until:
                self.elapsed = grid
                self._steps += 1
                self._step(grid)
                self._poll(grid)
            else:
                break
        self.elapsed = until

    def _later(self, at: float, happen: Callable[[float], Told | None]) -> None:
        heappush(self._queue, (at, next(self._order), happen))

    def _report(self, at: float, device: str, changes: dict[str, Any]) -> None:
        self._later(at, lambda _: (device, changes))

    def _draw(self, bounds: tuple[float, float]) -> float:
        return float(self._device_rng.uniform(*bounds))

    def _step(self, at: float) -> None:
        """Move the world and the sensors' elements on to `at`."""
        output = self.purifier.output
        seconds = self.dwelling.step(at, output)
        if seconds > 0.0:
            self._energy_wh += output.power_w * seconds / 3600.0
            self._used_s += seconds if self.purifier.speed else 0.0
            self._instruments.follow(self.dwelling.truths(), seconds)

    # ---- the devices

    def _poll(self, at: float) -> None:
        """Ask each sensor whether it reports; a report goes out within the step, at the device's moment."""
        for device, key, said in self._instruments.poll(at, self._steps):
            self._report(at + self._phase[device], device, {key: said})
        if self.purifier.speed and (own := self._instruments.purifier.poll(at, self._steps)) is not None:
            changes: dict[str, Any] = {"pm25": own, "air_quality": air_quality(own)}
            if own >= 0 and self.purifier.sense(own):
                changes["fan_speed"] = self.purifier.speed
            self._report(at + self._phase[PURIFIER], PURIFIER, changes)
        if at - self._used_told >= USED_EVERY_S:
            self._used_told = at
            self._report(at + self._phase[PURIFIER], PURIFIER, self._bridge.used(self._used_s))

    def _command(self, mode: str) -> None:
        """Let `mode` arrive at the purifier; commands arrive in the order in which they were sent."""
        self._arrives = max(self.elapsed + self._draw(OBEYS_S), self._arrives + 0.05)
        self._later(self._arrives, lambda at: self._obey(mode, at))

    def _obey(self, mode: str, at: float) -> Told:
        self._turn(mode, at, SPEED_LATER_S)
        return PURIFIER, _mode_keys(mode)

    def _turn_now(self, mode: str) -> None:
        reported_after = self._draw(HAND_S)
        self._turn(mode, self.elapsed, reported_after + SPEED_LATER_S)
        self._report(self.elapsed + reported_after, PURIFIER, _mode_keys(mode))

    def _turn(self, mode: str, at: float, speed_after: float) -> None:
        """Enter `mode` at `at`; speed and own sensor are reported `speed_after` seconds later."""
        self._step(at)
        own = self._instruments.purifier
        ran = self.purifier.speed > 0
        self.purifier.turn(mode, own.told if ran and own.told >= 0 else None)
        if ran != (self.purifier.speed > 0):
            # Its sensor sleeps with the fan, and has no value until its first report.
            own.told, own.told_at = own.spec.sentinel, at
        self._later(at + speed_after, lambda _: (PURIFIER, self._speed_keys()))

    def _speed_keys(self) -> dict[str, Any]:
        if self.purifier.speed:
            return {"fan_speed": self.purifier.speed}
        return {"fan_speed": 0, "pm25": -1, "air_quality": "unknown"}

    def _answer(self, request: Request, at: float) -> Told | None:
        """Return what a device answers to a question; only for what it lets itself be asked."""
        wanted = tuple(list(request.wanted)[:MAX_KEYS])
        answer: dict[str, Any] = {}
        if request.device == LIVING_AIR:
            answer |= self._instruments.say(LIVING_AIR, wanted, at, self._steps)
        elif request.device == PURIFIER:
            if not {"fan_mode", "fan_state"}.isdisjoint(wanted):
                answer |= _mode_keys(self.purifier.mode)
            if "fan_speed" in wanted:
                answer["fan_speed"] = self.purifier.speed
            if not {"pm25", "air_quality"}.isdisjoint(wanted):
                own = (
                    self._instruments.say(PURIFIER, ("pm25",), at, self._steps)
                    if self.purifier.speed
                    else {"pm25": -1}
                )
                answer |= {"pm25": own["pm25"], "air_quality": air_quality(own["pm25"])} if own else {}
        return (request.device, answer) if answer else None


def _mode_keys(mode: str) -> dict[str, Any]:
    return {"fan_mode": mode, "fan_state": "OFF" if mode == "off" else "ON"}


def _mode(words: Mapping[str, str], action: str) -> str:
    mode = words.get(action, action if action in MODES else None)
    if mode is None:
        raise ConfigError(f"a purifier can't do {action!r}", hint=f"choose one of {', '.join(words)}")
    return mode
