"""Owns the random walk: a home that misbehaves, driving the real `Controller`, with the oracle told of everything.

Sensors lie and die, the device obeys late, not at all or by a hand, people change their minds, clocks jump, the process and the
computer restart. All by one seed: a failure is reproduced by it. Never in here: what is right.
"""

import heapq
import random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from appliance.core import guards
from appliance.core.assembly import assemble
from appliance.core.clock import Instant
from appliance.core.controller import Controller
from appliance.core.edge import BiggerModel
from appliance.core.events import (
    AdviceAnswered,
    AlarmAcknowledged,
    AskState,
    AvailabilityChanged,
    EdgeAnswered,
    Effect,
    Event,
    LinkChanged,
    Memory,
    PersonSpoke,
    ReadingArrived,
    Record,
    Remember,
    Repeat,
    SendCommand,
    StateReported,
    Tick,
)
from appliance.core.features import Feature, FeatureSpec
from appliance.core.home import Home
from appliance.core.profile import Binding, read_profile
from appliance.core.readings import Reading
from appliance.core.registry import discover
from appliance.core.restoring import pack, unpack
from appliance.core.trust import Trust
from tests.oracle.oracle import HOUR, SECOND, Oracle, Plan, Violation
from tests.oracle.plans import DEVICE, UNITS, names, profile, random_plan, text

GUARDS = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
RANGES = {"pm2_5": (4.0, 200.0, 20.0), "co2": (400.0, 5000.0, 1000.0), "temperature": (15.0, 25.0, 1.0)}
"""Where each quantity goes by itself, and how fast it may move in a second; the whole range is within ten seconds' reach."""
FROZEN = {"pm2_5": 7200 * SECOND, "co2": 14_400 * SECOND, "temperature": None}
LEAST = 10 * SECOND
NONSENSE = {
    "pm2_5": (-1.0, 65535.0, 999.9, 30_000.0, -5.0, float("nan"), float("inf"), "soon"),
    "co2": (-1.0, 0.0, 65535.0, 100.0, 50_000.0, float("nan"), True),
    "temperature": (-127.0, 999.9, -60.0, 200.0, float("-inf"), "unavailable"),
}
SENSORS = (
    ("zigbee2mqtt/air", ("pm2_5", "co2")),
    ("zigbee2mqtt/second", ("pm2_5",)),
    (DEVICE, ("temperature",)),
)
ZONE = ZoneInfo("UTC")


class Failure(AssertionError):
    """A walk broke a promise: told with what is needed to see it again."""

    def __init__(
        self, seed: int, step: int, broken: Violation, plan: Plan, log: list[tuple[Any, ...]]
    ) -> None:
        lines = "\n".join("  " + " ".join(str(part) for part in line) for line in log)
        super().__init__(f"seed {seed}, step {step}: {broken}\n{plan}\n{lines}")
        self.seed, self.step, self.promise = seed, step, broken.promise


class Stub:
    """A model that says what the walk wants it to say."""

    labels = ("nobody", "somebody")
    threshold = 0.8
    trust = Trust(labels, threshold)
    spec = FeatureSpec((Feature("co2_now", "mean", "co2", 60),))

    def __init__(self) -> None:
        self.says = (0.5, 0.5)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.tile(np.array([self.says], dtype=np.float32), (len(rows), 1))

    @property
    def word(self) -> str | None:
        top = int(self.says[1] > self.says[0])
        return self.labels[top] if self.says[top] > self.threshold else None


class Liar:
    """An edge that answers what it likes, when it likes, asked or not: well-formed lies, and answers that are none.

    Its dice are its own, so that a walk with it meets the same surprises as one without. `stands` is its last answer that is one.
    """

    model = BiggerModel(
        "liar", 3, FeatureSpec((Feature("hour", "day_sin", "", 0),)), Trust(Stub.labels, Stub.threshold), (1e9,), better=True
    )  # fmt: skip

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed ^ 0xED6E)
        self.stands: tuple[float, ...] = ()

    @property
    def word(self) -> str | None:
        """What it is sure of, by its card."""
        if not self.stands or max(self.stands) < Stub.threshold:
            return None
        return Stub.labels[self.stands.index(max(self.stands))]

    def answer(self) -> EdgeAnswered:
        """Return an answer, and let it stand where it is one."""
        dice = self.dice
        sure = dice.choice((0.0, 1.0, dice.random(), dice.random()))
        good = EdgeAnswered("fan", "presence", "liar", 3, (0,), (sure, 1 - sure), cached=dice.random() < 0.3)
        if dice.random() < 0.6:
            self.stands = good.probabilities
            return good
        return msgspec.structs.replace(
            good,
            **dice.choice(
                (
                    {"edge": "another"}, {"version": 2}, {"bucket": ()}, {"bucket": (0, 0)}, {"probabilities": ()},
                    {"probabilities": (float("nan"), 1.0)}, {"probabilities": (2.0, -1.0)}, {"probabilities": (1.0, 1.0)},
                    {"probabilities": (float("inf"), 0.0)}, {"channel": "co2"}, {"audit": "no label"}, {"audit": "nobody"},
                )
            ),
        )  # fmt: skip


class Source:
    """What a sensor has said, as far as it decides what its next word is worth."""

    def __init__(self) -> None:
        self.good: tuple[int, float] | None = None
        self.last: float | None = None
        self.heard = 0
        self.moved = 0
        self.jumped: float | None = None

    def says(self, channel: str, value: float, now: int, max_age: int) -> bool:
        """Return whether a plausible, fresh `value` is to be believed."""
        rate, frozen = RANGES[channel][2], FROZEN[channel]
        jumped = None
        believed = True
        if self.good is not None:
            at, before = self.good
            if abs(value - before) > rate * max(now - at, LEAST) / SECOND:
                same_side = self.jumped is not None and (value > before) == (self.jumped > before)
                if not same_side:
                    believed, jumped = False, value
        silent = now - self.heard > max_age
        if (
            believed
            and self.last == value
            and not silent
            and frozen is not None
            and now - self.moved >= frozen
        ):
            believed = False
        self.keeps(value, now, max_age)
        self.jumped = jumped
        if believed:
            self.good = (now, value)
        return believed

    def keeps(self, value: float | None, now: int, max_age: int) -> None:
        """Remember a word, believed or not."""
        if self.last is None or value != self.last or now - self.heard > max_age:
            self.moved = now
        self.last, self.heard, self.jumped = value, now, None


class Walk:
    """One appliance's random life. `step` is one thing that happens."""

    def __init__(
        self, seed: int, plan: Plan | None = None, *, oracle: type[Oracle] = Oracle, lied_to: bool = False
    ) -> None:
        self.seed = seed
        self.liar = Liar(seed) if lied_to else None
        self.dice = random.Random(seed)
        self.plan = random_plan(self.dice) if plan is None else plan
        self.names = names(self.plan)
        self.stub = Stub()
        sources: dict[str, tuple[tuple[str, None], ...]] = {}
        for device, channels in SENSORS:
            for channel in channels:
                sources[channel] = (*sources.get(channel, ()), (device, None))
        device = DEVICE if self.plan.waits or not self.plan.reports else "plain/fan"
        spec = assemble(
            read_profile(profile(self.plan), where="plan"),
            Binding("fan", device, channels=sources),
            GUARDS,
            where="plan",
        )
        edges = {"stub": Liar.model} if lied_to else {}
        self.home = Home([spec], {"stub": self.stub}, ZONE, edges=edges)
        self.oracle = oracle(self.plan)
        self.steps = 0
        self.boots = 1
        self.starts = 0
        self.ns = self.dice.randrange(5, 5000) * SECOND
        self.wall = 1_767_225_600 * SECOND + self.dice.randrange(86_400) * SECOND
        self.memory: bytes | None = None
        self.stuck = False
        self.coming: list[tuple[int, int, str, Any]] = []
        self.number = 0
        self.doing = 0
        self.obeys = True
        self.leases = 0
        self.sources: dict[tuple[str, str], Source] = {}
        self.said: dict[str, dict[str, Any]] = {}
        self.linked_ns: int | None = None
        self.told_ns: int | None = None
        self.controller: Controller | None = None

    # ------------------------------------------------------------------ driving

    def run(self, steps: int) -> None:
        """Walk on until so many steps are done. Raises Failure."""
        try:
            if self.controller is None:
                self.start(None)
            while self.steps < steps:
                self.step()
        except Violation as broken:
            raise Failure(self.seed, self.steps, broken, self.plan, list(self.oracle.log)) from None

    def step(self) -> None:
        """Let the next thing happen: a report that is due, a tick that was asked for, or something of the dice's choice."""
        after = self.ns + round(self.pause() * SECOND)
        while self.next_ns() < after:
            wake = self.controller.wake_at()
            if self.coming and self.coming[0][0] <= wake:
                at, _, kind, what = heapq.heappop(self.coming)
                self.pass_to(at)
                self.arrives(kind, what)
            else:
                self.tell("awake", wake - 1)
                self.pass_to(wake + self.dice.choice((0, 0, 1, 1_000_000, 80_000_000)))
                self.handle(Tick())
        self.pass_to(after)
        if self.liar is not None and self.liar.dice.random() < 0.2:
            self.lied_to(self.liar)
        self.happens()

    def next_ns(self) -> int:
        """Return when something happens by itself."""
        wake = self.controller.wake_at()
        return min(wake, self.coming[0][0]) if self.coming else wake

    def pause(self) -> float:
        """Return the seconds to the next surprise."""
        kind = self.dice.random()
        if kind < 0.5:
            return self.dice.random() * 5
        if kind < 0.93:
            return 5 + self.dice.random() * 55
        return 60 + self.dice.random() * (540 if kind < 0.995 else 8000)

    def pass_to(self, ns: int) -> None:
        """Let time pass on both clocks."""
        ns = max(ns, self.ns)
        self.wall += ns - self.ns
        self.ns = ns

    @property
    def now(self) -> Instant:
        return Instant(f"boot-{self.boots}", self.ns, self.wall)

    def tell(self, kind: str, *what: Any) -> None:
        self.oracle.told(kind, self.ns, self.wall, *what)

    def handle(self, *events: Event, told: tuple[tuple[tuple[Any, ...], ...], ...] = ()) -> None:
        """Hand the events to the core, and all that it did to the oracle: `told` are the oracle's lines for each event."""
        self.steps += 1
        before = self.controller.state
        sample = self.steps % 64 == 0
        frozen = msgspec.msgpack.encode(before) if sample else b""
        effects = self.controller.handle(events, self.now)
        if sample and msgspec.msgpack.encode(before) != frozen:
            raise Violation("argument", "decide altered the state that it was given")
        if self.controller.wake_at() <= self.ns:
            raise Violation("wake", f"it wants to be woken at {self.controller.wake_at()}, now is {self.ns}")
        cuts = self.cut(effects)
        if isinstance(events[0], Tick):
            if cuts:
                self.modelled()
                self.tell("tick")
                self.outcome(cuts[0])
            return
        for event, lines in zip(events, told, strict=True):
            if isinstance(event, ReadingArrived) and "co2" in {reading.metric for reading in event.readings}:
                self.modelled()
            for line in lines:
                self.tell(*line)
            if cuts:
                self.outcome(cuts.pop(0))
        if cuts:
            raise Violation("order", "more was decided than happened")

    def modelled(self) -> None:
        if self.plan.learned:
            self.tell("said", "presence", self.word)

    @property
    def word(self) -> str | None:
        """What the learned channel says: the model's word where it is sure, else the edge's."""
        return self.stub.word or (None if self.liar is None else self.liar.word)

    def lied_to(self, liar: Liar) -> None:
        """The edge answers something."""
        event = liar.answer()
        said = (("said", "presence", self.word),) if self.plan.learned else ()
        self.handle(event, told=((*said, ("tick",)),))

    def cut(self, effects: list[Effect]) -> list[list[Effect]]:
        """Return the effects of each decision: each one ends with what is to be remembered of it."""
        found: list[list[Effect]] = []
        open_: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Remember):
                self.memory = msgspec.json.encode(effect.memory)
                continue
            open_.append(effect)
            if isinstance(effect, Record | Repeat):
                found.append(open_)
                open_ = []
        return found

    def outcome(self, effects: list[Effect]) -> None:
        """Tell the oracle what was done, and let the device and the world answer."""
        for effect in effects:
            if isinstance(effect, SendCommand):
                self.tell("command", self.names.index(effect.action))
                self.told_ns = self.ns
                self.commanded(self.names.index(effect.action))
            elif isinstance(effect, AskState) and self.dice.random() < 0.8:
                self.later(0.05 + self.dice.random() * 2, "report", None)
        ends = effects[-1]
        action = ends.decision.action if isinstance(ends, Record) else self.decided
        self.decided = action
        self.tell("decided", None if action is None else self.names.index(action))

    # ------------------------------------------------------------------ the device

    def later(self, seconds: float, kind: str, what: Any) -> None:
        self.number += 1
        heapq.heappush(self.coming, (self.ns + round(seconds * SECOND), self.number, kind, what))

    def commanded(self, action: int) -> None:
        """The device obeys soon, late, twice, silently, or not."""
        kind = self.dice.random()
        if not self.obeys or kind < 0.06:
            return
        delay = 0.1 + self.dice.random() * 2.4
        if kind < 0.14:
            delay = 3 + self.dice.random() * 6
        elif kind < 0.22:
            self.later(0.02 + self.dice.random() * 0.1, "echo", action)
        elif kind < 0.3:
            self.later(self.dice.random(), "echo", self.doing)
        self.later(delay, "obey" if kind > 0.34 else "obey silently", action)
        if self.plan.lease is not None and 0 < action < self.plan.size:
            self.leases += 1
            self.later(delay + self.plan.lease / SECOND, "runs out", self.leases)

    def arrives(self, kind: str, what: Any) -> None:
        """Something that was on its way arrives."""
        if kind in ("obey", "obey silently", "hand"):
            self.doing = what
            if kind == "hand" or what == 0:
                self.leases += 1
            if kind == "obey silently":
                return
            self.report(self.doing)
        elif kind == "echo":
            self.report(what)
        elif kind == "runs out":
            if what == self.leases:
                self.doing = 0
                self.report(0)
        else:
            self.report(self.doing)

    def report(self, action: int | None, *, retained: bool = False) -> None:
        """The device says what it does, or something that means nothing."""
        if not self.connected:
            return
        word = "puzzled" if action is None else self.names[action]
        event = StateReported(DEVICE, (Reading(DEVICE, "fan_mode", word, None),), retained)
        self.handle(event, told=((("report", action if self.plan.reports else None, retained),),))

    # ------------------------------------------------------------------ what may happen

    def happens(self) -> None:
        """One surprise."""
        kind = self.dice.random()
        if not self.connected and (kind < 0.5 or (kind < 0.88 and not 0.72 <= kind < 0.85)):
            # Without a link nothing is heard.
            if kind < 0.3:
                self.link(True)
            else:
                self.handle(Tick())
        elif kind < 0.52:
            self.speak()
        elif kind < 0.60:
            pairs = [self.message() for _ in range(self.dice.randint(2, 4))]
            self.handle(*(event for event, _ in pairs), told=tuple(lines for _, lines in pairs))
        elif kind < 0.66:
            self.doing = self.dice.randrange(len(self.names))
            self.later(0.05 + self.dice.random(), "hand", self.doing)
        elif kind < 0.70:
            self.report(self.doing)
        elif kind < 0.72:
            self.report(self.dice.choice((None, *range(len(self.names)))), retained=self.dice.random() < 0.7)
        elif kind < 0.80:
            self.person()
        elif kind < 0.85:
            self.model()
        elif kind < 0.88:
            available = self.dice.random() < 0.6
            if self.connected:
                self.handle(AvailabilityChanged(DEVICE, available), told=((("available", available),),))
            if available and self.dice.random() < 0.3:
                self.doing = 0
        elif kind < 0.91:
            self.link(self.dice.random() < 0.65)
        elif kind < 0.94:
            self.wall = max(0, self.wall + round(self.dice.uniform(-30, 30) * HOUR))
        elif kind < 0.965:
            self.handle(Tick())
        elif kind < 0.975:
            self.obeys = self.dice.random() < 0.6
        elif kind < 0.98:
            self.stuck = not self.stuck
        elif kind < 0.985:
            self.suppose()
        elif kind < 0.996:
            self.restart()
        else:
            self.reboot()

    def speak(self) -> None:
        """One sensor's message."""
        event, lines = self.message()
        self.handle(event, told=(lines,))

    def message(self) -> tuple[Event, tuple[tuple[Any, ...], ...]]:
        """Return a sensor's message, and what is true of it."""
        dice = self.dice
        device, channels = dice.choice(SENSORS)
        kind = dice.random()
        retained = kind > 0.96
        values: dict[str, Any] = {}
        units: dict[str, str | None] = {}
        for channel in channels:
            low, high, rate = RANGES[channel]
            source = self.sources.get((device, channel))
            units[channel] = UNITS[channel]
            if (self.stuck or 0.92 < kind < 0.96) and source is not None and isinstance(source.last, float):
                values[channel] = source.last
                continue
            values[channel] = round(dice.uniform(low, high), 3)
            if kind < 0.05:
                values[channel] = dice.choice(NONSENSE[channel])
            elif kind < 0.08:
                units[channel] = dice.choice((None, "V"))
            elif kind < 0.13 and source is not None and source.good is not None:
                at, before = source.good
                jump = before + rate * max(self.ns - at, LEAST) / SECOND * dice.uniform(1.1, 2)
                values[channel] = round(jump, 3)
        readings = tuple(Reading(device, channel, value, units[channel]) for channel, value in values.items())
        resent = self.resent(device, values)
        lines = []
        for channel, value in values.items():
            good = self.judged(device, channel, value, units[channel], retained=retained, resent=resent)
            lines.append(("reading", channel, device, value, good))
        return ReadingArrived(device, readings, retained), tuple(lines)

    def resent(self, device: str, values: dict[str, Any]) -> bool:
        """Whether a message is but a bridge's cache, sent again after our command or as the link came."""
        before = self.said.get(device)
        self.said[device] = values
        if before is None or before != values:
            return False
        after_command = device == DEVICE and self.told_ns is not None and self.ns - self.told_ns < LEAST
        return after_command or (self.linked_ns is not None and self.ns - self.linked_ns < LEAST)

    def judged(
        self, device: str, channel: str, value: Any, unit: str | None, *, retained: bool, resent: bool
    ) -> bool:
        """Return whether a sensor's word is true, fresh and possible."""
        source = self.sources.setdefault((device, channel), Source())
        age = self.plan.max_age[channel]
        if resent and source.heard:
            return False
        low, high = {"pm2_5": (0, 20_000), "co2": (250, 40_000), "temperature": (-50, 125)}[channel]
        number = isinstance(value, float) and value == value and abs(value) != float("inf")
        sentinel = value in (-1.0, 65535.0, 6553.5, 999.9, -127.0) or (channel == "co2" and value == 0)
        if not number or sentinel or unit != UNITS[channel] or not low <= value <= high or retained:
            source.keeps(value if number else None, self.ns, age)
            return False
        return source.says(channel, value, self.ns, age)

    def person(self) -> None:
        """A person says something, sensible or not; answers what is recommended; sees an alarm."""
        dice = self.dice
        kind = dice.random()
        if kind < 0.12:
            self.answer()
            return
        if kind < 0.22:
            rule = dice.choice((None, *(rule.name for rule in self.plan.rules)))
            self.handle(AlarmAcknowledged("fan", rule, "page"), told=((("acknowledged", rule),),))
            return
        action: int | None = dice.choice((None, None, -1, *range(len(self.names)), *range(len(self.names))))
        for_ns: int | None = None
        until: tuple[Any, ...] | None = None
        words: dict[str, Any] = {}
        if kind < 0.35:
            until, words = ("open",), {"open_ended": True}
        elif kind < 0.45:
            until = ("clock", dice.randrange(1440))
            words = {"until": f"{until[1] // 60:02}:{until[1] % 60:02}"}
        elif kind < 0.55:
            until = (
                "when",
                dice.choice((("lt", "pm2_5", 60), ("or", ("gt", "co2", 2500), ("unknown", "pm2_5")))),
            )
            words = {"until": text(until[1])}
        elif kind < 0.9:
            seconds = (dice.randrange(1, 60), dice.randrange(60, 3600), dice.randrange(3600, 400_000), 0)
            for_ns = dice.choice(seconds) * SECOND
            words = {"for_ns": for_ns}
        word = None if action is None else "warp" if action == -1 else self.names[action]
        event = PersonSpoke("fan", word, dice.choice(("http", "page")), **words)
        self.handle(event, told=((("person", action, for_ns, until),),))

    def answer(self) -> None:
        """A person accepts or dismisses what is recommended: to accept is to choose it."""
        assert self.controller is not None
        shown = [one for one in self.controller.state.appliances["fan"].memory.advice if not one.answered]
        accepted = self.dice.random() < 0.6
        source = self.dice.choice((None, *(one.source for one in shown)))
        meant = [one for one in shown if source in (None, one.source)]
        line: tuple[Any, ...] = ("tick",)
        if accepted and meant:
            line = ("person", self.names.index(meant[0].action))
        self.handle(AdviceAnswered("fan", source, accepted, "page"), told=((line,),))

    def model(self) -> None:
        """The model changes its mind, from the next time on that it is asked."""
        sure = self.dice.uniform(0.5, 1.0)
        self.stub.says = (sure, 1 - sure) if self.dice.random() < 0.5 else (1 - sure, sure)

    def link(self, up: bool) -> None:
        self.linked_ns, self.connected = self.ns, up
        self.handle(LinkChanged(up), told=((("link", up),),))

    def suppose(self) -> None:
        """Somebody asks what would be, which changes nothing."""
        before = self.controller.state
        self.controller.suppose("fan", {"pm2_5": self.dice.uniform(0, 200)}, self.now)
        if self.controller.state is not before:
            raise Violation("argument", "supposing changed the state")

    # ------------------------------------------------------------------ starting again

    def restart(self) -> None:
        """The process ends and starts again a while later; its senses are mostly as they were."""
        senses = pack(self.controller.state) if self.dice.random() < 0.7 else None
        self.pass_to(
            self.ns + round(self.dice.choice((0.5, 3, 20, 200, 2000)) * (0.5 + self.dice.random()) * SECOND)
        )
        self.coming = [(at, number, kind, what) for at, number, kind, what in self.coming if at > self.ns]
        heapq.heapify(self.coming)
        self.start(senses)

    def reboot(self) -> None:
        """The computer was off for a time that nobody knows; the device may have been too."""
        self.boots += 1
        self.wall += round(self.dice.choice((20, 300, 7200, -3600)) * self.dice.random() * SECOND)
        self.ns = self.dice.randrange(5, 60) * SECOND
        self.coming.clear()
        if self.dice.random() < 0.5:
            self.doing = 0
        self.start(None)

    def start(self, senses: bytes | None) -> None:
        """Start the core with what it remembered."""
        self.starts += 1
        memories = {} if self.memory is None else {"fan": msgspec.json.decode(self.memory, type=Memory)}
        state = self.home.at_start(memories, self.now)
        if senses is None:
            self.sources.clear()
        else:
            state = unpack(senses, state)
        self.said.clear()
        if self.liar is not None:
            self.liar.stands = ()
        self.linked_ns = self.told_ns = None
        self.connected = False
        self.decided: str | None = None
        self.controller = Controller(self.home, state)
        self.tell("start", f"boot-{self.boots}", senses is not None)
        if self.dice.random() < 0.7:
            self.handle(Tick())
        if self.dice.random() < 0.8:
            self.pass_to(self.ns + round(self.dice.random() * SECOND))
            self.link(True)
