"""Owns the questions that are put to the formulas of one appliance, and their answers in words.

Never in here: how a formula is made, or how a witness is found (examination).
"""

from collections.abc import Iterator
from itertools import combinations

import z3

from appliance.core.arbitration import Authority
from appliance.core.profile import Invariant
from appliance.core.rules import Rule, Standing
from appliance.core.snapshot import Snapshot
from appliance.prove.bits import above, all_of, any_of, equal, index_of, no, same, term
from appliance.prove.deciding import Decided
from appliance.prove.examination import Examination
from appliance.prove.report import Answer, Outcome, Witness
from appliance.prove.scene import known_anywhere
from appliance.prove.solving import Undecided
from appliance.prove.staging import Stage
from appliance.prove.weighing import outcome

NOT_IN_TIME = "this could not be decided in time"


class Questions:
    """Everything that is asked of one examination."""

    def __init__(self, about: Examination) -> None:
        self.about = about
        self.spec = about.spec
        self.here = about.here
        self.solver = about.solver
        self.dead: set[str] = set()

    def answers(self, *, notes: bool = True) -> Iterator[Answer]:
        """Yield the answers, one question after the other; without `notes` those on claims alone."""
        yield from self._dead_rules()
        for claim in self.spec.invariants:
            yield self._invariant(claim)
        if not notes:
            return
        acting = [rule for rule in self.spec.rules if rule.standing is Standing.ACT]
        for rule in acting:
            if rule.id not in self.dead:
                yield from self._idle(rule)
        for one, other in combinations(acting, 2):
            yield from self._contradiction(one, other)
        for rule in acting:
            yield from self._fails_open(rule)
        for rule in self.spec.rules:
            yield from self._both(rule)
        yield self._fallback_alone()

    # ------------------------------------------------------------ invariants

    def _invariant(self, claim: Invariant) -> Answer:
        when = self.about.claims[claim.id][0]
        excused = any_of(*(self.here.by(authority) for authority in claim.unless))
        broken = all_of(when, self.here.beyond_bounds(claim.at_least, claim.at_most), no(excused))
        actions = self.spec.ladder.actions
        allowed = actions[claim.at_least : claim.at_most + 1]

        def real(snapshot: Snapshot, decided: Decided) -> bool:
            holds = claim.when.truth(snapshot) is True
            return (
                holds
                and decided.action is not None
                and decided.action not in allowed
                and decided.authority not in claim.unless
            )

        try:
            witness = self.about.witness([broken], real)
            idle = witness is None and self.solver.find(when) is None
        except Undecided:
            return Answer("invariant", claim.id, Outcome.UNDECIDED, NOT_IN_TIME, claim=True)
        if witness is None:
            text = f"{claim.because}; its `when` can never be true" if idle else claim.because
            return Answer("invariant", claim.id, Outcome.HOLDS, text, claim=True)
        stage = Stage(self.spec, self.about.bound, claim)
        staged = stage.scenario(self.about.deadline)
        if staged is not None:
            text, decided, scenario = staged
            witness = Witness(text, "readings", decided.action, decided.source, scenario)
        text = f"must be {_span(actions, claim.at_least, claim.at_most)}, and is not: {claim.because}"
        return Answer("invariant", claim.id, Outcome.FAILS, text, claim=True, witness=witness)

    # ------------------------------------------------------------ rules that never matter

    def _dead_rules(self) -> Iterator[Answer]:
        for rule in self.spec.rules:
            try:
                possible = self.solver.find(self.here.when[rule.id][0])
            except Undecided:
                yield Answer("never matters", rule.id, Outcome.UNDECIDED, NOT_IN_TIME)
                continue
            if possible is not None:
                continue
            self.dead.add(rule.id)
            # What never begins is never held either.
            self.solver.assume(no(self.here.held.get(rule.id, False)))
            unmeasured = sorted(name for name in rule.when.channels() if self.here.scene.known(name) is False)
            why = f"; {', '.join(unmeasured)} is not measured here" if unmeasured else ""
            yield Answer("never matters", rule.id, Outcome.NOTED, f"its `when` can never be true{why}")

    def _idle(self, rule: Rule) -> Iterator[Answer]:
        here = self.here
        others = [wish for wish in here.wishes if wish.source != f"rule {rule.id}"]
        without, mode = outcome(self.spec.ladder, others), here.stands(others)
        unlike = any_of(
            no(same(here.mode, mode)),
            no(same(here.weighed.acts, without.acts)),
            no(equal(here.weighed.action, without.action)),
        )
        try:
            if self.solver.find(here.speaks[rule.id], unlike) is None:
                text = "it never changes what is decided: others ask for as much wherever it speaks"
                yield Answer("never matters", rule.id, Outcome.NOTED, text)
        except Undecided:
            yield Answer("never matters", rule.id, Outcome.UNDECIDED, NOT_IN_TIME)

    # ------------------------------------------------------------ contradictions

    def _contradiction(self, one: Rule, other: Rule) -> Iterator[Answer]:
        if one.authority is not other.authority:
            return
        floor, ceiling = (one, other) if one.at_least > other.at_most else (other, one)
        if floor.at_least <= ceiling.at_most:
            return
        subject = f"{floor.id} and {ceiling.id}"
        speak = [self.here.speaks[floor.id], self.here.speaks[ceiling.id]]

        def real(snapshot: Snapshot, decided: Decided) -> bool:
            del snapshot
            said = {wish.source for wish in decided.conclusion.proposals}
            return {f"rule {floor.id}", f"rule {ceiling.id}"} <= said

        try:
            witness = self.about.witness(speak, real)
        except Undecided:
            yield Answer("contradict", subject, Outcome.UNDECIDED, NOT_IN_TIME)
            return
        if witness is None:
            return
        point = min(max(self.spec.ladder.safe, ceiling.at_most), floor.at_least)
        yields = [rule.id for rule in (floor, ceiling) if not rule.at_least <= point <= rule.at_most]
        actions = self.spec.ladder.actions
        text = (
            f"{floor.id} wants at least {actions[floor.at_least]}, {ceiling.id} at most {actions[ceiling.at_most]}: "
            f"{' and '.join(yields)} yields, to {actions[point]}, which is nearest to safe"
        )
        yield Answer("contradict", subject, Outcome.NOTED, text, witness=witness)

    # ------------------------------------------------------------ an input is lost

    def _fails_open(self, rule: Rule) -> Iterator[Answer]:
        here = self.here
        top = self.spec.ladder.top
        if rule.at_most == top or rule.id in self.dead:
            return
        asked = rule.when.channels() | (rule.until.channels() if rule.until is not None else frozenset())
        cap = index_of(rule.at_most, top)
        exceeded = all_of(here.decides, above(here.weighed.action, cap), no(here.speaks[rule.id]))
        holds_after = [
            (held, term(here.stays[name])) for name, held in here.held.items() if not isinstance(held, bool)
        ]
        for channel in sorted(asked):
            deaf = here.scene.deaf(channel)
            if not deaf:
                continue
            after = z3.substitute(term(exceeded), *deaf, *holds_after)
            before = all_of(
                here.speaks[rule.id],
                known_anywhere(here.scene, channel),
                no(here.person),
                no(here.person_mode),
            )
            try:
                # The decision kept to it, then the input goes, and nothing else changes.
                witness = self.about.witness([before, no(above(here.weighed.action, cap)), after], None)
            except Undecided:
                yield Answer("fails open", rule.id, Outcome.UNDECIDED, NOT_IN_TIME)
                continue
            if witness is not None:
                actions = self.spec.ladder.actions
                text = (
                    f"when {channel} becomes unknown it falls silent, and more than {actions[rule.at_most]} may be decided; "
                    f'if that must not be, write "… or {channel} is unknown"'
                )
                yield Answer("fails open", rule.id, Outcome.NOTED, text, witness=witness)

    # ------------------------------------------------------------ begins and ends at once

    def _both(self, rule: Rule) -> Iterator[Answer]:
        if rule.id not in self.here.until or rule.id in self.dead:
            return

        def real(snapshot: Snapshot, decided: Decided) -> bool:
            del decided
            return (
                bool(rule.when.truth(snapshot))
                and rule.until is not None
                and bool(rule.until.truth(snapshot))
            )

        try:
            witness = self.about.witness([self.here.when[rule.id][0], self.here.until[rule.id][0]], real)
        except Undecided:
            yield Answer("begins and ends", rule.id, Outcome.UNDECIDED, NOT_IN_TIME)
            return
        if witness is not None:
            text = "its `when` and `until` can be true together; then it speaks, and ends as soon as `when` is not true"
            yield Answer("begins and ends", rule.id, Outcome.NOTED, text, witness=witness)

    # ------------------------------------------------------------ nobody speaks

    def _fallback_alone(self) -> Answer:
        silent = [no(wish.speaks) for wish in self.here.wishes if wish.authority is not Authority.FALLBACK]

        def real(snapshot: Snapshot, decided: Decided) -> bool:
            del snapshot
            return decided.authority in (Authority.FALLBACK, None)

        try:
            witness = self.about.witness([*silent, no(self.here.person_mode)], real)
        except Undecided:
            return Answer("fallback alone", "fallback", Outcome.UNDECIDED, NOT_IN_TIME)
        if witness is None:
            text = "some rule or guard speaks in every state"
            return Answer("fallback alone", "fallback", Outcome.NOTED, text)
        if not self.spec.may_act:
            return Answer(
                "fallback alone",
                "fallback",
                Outcome.NOTED,
                "no rule may act, and the fallback only recommends",
            )
        text = "there are states in which nobody but the fallback speaks"
        return Answer("fallback alone", "fallback", Outcome.NOTED, text, witness=witness)


def _span(actions: tuple[str, ...], low: int, high: int) -> str:
    if low == high:
        return actions[low]
    if low == 0:
        return f"{actions[high]} at most"
    return f"{actions[low]} at least" if high == len(actions) - 1 else f"{actions[low]} to {actions[high]}"
