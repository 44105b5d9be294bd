"""Owns one snapshot of one appliance as formulas: which rules speak, what guards and a person ask for, what is decided.

It mirrors `conclude()` and the way from there to a decision. Never in here: questions (claims), or values (moments).
"""

from collections.abc import Sequence

import z3
from msgspec.structs import replace

from appliance.core.arbitration import Authority
from appliance.core.profile import Appliance
from appliance.core.rules import Rule, Standing
from appliance.core.weighing import FREE
from appliance.prove.bits import Bit, Index, above, all_of, any_of, equal, index_of, no, ordered
from appliance.prove.formulas import Formulas, Pair
from appliance.prove.guarding import GUARDS
from appliance.prove.scene import Scene
from appliance.prove.weighing import Weighed, Wish, weigh

SPEAKS_ON = frozenset({Authority.LIFE_SAFETY, Authority.EQUIPMENT})
"""These go on speaking while held, even where nobody knows whether they should end."""


class Situation:
    """All formulas of one snapshot. `facts` hold in every real one; `beyond` names what is left out.

    Attributes:
        when: rule id -> when its `when` is true, and when false. `until` likewise, for rules that have one.
        held: rule id -> whether it was held before this snapshot; `stays` -> whether it is after.
        speaks: rule id -> whether it speaks, acting or not.
        wishes: every voice that acts.
        weighed: what the voices amount to; a person's mode lies beside it: where `mode` is true it stands instead.
    """

    def __init__(self, spec: Appliance, *, tag: str = "", bound: frozenset[str] | None = None) -> None:
        self.spec = spec
        self.scene = Scene(spec, tag=tag, bound=bound)
        self.formulas = Formulas(self.scene)
        self.when: dict[str, Pair] = {}
        self.until: dict[str, Pair] = {}
        self.held: dict[str, Bit] = {}
        self.stays: dict[str, Bit] = {}
        self.speaks: dict[str, Bit] = {}
        self.beyond: list[str] = []
        top = spec.ladder.top
        flag = self.scene.flag
        self.current_known = flag("current")
        self.current: Index = tuple(flag("current above", str(step)) for step in range(top))
        self.in_a_mode: Bit = flag("in a mode") if spec.ladder.modes else False
        self.person = flag("person")
        self.person_wants: Index = tuple(flag("person above", str(step)) for step in range(top))
        self.person_mode: Bit = flag("person chose a mode") if spec.ladder.modes else False
        self.scene.facts += [
            ordered(self.current),
            ordered(self.person_wants),
            no(all_of(self.person, self.person_mode)),
            no(all_of(self.in_a_mode, self.current_known)),
        ]
        self.wishes: list[Wish] = [wish for rule in spec.rules for wish in self._rule(rule)]
        for guard in spec.guards:
            known = GUARDS.get(guard.name)
            if known is None:
                self.beyond.append(f"the guard {guard.name} is taken to be silent")
            else:
                self.wishes += known(guard, self)
        self.wishes.append(
            Wish(self.person, self.person_wants, self.person_wants, Authority.MANUAL, "person")
        )
        self.wishes += self._fallback()
        if spec.needs_person:
            self.wishes = [self._within_reach(wish) for wish in self.wishes]
        self.weighed: Weighed = self.weigh(self.wishes)
        self.mode = self.stands(self.wishes)

    def _rule(self, rule: Rule) -> list[Wish]:
        when = self.when[rule.id] = self.formulas.of(rule.when)
        speaks: Bit = when[0]
        if rule.until is not None:
            until = self.until[rule.id] = self.formulas.of(rule.until)
            held = self.held[rule.id] = self.scene.flag("held", rule.id)
            goes_on = no(until[0]) if rule.authority in SPEAKS_ON else until[1]
            speaks = any_of(speaks, all_of(held, goes_on))
            self.stays[rule.id] = any_of(when[0], all_of(held, no(until[0])))
        self.speaks[rule.id] = speaks
        if rule.standing is not Standing.ACT:
            return []
        top = self.spec.ladder.top
        source = f"rule {rule.id}"
        low, high = index_of(rule.at_least, top), index_of(rule.at_most, top)
        if not rule.learned:
            return [Wish(speaks, low, high, rule.authority, source)]
        # Its channels may have their words from a bigger model: it then speaks a little louder.
        edge = all_of(*(self.scene.flag("edge", channel) for channel in sorted(rule.learned)))
        return [
            Wish(all_of(speaks, edge), low, high, Authority.EDGE, source),
            Wish(all_of(speaks, no(edge)), low, high, rule.authority, source),
        ]

    def _fallback(self) -> list[Wish]:
        """Return the fallback, and what it is instead where a stated condition is true: one of them speaks, the first."""
        spec = self.spec
        wishes: list[Wish] = []
        earlier: Bit = False
        for rule in spec.instead:
            wishes += [replace(wish, speaks=all_of(wish.speaks, no(earlier))) for wish in self._rule(rule)]
            earlier = any_of(earlier, self.speaks[rule.id])
        if not spec.may_act:
            return []
        rest = spec.fallback
        low, high = (index_of(index, spec.ladder.top) for index in (rest.at_least, rest.at_most))
        return [*wishes, Wish(no(earlier), low, high, rest.authority, rest.source)]

    def _within_reach(self, wish: Wish) -> Wish:
        """Return `wish` drawn in to what its voice may ask for: what needs a person, others may keep and not enter."""
        if wish.authority in FREE:
            return wish
        spec, top = self.spec, self.spec.ladder.top
        low, high = index_of(0, top), index_of(top, top)
        if 0 in spec.needs_person:
            least = max(spec.needs_person) + 1
            there = all_of(self.current_known, no(self.current[least - 1]))
            low = tuple(
                all_of(above_it, any_of(no(there), doing))
                for above_it, doing in zip(index_of(least, top), self.current, strict=True)
            )
        else:
            most = min(spec.needs_person) - 1
            there = all_of(self.current_known, self.current[most])
            high = tuple(
                any_of(above_it, all_of(there, doing))
                for above_it, doing in zip(index_of(most, top), self.current, strict=True)
            )
        at_least, at_most = (
            tuple(
                all_of(any_of(bit, floor), roof) for bit, floor, roof in zip(wanted, low, high, strict=True)
            )
            for wanted in (wish.at_least, wish.at_most)
        )
        return replace(wish, at_least=at_least, at_most=at_most)

    def weigh(self, wishes: Sequence[Wish]) -> Weighed:
        """Return what `wishes` would amount to."""
        return weigh(self.spec.ladder, wishes)

    def stands(self, wishes: Sequence[Wish]) -> Bit:
        """Return whether a mode that a person chose stands: nobody stronger speaks."""
        stronger = any_of(*(wish.speaks for wish in wishes if wish.authority < Authority.MANUAL))
        return all_of(self.person_mode, no(stronger))

    def facts(self) -> list[z3.BoolRef]:
        """Return what holds in every snapshot that there can be."""
        return [fact for fact in self.scene.facts if not isinstance(fact, bool)]

    @property
    def decides(self) -> Bit:
        """Whether an action of the ladder is decided at all."""
        return all_of(self.weighed.acts, no(self.mode))

    def decided(self, action: int) -> Bit:
        """Return whether the decision is the action with this index."""
        return all_of(self.decides, equal(self.weighed.action, index_of(action, self.spec.ladder.top)))

    def beyond_bounds(self, at_least: int, at_most: int) -> Bit:
        """Return whether what is decided lies outside of [at_least, at_most]; a mode always does."""
        top = self.spec.ladder.top
        low, high = index_of(at_least, top), index_of(at_most, top)
        outside = any_of(above(low, self.weighed.action), above(self.weighed.action, high))
        return any_of(self.mode, all_of(self.decides, outside))

    def by(self, authority: Authority) -> Bit:
        """Return whether a voice of `authority` settled the decision."""
        settled = all_of(self.decides, self.weighed.by.get(authority, False))
        return any_of(settled, self.mode) if authority is Authority.MANUAL else settled
