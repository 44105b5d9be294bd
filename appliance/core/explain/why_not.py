"""Owns the answer to "why not that action": which voice stops it, or what each rule that could ask for it waits for.

Never in here: deciding; it is read off a decision that was made, and a snapshot of what can be known of its moment.
"""

from collections.abc import Sequence

import msgspec

from appliance.core.arbitration import Authority, Voice
from appliance.core.events import Decision
from appliance.core.explain.why import sentence
from appliance.core.explain.wording import joined, missing, spell
from appliance.core.profile import Appliance
from appliance.core.rules import Rule, Standing
from appliance.core.snapshot import Snapshot

MOST_IN_A_SENTENCE = 2
"""So many rules are named in the sentence; the lines name all."""


class Account(msgspec.Struct, frozen=True):
    """One `sentence`, and the whole account in `lines`."""

    sentence: str
    lines: tuple[str, ...]


def why_not(spec: Appliance, decision: Decision, action: str, around: Snapshot) -> Account:
    """Return why `decision` is not `action`, one of the appliance's actions or modes.

    `around` is what can be known of the moment of the decision: the present values in the answer are its.
    """
    if action == decision.action:
        return Account(f"It is {sentence(decision)}", ())
    if action in spec.ladder.modes:
        return Account(f"not {action}, because it is a mode: only a person enters one.", ())
    return _Question(spec, decision, action, around).answer()


class _Question:
    """One question. `up` tells whether `action` is more than what was decided."""

    def __init__(self, spec: Appliance, decision: Decision, action: str, around: Snapshot) -> None:
        self.spec, self.decision, self.action, self.around = spec, decision, action, around
        self.actions = spec.ladder.actions
        self.wanted = self.actions.index(action)
        decided = decision.action
        # A mode lies off the ladder: what keeps the appliance in it is the person who chose it.
        self.decided = self.actions.index(decided) if decided in self.actions else None
        # Resting is what silence leads to; something else that is done instead of it is a wish.
        self.voices = [voice for voice in decision.voices if voice.source != spec.fallback.source]
        self.up = self.wanted > (spec.ladder.rest if self.decided is None else self.decided)

    def answer(self) -> Account:
        if self.decision.action is None:
            return Account(
                f"not {self.action}, because nothing was decided: {self.decision.because}.", self.lines(())
            )
        if self.decided is None:
            return Account(f"not {self.action}, because {self.decision.because}.", self.lines(()))
        acting = [voice for voice in self.voices if voice.acts]
        askers = [voice for voice in acting if self.asks(voice)]
        stoppers = [voice for voice in acting if self.stops(voice)]
        person = next((voice for voice in stoppers if voice.authority is Authority.MANUAL), None)
        if stoppers and (askers or self.towards_rest() or person is not None):
            first = stoppers[0]
            said = f"because {self.stopping(first)}"
            if askers:
                said += f"; {askers[0].source} wanted it ({askers[0].because})"
        else:
            said = f"because nobody asks for {'more' if self.up else 'less'} than {self.most_asked(acting)}"
            said += self.waiting()
            if stoppers:
                said += f"; and, were it asked for, {self.stopping(stoppers[0])}"
        advice = [voice for voice in self.voices if not voice.acts and self.asks(voice)]
        if advice:
            only = ": only a person may enter it" if self.wanted in self.spec.needs_person else ""
            said += f" ({advice[0].source} recommends it{only})"
        return Account(f"not {self.action}, {said}.", self.lines(stoppers))

    def asks(self, voice: Voice) -> bool:
        """Return whether this voice, alone, would lead to the action or beyond."""
        low, high = self.interval(voice)
        return low >= self.wanted if self.up else high <= self.wanted

    def stops(self, voice: Voice) -> bool:
        """Return whether this voice does not accept the action, nor anything beyond it."""
        low, high = self.interval(voice)
        return high < self.wanted if self.up else low > self.wanted

    def interval(self, voice: Voice) -> tuple[int, int]:
        """Return the voice's interval; an action of an older profile counts as no bound."""
        low = self.actions.index(voice.at_least) if voice.at_least in self.actions else 0
        high = self.actions.index(voice.at_most) if voice.at_most in self.actions else len(self.actions) - 1
        return low, high

    def stopping(self, voice: Voice) -> str:
        if voice.authority is Authority.MANUAL:
            return voice.because
        return f"{voice.source} {self.bound(voice)}: {voice.because}"

    def bound(self, voice: Voice) -> str:
        if voice.at_least == voice.at_most:
            return f"wants exactly {voice.at_least}"
        return f"limits it to {voice.at_most}" if self.up else f"wants at least {voice.at_least}"

    def towards_rest(self) -> bool:
        """Return whether silence alone would lead to the action or past it."""
        rest = self.spec.ladder.rest
        return (
            self.decided is not None
            and self.decided != rest
            and (self.decided < self.wanted <= rest or rest <= self.wanted < self.decided)
        )

    def most_asked(self, acting: Sequence[Voice]) -> str:
        bounds = [self.interval(voice)[0 if self.up else 1] for voice in acting]
        rest = self.spec.ladder.rest
        asked = max([rest, *bounds]) if self.up else min([rest, *bounds])
        return self.actions[asked]

    def waiting(self) -> str:
        """Return what the rules that come nearest to the action wait for."""
        rules = sorted(self.rules(), key=self.distance)
        if not rules:
            return ", and no rule ever does: only a person can choose it"
        nearest = [rule for rule in rules if self.distance(rule) == self.distance(rules[0])]
        said = [f"{rule.id} {self.state(rule)}" for rule in nearest[:MOST_IN_A_SENTENCE]]
        return f": {'; '.join(said)}"

    def rules(self) -> list[Rule]:
        """Return the rules that could ask for the action or more."""
        return [
            rule
            for rule in (*self.spec.rules, *self.spec.instead)
            if (rule.at_least >= self.wanted if self.up else rule.at_most <= self.wanted)
        ]

    def distance(self, rule: Rule) -> int:
        return rule.at_least - self.wanted if self.up else self.wanted - rule.at_most

    def state(self, rule: Rule) -> str:
        """Return what a rule waits for, or why it is not heard."""
        if rule.standing is Standing.OFF:
            return "is switched off"
        clauses = missing(rule.when, self.around)
        if not clauses:
            return "has its condition now" if rule.standing is Standing.ACT else "only recommends"
        return f"needs {joined(clauses)}"

    def lines(self, stoppers: Sequence[Voice]) -> tuple[str, ...]:
        """Return all that stops it and when that ends, and every rule that could ask for it with what it waits for."""
        said = []
        known = {f"rule {rule.id}": rule for rule in (*self.spec.rules, *self.spec.instead)}
        for voice in stoppers:
            line = f"{voice.authority.name} {voice.source} {self.bound(voice)}, because {voice.because}"
            rule = known.get(voice.source)
            said.append(line if rule is None else f"{line}; {self.ending(rule)}")
        for rule in sorted(self.rules(), key=self.distance):
            wants = self.wish(rule)
            when = spell(rule.when, self.around)
            said.append(
                f"{rule.authority.name} rule {rule.id} would want {wants} when {when}: {self.state(rule)}"
            )
        return tuple(said)

    def wish(self, rule: Rule) -> str:
        low, high = self.actions[rule.at_least], self.actions[rule.at_most]
        if low == high:
            return f"exactly {low}"
        return f"at least {low}" if self.up or rule.at_most == self.spec.ladder.top else f"at most {high}"

    def ending(self, rule: Rule) -> str:
        """Return what would silence a rule that speaks."""
        clauses = missing(rule.when, self.around, want=False)
        until = () if rule.until is None else missing(rule.until, self.around)
        if rule.until is not None and until:
            return f"it ends with {joined(until)}"
        return f"it ends with {joined(clauses)}" if clauses else "its condition has ended"
