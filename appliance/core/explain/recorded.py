"""Owns the question "what if" about a decision of the past, from what the decision itself wrote down: inputs and voices.

Never in here: the history of readings; where a replay can rebuild the state of that time, `what_if.Live` asks it instead.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from msgspec.structs import replace

from appliance.core.arbitration import Authority, Ladder, Proposal, Voice
from appliance.core.clock import Instant
from appliance.core.conditions.nodes import CompareWindow, Node
from appliance.core.events import Decision, Input, Memory
from appliance.core.explain.what_if import SUPPOSED, guarded, nodes, sure, told
from appliance.core.guards import NoFault
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.quantities import Quantity
from appliance.core.readings import Heard, Quality
from appliance.core.rules import conclude
from appliance.core.senses import Learned, Sense
from appliance.core.snapshot import Snapshot
from appliance.core.weighing import FREE, weigh
from appliance.core.windows import Window
from appliance.core.words import Told


class Recorded:
    """A question about a decision of the past, by the rules of today and what it wrote down: inputs and voices.

    Windows, timers and the appliance's own doing were not written down, so conditions on them are unknown here. What guards
    and people said stands, and so does a rule that spoke then where nothing written down says why; one that would speak
    now but did not then stays silent.
    """

    def __init__(self, spec: Appliance, decision: Decision, around: Snapshot) -> None:
        self.spec = spec
        self.decision = decision
        self.around = recorded(spec, decision, around)
        self._rules = (*spec.rules, *spec.instead)
        acting = {voice.source for voice in decision.voices if voice.acts}
        speaking = {wish.source for wish in conclude(self._rules, self.around).proposals}
        self._muted = speaking - acting
        explained = (speaking & acting) | {spec.fallback.source}
        standing = [voice for voice in decision.voices if voice.acts and voice.source not in explained]
        wishes = [_proposal(spec, voice) for voice in standing]
        self._standing = [wish for wish in wishes if wish is not None]

    def decided(self) -> str | None:
        return self._decide(self.around)

    def valued(self, channel: str, value: float) -> str | None:
        sense = self.around.senses[channel]
        return self._decide(self._sensing(channel, _heard(sense, value, 0, self.around.now)))

    def unheard(self, channel: str) -> str | None:
        if channel in self.around.words:
            silent = replace(self.around.words[channel], sources={})
            return self._decide(self.around.but(words={**self.around.words, channel: silent}))
        sense = self.around.senses[channel]
        return self._decide(self._sensing(channel, Sense(sense.channel, {}, sense.window)))

    def worded(self, channel: str, word: str) -> str | None:
        around, now = self.around, self.around.now
        if channel in around.words:
            words = {**around.words, channel: told(around.words[channel].channel, word, now)}
            return self._decide(around.but(words=words))
        return self._decide(around.but(learned={**around.learned, channel: sure(word, now)}))

    def without(self) -> Iterator[tuple[str, str | None]]:
        for wish in self._standing:
            yield f"without {wish.source} ({wish.because})", self._decide(self.around, but=wish)

    def conditions(self) -> Iterator[Node]:
        yield from nodes(self.spec)

    def looks_on(self) -> frozenset[str]:
        windowed = (node.channel for node in self.conditions() if isinstance(node, CompareWindow))
        return frozenset(windowed) | guarded(self.spec)

    def _sensing(self, channel: str, sense: Sense) -> Snapshot:
        return self.around.but(senses={**self.around.senses, channel: sense})

    def _decide(self, around: Snapshot, but: Proposal | None = None) -> str | None:
        """Return the action of today's rules among the voices that stand, weighed as any decision is."""
        concluded = conclude(self._rules, around)
        said = tuple(wish for wish in concluded.proposals if wish.source not in self._muted)
        standing = [wish for wish in self._standing if wish is not but]
        mode = self.decision.action
        if mode in self.spec.ladder.modes and not any(
            wish.authority < Authority.MANUAL for wish in (*said, *standing)
        ):
            return mode
        spec = replace(self.spec, guards=tuple(_Stands(wish) for wish in standing))
        return weigh(spec, around, replace(concluded, proposals=said)).action


class _Stands(NoFault):
    """A voice that says what it said, in the place of a guard."""

    name: ClassVar[str] = "stands"

    def __init__(self, wish: Proposal) -> None:
        self._wish = wish

    @classmethod
    def from_table(
        cls, table: Mapping[str, object], ladder: Ladder, measured: Mapping[str, Quantity], *, where: str
    ) -> Self:
        """Refuse: no profile names it."""
        raise NotImplementedError

    def propose(self, snapshot: Snapshot) -> Proposal | None:
        del snapshot
        return self._wish

    def wakes_ns(self, snapshot: Snapshot) -> int | None:
        del snapshot
        return None


def recorded(spec: Appliance, decision: Decision, around: Snapshot) -> Snapshot:
    """Return what can be known of the moment of `decision` from what it wrote down; `around` lends what never changes."""
    at = decision.at
    known = {seen.channel: seen for seen in decision.inputs}
    senses = {}
    for name, channel in spec.channels.items():
        empty = Sense(channel, {}, Window.empty(channel.max_age_ns, channel.quantity.resolution))
        seen = known.get(name)
        value = None if seen is None else seen.value
        if seen is not None and isinstance(value, float | int):
            senses[name] = _heard(empty, float(value), round((seen.age_s or 0.0) * 1e9), at)
        else:
            senses[name] = empty
    words = {}
    for name, spoken in spec.worded.items():
        word, said_at = _said(known.get(name), at)
        words[name] = Told(spoken, ()) if word not in spoken.words else told(spoken, word or "", said_at)
    learned = {}
    for name in spec.models:
        seen = known.get(name)
        word, said_at = _said(seen, at)
        learned[name] = (
            Learned(None, 0.0, Quality.UNCERTAIN, None, at, LEARNED_MAX_AGE_NS)
            if word is None or seen is None
            else replace(sure(word, said_at), by=seen.by)
        )
    spoke = {voice.source for voice in decision.voices if voice.acts}
    holds = tuple(rule.id for rule in spec.rules if rule.until is not None and f"rule {rule.id}" in spoke)
    actions = spec.ladder.actions
    decided = actions.index(decision.action) if decision.action in actions else None
    # What only a person may enter, and something else decided, it was doing already.
    current = decided if decided in spec.needs_person and decision.authority not in FREE else None
    return around.but(
        now=at, senses=senses, learned=learned, words=words, memory=Memory(holds=holds), current=current,
        others={}, reports=None,
    )  # fmt: skip


def _said(seen: Input | None, at: Instant) -> tuple[str | None, Instant]:
    """Return the word that a channel said, if it said one that could be acted on, and when."""
    if seen is None or not isinstance(seen.value, str):
        return None, at
    return seen.value, at.plus(-round((seen.age_s or 0.0) * 1e9))


def _heard(sense: Sense, value: float, age_ns: int, now: Instant) -> Sense:
    heard_ns = now.boottime_ns - age_ns
    heard = Heard(heard_ns, heard_ns, value, Quality.GOOD, None, heard_ns, value)
    return Sense(sense.channel, {SUPPOSED: heard}, sense.window)


def _proposal(spec: Appliance, voice: Voice) -> Proposal | None:
    """Return a voice as the proposal that it was; None where it named an action that is none any more, or a mode."""
    actions = spec.ladder.actions
    if voice.at_least not in actions or voice.at_most not in actions:
        return None
    low, high = actions.index(voice.at_least), actions.index(voice.at_most)
    return Proposal(low, high, voice.authority, voice.source, voice.because)
