"""Owns what does not change while the daemon runs: the home's appliances, who feeds which channel, the models, the zone.

Never in here: what is sensed or decided. A changed config makes a new home.
"""

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Protocol

import msgspec

from appliance.core.clock import Instant
from appliance.core.edge import BiggerModel
from appliance.core.events import Memory
from appliance.core.features import FeatureSpec
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.readings import Quality
from appliance.core.senses import Learned, Sense
from appliance.core.sensing import Feed
from appliance.core.state import ApplianceState, State
from appliance.core.trust import Trust
from appliance.core.windows import Window
from appliance.core.words import Told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Classifier(Protocol):
    """A model, ready to be asked. `predict` takes features (N, F) float32 and gives calibrated probabilities (N, L)."""

    @property
    def spec(self) -> FeatureSpec:
        """The features that it takes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The words of its channel, in the order of its probabilities."""

    @property
    def trust(self) -> Trust:
        """When to believe it: prediction sets, and where it was trained."""

    def predict(self, rows: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Return calibrated probabilities (N, L) for features (N, F)."""


class Home:
    """What does not change while the daemon runs: the appliances, who feeds which channel, the models, the zone.

    `edges` are the bigger models that stand behind the local ones, by the local one's name. `observe` decides and records, and commands
    nothing.
    """

    def __init__(
        self,
        appliances: Iterable[Appliance],
        classifiers: Mapping[str, Classifier],
        zone: tzinfo,
        *,
        edges: Mapping[str, BiggerModel] = {},
        observe: bool = False,
    ) -> None:
        self.appliances = {appliance.id: appliance for appliance in appliances}
        self.classifiers = classifiers
        self.zone = zone
        self.edges = edges
        self.observe = observe
        self.routes: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        self.word_routes: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        self.feeds: dict[str, dict[str, Feed]] = {}
        self.reporters: dict[str, tuple[str, ...]] = {}
        self.watchers: dict[str, tuple[str, ...]] = {}
        for appliance in self.appliances.values():
            for device, metric, channel in appliance.sources:
                routes = self.word_routes if channel in appliance.worded else self.routes
                routes[device, metric] = (*routes.get((device, metric), ()), (appliance.id, channel))
        for (device, metric), fed in self.routes.items():
            self.feeds.setdefault(device, {})[metric] = f"{device}:{metric}", fed
        for appliance in self.appliances.values():
            device = appliance.actuator.device
            self.reporters[device] = (*self.reporters.get(device, ()), appliance.id)
            for watched in sorted(appliance.watches):
                self.watchers[watched] = (*self.watchers.get(watched, ()), appliance.id)

    def but(
        self,
        *,
        appliances: Iterable[Appliance] | None = None,
        classifiers: Mapping[str, Classifier] | None = None,
        observe: bool = False,
    ) -> "Home":
        """Return the same home with other `appliances` or `classifiers`, which commands unless it is to `observe`."""
        return Home(
            self.appliances.values() if appliances is None else appliances,
            self.classifiers if classifiers is None else classifiers,
            self.zone,
            edges=self.edges,
            observe=observe,
        )

    @property
    def speakers(self) -> frozenset[str]:
        """The devices whose words matter: those that carry out actions, and sensors that speak in words."""
        return frozenset(self.reporters) | {device for device, _ in self.word_routes}

    def at_start(self, memories: Mapping[str, Memory], now: Instant, *, next_id: int = 1) -> State:
        """Return the state of a home that has just started, with what it remembered. After another boot, or with no
        memory, an appliance counts as just switched off.
        """
        return State(
            {name: self._fresh(spec, memories.get(name), now) for name, spec in self.appliances.items()},
            next_id=next_id,
        )

    def _fresh(self, spec: Appliance, memory: Memory | None, now: Instant) -> ApplianceState:
        if memory is None or memory.stopped is None or memory.stopped.boot_id != now.boot_id:
            memory = msgspec.structs.replace(
                memory or Memory(),
                stopped=now,
                started=None,
                switches=(),
                true_since={},
                # What it did before the gap says nothing of now: until it answers, it counts as off.
                commanded=None,
                commanded_at=None,
                reported=None,
                reported_at=None,
            )
        senses = {
            name: Sense(channel, {}, Window.empty(channel.max_age_ns, channel.quantity.resolution))
            for name, channel in spec.channels.items()
        }
        learned = {}
        for channel, model in spec.models.items():
            reason = (
                "nothing heard since boot" if model in self.classifiers else f"the model {model} is missing"
            )
            learned[channel] = Learned(None, 0.0, Quality.UNCERTAIN, reason, now, LEARNED_MAX_AGE_NS)
        words = {
            name: Told(
                channel, tuple(f"{device}:{metric}" for device, metric, to in spec.sources if to == name)
            )
            for name, channel in spec.worded.items()
        }
        return ApplianceState(senses, learned, memory, words, wake_ns=now.boottime_ns)
