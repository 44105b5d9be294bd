"""Owns one side of a comparison: a home that decides about a history in which the devices obey what this side commands.

What the devices reported then followed from what they were told then; taken as it was, each report would be a hand at the
switch. So it is left out, and a device reports what it is told, a second later; the hands of then come as persons' words.
What its meter showed followed from the commands of then too, and is left out.
Never in here: comparing two sides.
"""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from msgspec.structs import replace

from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller, decide
from appliance.core.events import (
    AskState,
    AvailabilityChanged,
    Decision,
    Effect,
    Event,
    LinkChanged,
    Memory,
    PersonSpoke,
    ReadingArrived,
    Record,
    SendCommand,
    StateReported,
    Tick,
)
from appliance.core.guards.feedback import Feedback
from appliance.core.home import Home
from appliance.core.payloads.message import Scalar
from appliance.core.profile import Appliance
from appliance.core.readings import Reading
from appliance.core.state import State
from appliance.replay import checkpoint
from appliance.replay.driving import MAX_TICKS_BETWEEN, Moment, Opening

OBEYS_NS = SECOND
"""A device obeys and reports so long after its command (zigbee fans take one to two seconds)."""


class Obedient:
    """A home whose devices obey. `told` are the devices that any side commands: what these reported then is left out."""

    def __init__(self, home: Home, told: frozenset[str]) -> None:
        self.home = home
        self.doing = {name: spec.ladder.actions[0] for name, spec in home.appliances.items()}
        self._told = told | frozenset(home.reporters)
        self._meters = {
            (device, metric)
            for spec in home.appliances.values()
            for device, metric, channel in spec.sources
            if any(isinstance(guard, Feedback) and guard.channel == channel for guard in spec.guards)
        }
        self._controller: Controller | None = None
        self._memories: dict[str, Memory] = {}
        self._now: Instant | None = None
        self._due: list[tuple[int, int, Event]] = []
        self._count = 0

    @property
    def state(self) -> State:
        """What it remembers."""
        assert self._controller is not None
        return self._controller.state

    def open(self, opening: Opening) -> list[Decision]:
        """Begin a stretch, as a daemon that starts there; return what is decided at once."""
        home, at, kept = self.home, opening.at, opening.checkpoint
        if self._controller is not None:
            self._memories = {name: state.memory for name, state in self.state.appliances.items()}
        elif kept is not None:
            self._memories = {name: state.memory for name, state in kept.state.appliances.items()}
        for name, memory in self._memories.items():
            if name in self.doing and memory.reported is not None:
                self.doing[name] = memory.reported
        self._controller = Controller(
            home,
            home.at_start(self._memories, at)
            if kept is None
            else checkpoint.begin(home, kept, at, self._memories),
        )
        self._due, self._now = [], at
        return list(self._handle([LinkChanged(connected=True)], at))

    def happen(self, moment: Moment) -> Iterator[Decision]:
        """Let time pass until `moment`, and let it happen; yield what is decided."""
        assert self._now is not None
        at = moment.at
        if at.since(self._now) is None or at.boottime_ns < self._now.boottime_ns:
            at = self._now
        yield from self._pass(at)
        events = [left for event in moment.events if (left := self._left(event)) is not None]
        if events:
            yield from self._handle(events, at)
        self._now = at

    def without_persons(self, appliance: str) -> Decision | None:
        """Return what would be decided for `appliance` if no person had spoken. Changes nothing."""
        assert self._now is not None
        supposed, _ = decide(self.home, self.state, [PersonSpoke(appliance, None, "nobody")], self._now)
        return supposed.appliances[appliance].last

    def _left(self, event: Event) -> Event | None:
        """Return what is left of an event when what followed from the commands of then is taken out of it."""
        match event:
            case StateReported() if event.device in self._told:
                # A full tank is said by the same device, and followed from no command.
                words = self.home.word_routes
                states = tuple(state for state in event.states if (event.device, state.metric) in words)
                return replace(event, states=states) if states else None
            case AvailabilityChanged() if event.device in self._told:
                return None
            case ReadingArrived() if self._meters:
                meters = self._meters
                readings = tuple(one for one in event.readings if (event.device, one.metric) not in meters)
                return replace(event, readings=readings) if readings else None
            case _:
                return event

    def _pass(self, until: Instant) -> Iterator[Decision]:
        now, controller = self._now, self._controller
        assert now is not None
        assert controller is not None
        until_ns = until.boottime_ns
        for _ in range(MAX_TICKS_BETWEEN):
            wake_ns = controller.wake_at()
            due_ns = self._due[0][0] if self._due else wake_ns
            next_ns = min(wake_ns, due_ns)
            if next_ns >= until_ns:
                return
            at = now.plus(max(next_ns - now.boottime_ns, 0))
            event: Event = heappop(self._due)[2] if self._due and due_ns <= wake_ns else Tick()
            yield from self._handle([event], at)

    def _handle(self, events: list[Event], at: Instant) -> Iterator[Decision]:
        assert self._controller is not None
        for effect in self._controller.handle(events, at):
            match effect:
                case Record(decision):
                    yield decision
                case SendCommand() | AskState():
                    self._obey(effect, at)
                case _:
                    pass

    def _obey(self, effect: Effect, at: Instant) -> None:
        """Let the device answer, a second later, with what it does then."""
        if isinstance(effect, SendCommand):
            names: Iterable[str] = (effect.appliance,)
            self.doing[effect.appliance] = effect.action
        elif isinstance(effect, AskState):
            names = self.home.reporters.get(effect.device, ())
        else:
            return
        for name in names:
            spec = self.home.appliances[name]
            states = tuple(
                Reading(spec.actuator.device, metric, value, None)
                for metric, value in _words(spec, self.doing[name]).items()
            )
            if states:
                self._count += 1
                report = StateReported(spec.actuator.device, states)
                heappush(self._due, (at.boottime_ns + OBEYS_NS, self._count, report))


def _words(spec: Appliance, action: str) -> dict[str, Scalar]:
    """Return a report that means `action`: metric -> word."""
    for spelling in spec.actuator.spellings:
        if spelling.action == action:
            return {metric: words[0] for metric, words in spelling.seen.items()}
    return {}
