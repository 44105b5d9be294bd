"""Owns the question "what if": one appliance's decision on other inputs than there were.

It rests on the whole state, which is thrown away after it.
Never in here: a clock, or anything that stays.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec
from msgspec.structs import replace

from appliance.core import deciding, overrides
from appliance.core.clock import Instant
from appliance.core.conditions.nodes import CompareWindow, Node
from appliance.core.controller import Controller, others
from appliance.core.explain.wording import span
from appliance.core.home import Home
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.readings import Quality
from appliance.core.senses import Learned, Sense
from appliance.core.snapshot import Snapshot
from appliance.core.state import ApplianceState, State
from appliance.core.windows import Window
from appliance.core.words import Said, Told, WordChannel

SUPPOSED = "supposed"


class Question(Protocol):
    """One appliance at one moment, to be asked what would be decided if something were otherwise."""

    spec: Appliance
    around: Snapshot

    def decided(self) -> str | None:
        """Return the action that follows from everything as it is."""
        ...

    def valued(self, channel: str, value: float) -> str | None:
        """Return the action if the newest value of a measured channel were `value`."""
        ...

    def unheard(self, channel: str) -> str | None:
        """Return the action if a sensor's channel, of numbers or of words, were unknown."""
        ...

    def worded(self, channel: str, word: str) -> str | None:
        """Return the action if a channel of words said `word`: a sensor, or a model that is sure of it."""
        ...

    def without(self) -> Iterator[tuple[str, str | None]]:
        """Yield what ends by itself, as "a person's override ends at 15:43", each with the action without it."""
        ...

    def conditions(self) -> Iterator[Node]:
        """Yield all that is compared, and every part of it."""
        ...

    def looks_on(self) -> frozenset[str]:
        """Return the channels at which more than comparisons of the newest value look: windows and models."""
        ...


def nodes(spec: Appliance) -> Iterator[Node]:
    """Yield every condition of the appliance's rules, and every part of each."""
    for rule in (*spec.rules, *spec.instead):
        yield from rule.nodes()


def guarded(spec: Appliance) -> frozenset[str]:
    """Return the channels at which guards look."""
    return frozenset(str(channel) for guard in spec.guards if (channel := getattr(guard, "channel", None)))


class Live:
    """A question about the state as it is (or was, where somebody can give that state); `state` is never altered."""

    def __init__(self, home: Home, state: State, appliance: str, now: Instant) -> None:
        self.spec = home.appliances[appliance]
        self.around = surroundings(home, state, appliance, now)
        self._home = home
        self._state = state
        # Without models: what a label is supposed to be, no model says otherwise.
        self._quiet = home.but(classifiers={})
        self._as_it_is = home
        """Who decides where nothing is supposed that a model looks at."""

    def decided(self) -> str | None:
        return self._suppose(self._as_it_is, self._state, {})

    def valued(self, channel: str, value: float) -> str | None:
        return self._suppose(self._home, self._state, {channel: value})

    def unheard(self, channel: str) -> str | None:
        own = self._own
        if channel in own.words:
            silent = Told(own.words[channel].channel, own.words[channel].expects)
            return self._suppose(self._home, self._with(words={**own.words, channel: silent}), {})
        sense = own.senses[channel]
        deaf = Sense(sense.channel, {}, Window.empty(sense.channel.max_age_ns, sense.window.resolution))
        return self._suppose(self._home, self._with(senses={**own.senses, channel: deaf}), {})

    def worded(self, channel: str, word: str) -> str | None:
        own = self._own
        if channel in own.words:
            words = {**own.words, channel: told(own.words[channel].channel, word, self.around.now)}
            return self._suppose(self._home, self._with(words=words), {})
        learned = {**own.learned, channel: sure(word, self.around.now)}
        return self._suppose(self._quiet, self._with(learned=learned), {})

    def without(self) -> Iterator[tuple[str, str | None]]:
        now, memory = self.around.now, self._own.memory
        override = memory.override
        if override is not None and overrides.in_force(override, now):
            action = self._suppose(self._as_it_is, self._with(memory=replace(memory, override=None)), {})
            if override.until is None:
                yield "a person hands it back", action
            elif override.ends is None:
                yield f"a person's override ends at {override.until.local(self.around.zone):%H:%M}", action
            else:
                yield f"a person's override ends, once {override.ends}", action
        for guard in self.spec.guards:
            if guard.propose(self.around) is None:
                continue
            wakes = guard.wakes_ns(self.around)
            left = "" if wakes is None else f" in {span(wakes - now.boottime_ns)}"
            bare = replace(self.spec, guards=tuple(other for other in self.spec.guards if other is not guard))
            home = self._as_it_is.but(
                appliances=[
                    bare if known.id == bare.id else known for known in self._as_it_is.appliances.values()
                ]
            )
            yield f"{guard.name} ends{left}", self._suppose(home, self._state, {})

    def conditions(self) -> Iterator[Node]:
        yield from nodes(self.spec)
        ends = self._own.ends
        if ends is not None and self._own.memory.override is not None:
            yield from ends[1].walk()

    def looks_on(self) -> frozenset[str]:
        learning = (self._home.classifiers.get(model) for model in self.spec.models.values())
        featured = frozenset(
            channel for model in learning if model is not None for channel in model.spec.channels
        )
        windowed = (node.channel for node in self.conditions() if isinstance(node, CompareWindow))
        return frozenset(windowed) | guarded(self.spec) | (featured & self.spec.channels.keys())

    @property
    def _own(self) -> ApplianceState:
        return self._state.appliances[self.spec.id]

    def _with(self, **changes: object) -> State:
        own = replace(self._own, **changes)
        return replace(self._state, appliances={**self._state.appliances, self.spec.id: own})

    def _suppose(self, home: Home, state: State, readings: Mapping[str, float]) -> str | None:
        decision = Controller(home, state).suppose(self.spec.id, readings, self.around.now)
        return None if decision is None else decision.action


class Then(msgspec.Struct, frozen=True):
    """What a decision of the past rested on: the whole state as it was just before it was made, with what had been heard.

    `before` are the senses of the channels that the very reading before it fed, as they were without that reading.
    """

    state: State
    before: Mapping[str, Sense]


class Past(Live):
    """A question about the decision that was made `now`, on the whole state of then.

    The reading that led to it is supposed to have said something else; where none did, one more is supposed to have come.
    """

    def __init__(self, home: Home, then: Then, appliance: str, now: Instant) -> None:
        super().__init__(home, then.state, appliance, now)
        self._before = then.before
        # What the models had said stands: they are asked only about what they would have heard.
        self._as_it_is = self._quiet

    def valued(self, channel: str, value: float) -> str | None:
        home = self._home
        asked = {name: model for name, model in home.classifiers.items() if channel in model.spec.channels}
        state = self._state
        if channel in self._before:
            state = self._with(senses={**self._own.senses, channel: self._before[channel]})
        return self._suppose(home.but(classifiers=asked), state, {channel: value})


def surroundings(home: Home, state: State, appliance: str, now: Instant) -> Snapshot:
    """Return what a decision about `appliance` may look at `now`."""
    spec = home.appliances[appliance]
    around = others(home, spec, state.appliances)
    return deciding.snapshot(spec, state.appliances[appliance], now, home.zone, around)


def sure(word: str, at: Instant) -> Learned:
    """Return a model's word that it is sure of, said at `at`."""
    return Learned(word, 1.0, Quality.GOOD, None, at, LEARNED_MAX_AGE_NS)


def told(channel: WordChannel, word: str, at: Instant) -> Told:
    """Return a channel of words of which all sensors said `word` at `at`."""
    return Told(channel, (SUPPOSED,), {SUPPOSED: Said(word, None, at.boottime_ns)})
