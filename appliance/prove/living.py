"""Owns having the real controller live through a scenario: what it decides at the end, or that the claim is not at stake there.

Never in here: finding a scenario (staging), or writing it down (scenario).
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from appliance.core import deciding
from appliance.core.clock import SECOND, Instant
from appliance.core.commands import Actuator, Spelling
from appliance.core.controller import Controller
from appliance.core.events import Event, PersonSpoke, ReadingArrived, StateReported, Tick
from appliance.core.home import Home
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance, Invariant
from appliance.core.readings import Quality, Reading
from appliance.core.senses import Learned
from appliance.prove.report import Phase, Scenario
from appliance.prove.scenario import raw

MINUTE_NS = 60 * SECOND


MAX_TICKS = 200
"""In one minute; the core wakes at bins of 30 s and at ends of timers."""


def lived_through(spec: Appliance, claim: Invariant, scenario: Scenario) -> tuple[str | None, str] | None:
    """Return what the controller decides at the end of `scenario`, and by which voice; None where `claim` is not at stake then."""
    sources = tuple((f"plain/{name}", channel.quantity.name, name) for name, channel in spec.channels.items())
    sources += tuple((f"plain/{name}", name, name) for name in spec.worded)
    # It can be told all that it can do, and obeys at once.
    spellings = tuple(
        Spelling(name, {"action": name}, {}) for name in (*spec.ladder.actions, *spec.ladder.modes)
    )
    spec = replace(spec, sources=sources, actuator=Actuator("plain/proof", spellings, askable=False))
    home = Home([spec], {}, UTC)
    wall = datetime.fromisoformat(scenario.start).replace(tzinfo=UTC)
    now = Instant("proof", 1000 * SECOND, round(wall.timestamp()) * SECOND)
    life = _Life(spec, Controller(home, home.at_start({}, now)))
    for phase in scenario.phases:
        if phase.person is not None:
            life.controller.handle(
                [PersonSpoke(spec.id, phase.person, "http", 2 * phase.minutes * MINUTE_NS)], now
            )
        for _ in range(phase.minutes):
            life.hear(phase, now)
            life.let_pass(now, now.plus(MINUTE_NS), phase.says)
            now = now.plus(MINUTE_NS)
    state = life.controller.state.appliances[spec.id]
    around = deciding.snapshot(spec, state, now, UTC)
    if state.last is None or claim.when.truth(around) is not True:
        return None
    return state.last.action, state.last.source


class _Life:
    def __init__(self, spec: Appliance, controller: Controller) -> None:
        self.spec = spec
        self.controller = controller

    def hear(self, phase: Phase, now: Instant) -> None:
        """What the sensors say, each in a message of its own."""
        self._model_says(phase.says, now)
        events: list[Event] = []
        for channel, value in phase.reads.items():
            quantity = self.spec.channels[channel].quantity
            reading = Reading(f"plain/{channel}", quantity.name, value, quantity.unit)
            events.append(ReadingArrived(reading.device, (reading,)))
        for channel, word in phase.says.items():
            if channel in self.spec.worded:
                told = Reading(f"plain/{channel}", channel, raw(self.spec, channel, word), None)
                events.append(StateReported(told.device, (told,)))
        self.controller.handle(events or [Tick()], now)

    def let_pass(self, since: Instant, until: Instant, says: Mapping[str, str]) -> None:
        """Tick whenever the controller wants it."""
        for _ in range(MAX_TICKS):
            wake_ns = self.controller.wake_at()
            if wake_ns >= until.boottime_ns:
                return
            at = since.plus(max(wake_ns - since.boottime_ns, 0))
            self._model_says(says, at)
            self.controller.handle([Tick()], at)

    def _model_says(self, says: Mapping[str, str], now: Instant) -> None:
        """What a model says is put in its place: which features make it say so is not asked here."""
        state = self.controller.state.appliances[self.spec.id]
        learned = dict(state.learned)
        for channel in learned:
            word = says.get(channel)
            if word is not None:
                learned[channel] = Learned(word, 1.0, Quality.GOOD, None, now, LEARNED_MAX_AGE_NS)
        appliances = {**self.controller.state.appliances, self.spec.id: replace(state, learned=learned)}
        self.controller.state = replace(self.controller.state, appliances=appliances)
