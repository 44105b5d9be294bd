"""Owns what a sensor makes of the truth: lag, error, noise, quantisation, when it reports, and its faults.

Never in here: how a report is spelt or sent.
"""

from enum import StrEnum
from math import exp, inf

import msgspec
import numpy as np

from appliance.errors import ConfigError

BLOCK = 4096
"""Noise is drawn for so many steps at once; which draw a step gets depends on its number alone."""


class Kind(StrEnum):
    """A fault.

    STUCK: repeats what it said last; SPIKE: is `size` too high; DRIFT: rises by `size` an hour; SILENT: says
    nothing; SENTINEL: says what the device says where it has no value.
    """

    STUCK = "stuck"
    SPIKE = "spike"
    DRIFT = "drift"
    SILENT = "silent"
    SENTINEL = "sentinel"


class Fault(msgspec.Struct, frozen=True):
    """One fault, from `start` to `end` in seconds since the start of the home; `size` in the probe's unit."""

    kind: Kind
    start: float
    end: float
    size: float


class ProbeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity that a device measures, and how it reports it.

    Attributes:
        key: the device's name of it; `metric`: its name in this project; `unit`: as the device declares it.
        lag_s: time constant of the first-order lag behind the air.
        noise, noise_share: standard deviation of a report: absolute, and as a share of the value; the larger
            holds.
        offset, gain: standard deviation from device to device of a constant error and of the slope.
        step: of the quantisation; whole steps are told.
        low, high: what it can tell.
        min_s, max_s, change: a report after `min_s` at the earliest where it moved by `change` or more, after
            `max_s` anyway.
        sentinel: what it says where it has no value.
        spike: size of a spike where none is given; `drift`: rise an hour likewise.
    """

    key: str
    metric: str
    unit: str | None
    lag_s: float
    noise: float
    noise_share: float = 0.0
    offset: float = 0.0
    gain: float = 0.0
    step: float
    low: float
    high: float
    min_s: float
    max_s: float
    change: float
    sentinel: float
    spike: float
    drift: float


class Probe:
    """A sensor of one quantity. Mutable: `follow` moves it on, `poll` asks whether it reports."""

    __slots__ = (
        "_digits",
        "_gain",
        "_kept",
        "_noise",
        "_noise_block",
        "_offset",
        "_rng",
        "_seconds",
        "faults",
        "spec",
        "told",
        "told_at",
        "value",
    )

    def __init__(self, spec: ProbeSpec, truth: float, rng: np.random.Generator) -> None:
        self.spec = spec
        self.faults: list[Fault] = []
        self.value = truth
        self.told: float = 0.0
        self.told_at = -inf
        self._rng = rng
        self._offset = spec.offset * float(np.clip(rng.standard_normal(), -2, 2))
        self._gain = 1.0 + spec.gain * float(np.clip(rng.standard_normal(), -2, 2))
        self._digits = max(0, -int(f"{spec.step:e}".partition("e")[2]))
        self._noise: list[float] = []
        self._noise_block = -1
        self._seconds, self._kept = 0.0, 1.0

    def follow(self, truth: float, seconds: float) -> None:
        """Let the element follow `truth` for `seconds`."""
        if seconds != self._seconds:
            self._seconds, self._kept = seconds, exp(-seconds / self.spec.lag_s)
        self.value = truth + (self.value - truth) * self._kept

    def poll(self, now: float, step: int) -> float | None:
        """Return what it reports at `now` seconds, the `step`-th step; None where it reports nothing."""
        spec = self.spec
        waited = now - self.told_at
        if waited < spec.min_s:
            return None
        fault = self._fault(now) if self.faults else None
        if fault is not None and fault.kind is Kind.SILENT:
            return None
        said = self._say(now, step, fault)
        if waited < spec.max_s and abs(said - self.told) < spec.change:
            return None
        self.told, self.told_at = said, now
        return said

    def say(self, now: float, step: int) -> float | None:
        """Return what it says when asked, silence excepted."""
        fault = self._fault(now) if self.faults else None
        if fault is not None and fault.kind is Kind.SILENT:
            return None
        self.told, self.told_at = self._say(now, step, fault), now
        return self.told

    def _say(self, now: float, step: int, fault: Fault | None) -> float:
        spec = self.spec
        if fault is not None and fault.kind is Kind.SENTINEL:
            return spec.sentinel
        if fault is not None and fault.kind is Kind.STUCK and self.told_at > -inf:
            return self.told
        block, index = divmod(step, BLOCK)
        while self._noise_block < block:
            self._noise_block += 1
            self._noise = self._rng.standard_normal(BLOCK).tolist()
        raw = (
            self.value * self._gain
            + self._offset
            + self._noise[index] * max(spec.noise, spec.noise_share * self.value)
        )
        if fault is not None and fault.kind is Kind.SPIKE:
            raw += fault.size
        elif fault is not None and fault.kind is Kind.DRIFT:
            raw += fault.size * (now - fault.start) / 3600.0
        return self._quantise(min(max(raw, spec.low), spec.high))

    def _quantise(self, value: float) -> float:
        steps = round(value / self.spec.step)
        return round(steps * self.spec.step, self._digits) if self._digits else int(steps * self.spec.step)

    def _fault(self, now: float) -> Fault | None:
        """Return the fault that holds at `now`; of several the newest."""
        return next((fault for fault in reversed(self.faults) if fault.start <= now < fault.end), None)


MAX_FAULTS = 64


def add_fault(probe: Probe, fault: Fault) -> None:
    """Give `probe` one more fault.

    Raises:
        ConfigError: it has `MAX_FAULTS` already.
    """
    if len(probe.faults) >= MAX_FAULTS:
        raise ConfigError(
            f"{probe.spec.key}: more than {MAX_FAULTS} faults",
            hint="inject fewer faults, or start a new home",
        )
    probe.faults.append(fault)
