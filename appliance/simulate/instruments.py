"""Owns the sensors of a home together: which there are, what they said last, and the faults they are given.

Never in here: the purifier's fan, or how a report is spelt or sent.
"""

from collections.abc import Iterator, Mapping
from math import inf

import numpy as np

from appliance.errors import ConfigError
from appliance.simulate.devices import MEASURED, PROBES, PURIFIER
from appliance.simulate.sensors import Fault, Kind, Probe, add_fault

PROBE_COUNT = sum(map(len, PROBES.values()))


class Instruments:
    """All sensors of a home. Mutable: they follow the truth."""

    __slots__ = ("_all", "_measured", "probes")

    def __init__(self, truths: Mapping[str, float], rngs: list[np.random.Generator]) -> None:
        """Make them; each of `PROBE_COUNT` sensors has its own `rngs`."""
        streams = iter(rngs)
        self.probes = {
            name: tuple(Probe(spec, truths[spec.metric], next(streams)) for spec in specs)
            for name, specs in PROBES.items()
        }
        self._all = [probe for probes in self.probes.values() for probe in probes]
        self._measured = {
            metric: next(probe for probe in self.probes[device] if probe.spec.metric == metric)
            for metric, device in MEASURED.items()
        }

    @property
    def purifier(self) -> Probe:
        """The purifier's own."""
        return self.probes[PURIFIER][0]

    def follow(self, truths: Mapping[str, float], seconds: float) -> None:
        """Let all follow `truths` for `seconds`."""
        for probe in self._all:
            probe.follow(truths[probe.spec.metric], seconds)

    def poll(self, at: float, step: int) -> Iterator[tuple[str, str, float]]:
        """Yield (device, key, value) of each report of the room's sensors at `at` s, the `step`-th step."""
        for device, probes in self.probes.items():
            if device == PURIFIER:
                continue
            for probe in probes:
                said = probe.poll(at, step)
                if said is not None:
                    yield device, probe.spec.key, said

    def say(self, device: str, keys: tuple[str, ...], at: float, step: int) -> dict[str, float]:
        """Return what `device` answers to a question for `keys`."""
        answers = {
            probe.spec.key: probe.say(at, step) for probe in self.probes[device] if probe.spec.key in keys
        }
        return {key: said for key, said in answers.items() if said is not None}

    def measure(self) -> dict[str, float]:
        """Return what was said last: metric -> value; what has no value is missing."""
        return {
            metric: probe.told
            for metric, probe in self._measured.items()
            if probe.told != probe.spec.sentinel
        }

    def fault(self, sensor: str, kind: str, start: float, duration: float | None, size: float | None) -> None:
        """Give `sensor` a fault; see `Home.fault`. Raises ConfigError."""
        if kind not in list(Kind):
            raise ConfigError(f"no fault is called {kind!r}", hint=f"choose one of {', '.join(Kind)}")
        known = Kind(kind)
        end = inf if duration is None else start + duration
        for probe in self._named(sensor, known):
            amount = (probe.spec.spike if known is Kind.SPIKE else probe.spec.drift) if size is None else size
            add_fault(probe, Fault(known, start, end, amount))

    def _named(self, sensor: str, kind: Kind) -> tuple[Probe, ...]:
        device, _, key = sensor.partition("/")
        probes = self.probes.get(device, ())
        found = tuple(probe for probe in probes if key in (probe.spec.key, probe.spec.metric))
        if probes and not key:
            found = probes if kind is Kind.SILENT else probes[:1]
        if not found:
            names = ", ".join(f"{name}/{spec.key}" for name, specs in PROBES.items() for spec in specs)
            raise ConfigError(
                f"no sensor is called {sensor!r}", hint=f"choose one of {names}, or a device alone"
            )
        return found
