"""Owns the attempt to lead the real controller into a broken claim by readings, words and a person alone.

The state is asked for as the second of two phases that each last long enough for everything to settle: averages equal
readings, each `for` has lasted, no timer runs, and what is held was begun by the first phase. The controller then lives
through both; only where it decides what must not be is there a scenario. Never in here: files.
"""

from datetime import UTC, datetime

import z3
from msgspec.structs import replace

from appliance.core.clock import SECOND
from appliance.core.conditions import nodes
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance, Invariant
from appliance.prove.bits import Bit, all_of, any_of, no, same
from appliance.prove.deciding import Decided, decide
from appliance.prove.living import lived_through
from appliance.prove.moments import MONDAY_S, Moment, values_in
from appliance.prove.report import Phase, Scenario
from appliance.prove.rounding import rounded
from appliance.prove.scene import exact
from appliance.prove.situation import Situation
from appliance.prove.solving import Solver, Undecided

MINUTE_NS = 60 * SECOND
LONGEST_MIN = 20 * 60
SHORTEST_MIN = 15
SHORT = frozenset({"minimum_on", "minimum_off", "dwell"})
"""These guards have spoken by the end of a phase; the others need not speak in it."""


class Stage:
    """The two phases of one claim about one appliance."""

    def __init__(self, spec: Appliance, bound: frozenset[str] | None, claim: Invariant) -> None:
        self.spec = spec
        self.claim = claim
        self.first = Situation(spec, tag="'", bound=bound)
        self.second = Situation(spec, bound=bound)
        when, _ = self.second.formulas.of(claim.when)
        self.first.formulas.of(claim.when)
        excused = any_of(*(self.second.by(authority) for authority in claim.unless))
        self.broken = all_of(when, self.second.beyond_bounds(claim.at_least, claim.at_most), no(excused))
        self.minutes = SHORTEST_MIN

    def scenario(self, deadline: float) -> tuple[str, Decided, Scenario] | None:
        """Return the state in words, the decision in it, and the scenario that leads there; None where none was found.

        The simplest way that leads there: one phase, else a phase before it that begins holds, else one after which inputs fall
        silent, which takes as long as the oldest of them may be.
        """
        for holds, silences in ((False, False), (True, False), (True, True)):
            self.minutes = self._minutes(silences=silences)
            found = (
                None
                if self.minutes > LONGEST_MIN
                else self._attempt(deadline, holds=holds, silences=silences)
            )
            if found is not None:
                return found
        return None

    def _attempt(
        self, deadline: float, *, holds: bool, silences: bool
    ) -> tuple[str, Decided, Scenario] | None:
        linked = self._linked() if holds else self._alone()
        if not silences:
            for key, known in list(self.first.scene.variables.items()):
                if key[0] == "known" and len(key) == 2 and key[1] not in self.spec.models:
                    linked.append(z3.Implies(known, self.second.scene.flag(*key)))
        settled = [*self._settled(self.first), *self._settled(self.second), *linked]
        solver = Solver([*self.first.facts(), *self.second.facts(), *settled], deadline=deadline)
        situations = [self.second, self.first] if holds else [self.second]
        try:
            model = rounded(solver, situations, [self.broken], self._plain(holds=holds))
        except Undecided:
            return None
        if model is None:
            return None
        first, second = (Moment(here, values_in(here, model)) for here in (self.first, self.second))
        phases = [self._phase(first), self._phase(second)] if holds else [self._phase(second)]
        ends_s = self._ends_s(second)
        start = datetime.fromtimestamp(MONDAY_S + ends_s - 60 * self.minutes * len(phases), UTC)
        inside = self.spec.ladder.actions[self.claim.at_least : self.claim.at_most + 1]
        never = tuple(
            name for name in (*self.spec.ladder.actions, *self.spec.ladder.modes) if name not in inside
        )
        scenario = Scenario(start.strftime("%Y-%m-%dT%H:%M:%S"), tuple(phases), never)
        source = lived_through(self.spec, self.claim, scenario)
        decided = decide(self.spec, second.snapshot())
        if source is None or source[0] not in never:
            return None
        return second.text(), replace(decided, action=source[0], source=source[1]), scenario

    # ------------------------------------------------------------ what is asked for

    def _minutes(self, *, silences: bool) -> int:
        """Return how long each phase must last, so that everything has settled."""
        spans = [LEARNED_MAX_AGE_NS]
        spans += [getattr(guard, "span_ns", 0) for guard in self.spec.guards if guard.name in SHORT]
        spans += [getattr(node, "span_ns", 0) for node in self.second.formulas.seen()]
        if silences:
            spans += [channel.max_age_ns for channel in self.spec.channels.values()]
            spans += [channel.max_age_ns for channel in self.spec.worded.values()]
        return max(SHORTEST_MIN, -(-max(spans) // MINUTE_NS) + 3)

    def _settled(self, here: Situation) -> list[Bit]:
        settled: list[Bit] = []
        off = ("timer", "others", "in a mode", "acknowledged", "known does")
        for key, variable in list(here.scene.variables.items()):
            if key[0] in off:
                settled.append(z3.Not(variable))
            elif key[0] == "lasted":
                settled.append(variable)
            elif key[0] == "known" and len(key) == 4:
                channel = key[1]
                level = exact(0.0) if key[2] == "slope" else here.scene.value(channel)
                settled += [
                    same(variable, here.scene.known(channel)),
                    here.scene.variables["value", *key[1:]] == level,
                ]
            elif key[0] == "age":
                settled.append(z3.Implies(here.scene.flag("known", key[1]), variable <= 30 * SECOND))
        for node in here.formulas.seen():
            if isinstance(node, nodes.For):
                settled += self._steady(here, node)
        return settled

    def _steady(self, here: Situation, held: nodes.For) -> list[Bit]:
        """Return that no time of day or day within `held` began or ended while it lasted."""
        parts = list(held.walk())
        lasts = sum(part.span_ns for part in parts if isinstance(part, nodes.For)) // MINUTE_NS + 2
        steady: list[Bit] = []
        for part in parts:
            if isinstance(part, nodes.Between):
                minute = here.scene.minute()
                steady += [(minute - part.start) % 1440 >= lasts, (minute - part.end) % 1440 >= lasts]
            elif isinstance(part, nodes.DayIs):
                steady.append(here.scene.minute() >= lasts)
        return steady

    def _alone(self) -> list[Bit]:
        """Return what holds where nothing came before: nothing is held, and what is unknown was never heard."""
        scene = self.second.scene
        never = [
            z3.Implies(heard, scene.flag("known", key[1]))
            for key, heard in list(scene.variables.items())
            if key[0] == "heard"
        ]
        return [*never, *(no(held) for held in self.second.held.values())]

    def _linked(self) -> list[Bit]:
        first, second = self.first, self.second
        linked: list[Bit] = [no(first.person), no(first.person_mode)]
        linked += [no(held) for held in first.held.values()]
        linked += [same(held, first.stays[name]) for name, held in second.held.items()]
        for key in list(second.scene.variables):
            if key[0] == "age":
                known, before = second.scene.flag("known", key[1]), first.scene.flag("known", key[1])
                heard, age = second.scene.age(key[1])
                lost = z3.And(same(heard, before), age == self.minutes * MINUTE_NS)
                linked.append(z3.Implies(z3.Not(known), lost))
                linked.append(z3.Implies(z3.Not(before), z3.Not(first.scene.flag("heard", key[1]))))
        if ("minute",) in second.scene.variables or ("weekday",) in second.scene.variables:
            earlier, later = first.scene.minute(), second.scene.minute()
            linked.append(earlier == (later - self.minutes) % 1440)
            if ("weekday",) in second.scene.variables:
                today = second.scene.weekday()
                linked.append(first.scene.weekday() == z3.If(earlier > later, (today + 6) % 7, today))
        return linked

    def _plain(self, *, holds: bool) -> list[Bit]:
        wishes: list[Bit] = [
            no(self.second.person),
            no(self.second.person_mode),
            no(self.second.current_known),
        ]
        wishes += [no(held) for held in self.second.held.values()]
        for here in (self.second, self.first) if holds else (self.second,):
            wishes += [
                variable
                for key, variable in here.scene.variables.items()
                if key[0] == "known" and len(key) == 2 and key[1] not in self.spec.models
            ]
        if ("minute",) in self.second.scene.variables:
            wishes.append(self.second.scene.minute() == 720)
        return wishes

    # ------------------------------------------------------------ what is lived through

    def _phase(self, moment: Moment) -> Phase:
        reads: dict[str, float] = {}
        says: dict[str, str] = {}
        for channel in moment.channels():
            value = moment.reading(channel)
            if isinstance(value, str):
                says[channel] = value
            elif value is not None:
                reads[channel] = value
        return Phase(self.minutes, reads, says, moment.person())

    def _ends_s(self, moment: Moment) -> int:
        """Return the seconds from the first Monday to the end; late enough for both phases to lie behind it."""
        minute = int(moment.values.get(("minute",), 12 * 60))
        day = int(moment.values.get(("weekday",), 2))
        # At the end of that minute, so that the last minute is all in it.
        return (day + 7) * 86_400 + minute * 60 + 59
