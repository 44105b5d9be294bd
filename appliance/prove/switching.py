"""Owns the question whether an appliance can be switched on and off again within its minimum time: a transition system.

Its state is whether it runs, and how long ago it last started and stopped; a step decides something in any surroundings and
lets any time pass. What is asked of a step is proved for every reachable state by induction where that goes through, else for
so many steps from the start; the answer says which. Never in here: who else may switch it (that is told by authority).
"""

from collections.abc import Iterator
from itertools import pairwise

import z3

from appliance.core.arbitration import Authority
from appliance.core.clock import SECOND
from appliance.core.profile import Appliance
from appliance.prove.bits import Bit, all_of, any_of, no, term
from appliance.prove.report import Answer, Outcome
from appliance.prove.situation import Situation
from appliance.prove.solving import Solver, Undecided

STEPS = 3
"""So many steps are looked at where induction fails: on, off, on."""
OVERRULE = {
    "minimum_on": (Authority.LIFE_SAFETY, Authority.MINIMUM_OFF, Authority.EQUIPMENT, Authority.MANUAL),
    "minimum_off": (Authority.LIFE_SAFETY,),
}
"""Guard -> who is meant to be stronger."""


class Step:
    """One decision in the life of the appliance, before which it ran or did not, since so many nanoseconds."""

    def __init__(self, spec: Appliance, number: int, bound: frozenset[str] | None) -> None:
        self.here = Situation(spec, tag=f"@{number}", bound=bound)
        self.spec = spec
        self.runs = self.here.current[0]
        self.on_age, self.off_age, self.since, self.passes = (
            z3.Real(f"{name}@{number}") for name in ("on age", "off age", "since", "passes")
        )
        self.will_run: Bit = self.here.weighed.action[0]
        self.switches = all_of(self.here.decides, z3.Xor(self.runs, term(self.will_run)))

    def facts(self, spans: dict[str, int]) -> list[Bit]:
        """Return what holds in every step: what the timers are, and that its own action is known."""
        ages = {"minimum_on": self.on_age, "minimum_off": self.off_age}
        facts: list[Bit] = [*self.here.facts(), self.here.current_known, self.passes > 0]
        facts += [age >= 0 for age in (*ages.values(), self.since)]
        facts += [no(self.here.in_a_mode), no(self.here.person_mode)]
        for name, span in spans.items():
            facts.append(self.here.scene.flag("timer", name) == (ages[name] < span))
        return facts

    def leads_to(self, other: "Step") -> list[Bit]:
        """Return what holds between this step and the next."""
        decides, will_run = term(self.here.decides), term(self.will_run)
        starts = z3.And(decides, z3.Not(self.runs), will_run)
        stops = z3.And(decides, self.runs, z3.Not(will_run))
        zero = z3.RealVal(0)
        either = z3.Or(starts, stops)
        return [
            other.runs == z3.If(decides, will_run, self.runs),
            other.on_age == z3.If(starts, zero, self.on_age) + self.passes,
            other.off_age == z3.If(stops, zero, self.off_age) + self.passes,
            other.since == z3.If(either, zero, self.since) + self.passes,
        ]

    def begins(self) -> list[Bit]:
        """Return what holds at the start: it counts as just switched off, and has not run for long."""
        return [no(self.runs), self.off_age == 0, self.since == 0]

    def in_step(self) -> Bit:
        """Return the hypothesis: the guard's clock of what it does shows the time since the last switch."""
        return self.since == z3.If(self.runs, self.on_age, self.off_age)


def switching(spec: Appliance, *, deadline: float, bound: frozenset[str] | None) -> Iterator[Answer]:
    """Yield for each end of a run, and of a rest, whether its minimum time is kept, by whom not, and how that is known."""
    spans: dict[str, int] = {
        guard.name: int(getattr(guard, "span_ns", 0)) for guard in spec.guards if guard.name in OVERRULE
    }
    for name in OVERRULE:
        if name not in spans:
            what = "switched off again at once" if name == "minimum_on" else "switched on again at once"
            yield Answer("switching", name, Outcome.NOTED, f"it has no such guard: it can be {what}")
            continue
        try:
            yield _kept(spec, name, spans, deadline, bound)
        except Undecided:
            yield Answer(
                "switching", name, Outcome.UNDECIDED, "this could not be decided in time", claim=True
            )


def _kept(
    spec: Appliance, name: str, spans: dict[str, int], deadline: float, bound: frozenset[str] | None
) -> Answer:
    steps = [Step(spec, number, bound) for number in range(STEPS)]
    first, second = steps[:2]

    def too_soon(step: Step) -> Bit:
        runs = step.runs if name == "minimum_on" else no(step.runs)
        return all_of(step.switches, runs, step.since < spans[name])

    def meant(step: Step) -> Bit:
        return any_of(*(step.here.by(authority) for authority in OVERRULE[name]))

    whole = (
        f"{'it runs' if name == 'minimum_on' else 'it rests'} for {spans[name] / SECOND / 60:g} min at least"
    )
    one = Solver(first.facts(spans), deadline=deadline)
    two = Solver([*first.facts(spans), *second.facts(spans), *first.leads_to(second)], deadline=deadline)
    base = one.find(*first.begins(), no(first.in_step()))
    step = two.find(first.in_step(), no(second.in_step()))
    kept = one.find(first.in_step(), too_soon(first), no(meant(first)))
    if base is None and step is None and kept is None:
        able = [
            authority.name
            for authority in OVERRULE[name]
            if one.find(first.in_step(), too_soon(first), first.here.by(authority)) is not None
        ]
        others = f"; only {' and '.join(able)} can end that sooner" if able else ""
        return Answer("switching", name, Outcome.HOLDS, f"{whole}, by induction{others}", claim=True)
    facts = first.begins()
    for now, following in pairwise(steps):
        facts += now.leads_to(following)
    for now in steps:
        facts += now.facts(spans)
    bad = any_of(*(all_of(too_soon(now), no(meant(now))) for now in steps))
    if Solver(facts, deadline=deadline).find(bad) is None:
        text = f"{whole}, in the first {STEPS} decisions (bounded: the induction does not go through)"
        return Answer("switching", name, Outcome.HOLDS, text, claim=True)
    text = f"within {STEPS} decisions it can be switched before its minimum time is over"
    return Answer("switching", name, Outcome.FAILS, text, claim=True)
