"""Owns a scenario's course in virtual time: through the decoder, the intake and the controller, with obedient devices.

All that happened is kept, so that the same history can be replayed. Never in here: how a scenario is written (`story`).
"""

import heapq
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from appliance.config import appliances, dialects, sayable
from appliance.core import events as happens
from appliance.core.arbitration import Voice
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import AskState, Effect, Event, LinkChanged, Notify, Remember, SendCommand, Tick
from appliance.core.features import Feature, FeatureSpec
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.core.restoring import pack, unpack
from appliance.core.state import State
from appliance.core.trust import Trust
from appliance.replay import Moment
from tests.scenarios.devices import OBEYS_AFTER_S, Device
from tests.scenarios.story import Expect, Never, Person, Step, Story, Timed, payload_at, repeated, span_ns

UPTIME_NS = 1000 * SECOND
"""How long the computer had been up when a scenario starts."""


class Said:
    """A model that says what the scenario has it say, and afterwards the same again. It looks at one feature, so that it is
    asked at every reading.
    """

    def __init__(self, labels: tuple[str, ...], channel: str) -> None:
        self.labels = labels
        self.trust = Trust(labels, 0.9)
        self.spec = FeatureSpec((Feature(f"{channel}_now", "mean", channel, 60),))
        self.probabilities: list[float] | None = None
        self.said: list[list[float]] = []
        self.again: Iterator[list[float]] | None = None

    def says(self, label: str, probability: float) -> None:
        rest = (1 - probability) / (len(self.labels) - 1)
        self.probabilities = [probability if label == one else rest for one in self.labels]

    def predict(self, rows: np.ndarray) -> np.ndarray:
        row = self.probabilities or [float("nan")] * len(self.labels)
        if self.again is not None:
            row = next(self.again)
        self.said.append(row)
        return np.array([row] * len(rows), np.float32)

    def repeat(self) -> None:
        """From here on say what was said, from the beginning."""
        self.again = iter(self.said[:])


class Seen(msgspec.Struct):
    """What can be seen of one appliance: `commands` are all that went out, `asked` how many a step has asked for already."""

    device: Device
    commands: list[str] = []
    asked: int = 0


class Stretch(msgspec.Struct):
    """What happened between two restarts: the state at its start, every moment, and every effect with its instant."""

    start: State
    moments: list[Moment] = []
    effects: list[tuple[Instant, Effect]] = []


class Awaited(msgspec.Struct):
    """Something that has to come true by `until_ns`, or (`never`) must not until then; `sent` commands had gone out before."""

    timed: Timed
    until_ns: int
    never: bool
    sent: int = 0


class Course:
    """One run of a story. `wrong` says what was not as expected; `stretches` are the history."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.specs = appliances(story.loaded)
        self.spoken = dialects(story.loaded.settings)
        sayable(self.specs, self.spoken)
        self.seen = {spec.id: Seen(Device(spec, story.doing.get(spec.id))) for spec in self.specs}
        self.models = {
            model: Said(spec.words[channel], next(iter(spec.channels)))
            for spec in self.specs
            for channel, model in spec.models.items()
        }
        self.home = Home(self.specs, self.models, story.zone, observe=story.observe)
        self.wrong: list[str] = []
        self.notices: list[str] = []
        self.stretches: list[Stretch] = []
        self.memories: dict[str, Any] = {}
        self.decisions: dict[str, Any] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._awaited: list[Awaited] = []
        self._now_ns = 0
        self._shift_ns = 0
        self._boot = ("boot-1", -UPTIME_NS)
        self._connected = True
        self._awake = True

    # ------------------------------------------------------------ time

    def run(self) -> None:
        """Play the story to its end."""
        self._begin(self.home.at_start({}, self.instant), None)
        for timed in self.story.steps:
            self._plan(timed.at_ns, self._later(self._take, timed))
            for when, share in repeated(timed):
                if timed.step.reads:
                    self._plan(when, self._later(self._read, timed.step, share))
            self._plan(timed.at_ns, self._later(self._expect, timed))
        while self._queue:
            at_ns, _, act = heapq.heappop(self._queue)
            self._pass_until(at_ns)
            act()
            self._look()
        self._happen(Tick())

    def _plan(self, at_ns: int, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (at_ns, self._order, act))

    @property
    def instant(self) -> Instant:
        boot, began_ns = self._boot
        wall_ns = round(self.story.start.timestamp() * SECOND) + self._now_ns + self._shift_ns
        return Instant(boot, self._now_ns - began_ns, wall_ns)

    def _pass_until(self, at_ns: int) -> None:
        """Let time pass: the controller gets its ticks, up to and including `at_ns`."""
        while self._awake:
            wake_ns = self.controller.wake_at() + self._boot[1]
            if wake_ns > at_ns:
                break
            before = len(self._queue)
            self._now_ns = max(wake_ns, self._now_ns)
            self._happen(Tick(), moment=wake_ns == at_ns)
            self._look()
            if len(self._queue) > before and self._queue[0][0] < at_ns:
                # A command went out, and its answer comes before whatever was next.
                first_ns, _, act = heapq.heappop(self._queue)
                self._pass_until(first_ns)
                act()
                self._look()
        self._now_ns = max(self._now_ns, at_ns)

    # ------------------------------------------------------------ what happens

    def _begin(self, state: State, senses: bytes | None) -> None:
        if senses is not None:
            state = unpack(senses, state)
        self.controller = Controller(self.home, state)
        self.intake = Intake(Decoder(dialects(self.story.loaded.settings)))
        self.stretches.append(Stretch(state))
        self._awake = True
        if self._connected:
            self._happen(LinkChanged(True))

    def _happen(self, *what: Event, moment: bool = True) -> None:
        if not self._awake or not what:
            return
        at, stretch = self.instant, self.stretches[-1]
        if moment:
            stretch.moments.append(Moment(at, what))
        for effect in self.controller.handle(what, at):
            stretch.effects.append((at, effect))
            match effect:
                case SendCommand(appliance, device, action, command):
                    self.seen[appliance].commands.append(action)
                    dialect = next(one for one in self.spoken if one.name == device.partition("/")[0])
                    self._say(dialect.encode(device, command))
                case AskState(device, properties):
                    dialect = next(one for one in self.spoken if one.name == device.partition("/")[0])
                    self._say(dialect.ask(device, properties))
                case Remember(appliance, memory):
                    self.memories[appliance] = memory
                case Notify(text=text):
                    self.notices.append(text)
                case _:
                    pass

    def _say(self, messages: tuple[Message, ...]) -> None:
        """Put messages on the wire; each device that they concern answers a moment later."""
        if not self._connected:
            return
        answers: dict[str, list[Message]] = {}
        for message in messages:
            for name, seen in self.seen.items():
                leases = seen.device.leases
                answer = seen.device.hear(message.topic, message.payload)
                answers[name] = answer or answers.get(name, [])
                if seen.device.leases > leases:
                    lease_ns = seen.device.spec.actuator.lease_ns or 0
                    self._plan(self._now_ns + lease_ns, self._later(self._run_out, seen.device, leases + 1))
        for answer in answers.values():
            for message in answer:
                self._plan(
                    self._now_ns + round(OBEYS_AFTER_S * SECOND), lambda said=message: self._hear(said)
                )

    def _run_out(self, device: Device, lease: int) -> None:
        for message in device.run_out(lease):
            self._hear(message)

    def _hear(self, message: Message) -> None:
        if self._connected and self._awake:
            self._happen(*self.intake.events([message]))

    def _later(self, act: Callable[..., None], *what: Any) -> Callable[[], None]:
        return lambda: act(*what)

    def _read(self, step: Step, share: float) -> None:
        for topic, payload in step.reads.items():
            now = payload_at(payload, share)
            raw = now if isinstance(now, str) else json.dumps(now)
            self._hear(Message(topic, raw.encode()))

    def _take(self, timed: Timed) -> None:
        step = timed.step
        for name, mode in self._named(step.device).items():
            self.seen[name].device.mode = {"obey": "obeys"}.get(mode, mode)
        if step.clock is not None:
            self._shift_ns += span_ns(step.clock)
            self._happen(Tick())
        if step.link is not None:
            self._connected = step.link == "up"
            self._happen(LinkChanged(self._connected))
        for away, reboots in ((step.restart, False), (step.reboot, True)):
            if away is not None:
                self._away(span_ns(away), reboots=reboots)
        for channel, (word, probability) in step.model.items():
            for spec in self.specs:
                if channel in spec.models:
                    self.models[spec.models[channel]].says(word, probability)
        if step.hears is not None:
            raw = step.hears.payload
            raw = raw if isinstance(raw, str) else json.dumps(raw)
            self._hear(Message(step.hears.topic, raw.encode(), step.hears.retained))
        for name, action in self._named(step.hand).items():
            for message in self.seen[name].device.turn(action):
                self._hear(message)
        self._people(step)

    def _expect(self, timed: Timed) -> None:
        step = timed.step
        if step.expect is not None:
            within = 0 if step.expect.within is None else span_ns(step.expect.within)
            self._await(timed, timed.at_ns + within, never=False)
        if step.never is not None:
            self._await(timed, timed.never_ns, never=True)

    def _people(self, step: Step) -> None:
        name = step.appliance or self.specs[0].id
        if step.person is not None:
            self._happen(spoken(step.person, step.person.appliance or self.specs[0].id))
        for rule, accepted in ((step.accept, True), (step.dismiss, False)):
            if rule is not None:
                self._happen(happens.AdviceAnswered(name, f"rule {rule}", accepted, "page"))
        if step.acknowledge is not None:
            self._happen(happens.AlarmAcknowledged(name, step.acknowledge, "page"))

    def _away(self, for_ns: int, *, reboots: bool) -> None:
        """The process ends; it comes back `for_ns` later, with what it had written down."""
        self._happen(Tick())
        senses = None if reboots else pack(self.controller.state)
        self._awake = False

        def back() -> None:
            if reboots:
                number = int(self._boot[0].rpartition("-")[2]) + 1
                self._boot = (f"boot-{number}", self._now_ns - 20 * SECOND)
            next_id = self.controller.state.next_id
            self._begin(self.home.at_start(self.memories, self.instant, next_id=next_id), senses)

        if for_ns:
            self._plan(self._now_ns + for_ns, back)
        else:
            back()

    def _named(self, given: str | dict[str, str] | None) -> dict[str, str]:
        return {self.specs[0].id: given} if isinstance(given, str) else given or {}

    # ------------------------------------------------------------ what is expected

    def _await(self, timed: Timed, until_ns: int, *, never: bool) -> None:
        wanted = timed.step.never if never else timed.step.expect
        seen = self.seen[wanted.appliance or self.specs[0].id]
        self._awaited.append(Awaited(timed, until_ns, never, len(seen.commands)))
        if until_ns > self._now_ns:
            self._plan(until_ns, lambda: None)

    def _look(self) -> None:
        left = []
        for awaited in self._awaited:
            step = awaited.timed.step
            if awaited.never:
                found = self.meets(step.never, awaited.sent)
                if found:
                    self._blame(awaited, f"must not be, and is: {found}")
                elif self._now_ns < awaited.until_ns:
                    left.append(awaited)
                continue
            wrong = self.misses(step.expect)
            if wrong and self._now_ns < awaited.until_ns:
                left.append(awaited)
            elif wrong:
                self._blame(awaited, f"expected {'; '.join(wrong)}")
            elif step.expect.commands is not None:
                seen = self.seen[step.expect.appliance or self.specs[0].id]
                seen.asked = len(seen.commands)
        self._awaited = left

    def _blame(self, awaited: Awaited, what: str) -> None:
        at = self.instant.local(self.story.zone)
        self.wrong.append(f"step {awaited.timed.number}, {at:%H:%M:%S}: {what}")

    def _decision(self, name: str) -> Any:
        return self.controller.state.appliances[name].last

    def _fresh(self, name: str) -> Any:
        """Return what would be decided now, with every voice; a model's word for it is not counted."""
        said = {model: len(one.said) for model, one in self.models.items()}
        fresh = self.controller.suppose(name, {}, self.instant)
        for model, count in said.items():
            del self.models[model].said[count:]
        return fresh

    def misses(self, wanted: Expect) -> list[str]:
        """Return what is not as `wanted`."""
        name = wanted.appliance or self.specs[0].id
        seen, last, wrong = self.seen[name], self._decision(name), []

        def compare(what: str, wish: object, found: object) -> None:
            if wish is not None and wish != found:
                wrong.append(f"{what} {wish!r}, found {found!r}")

        compare("action", wanted.action, None if last is None else last.action)
        compare("by", wanted.by, None if last is None else last.source)
        compare("authority", wanted.authority, None if last is None else last.authority.name)
        compare("commanded", wanted.commanded, seen.commands[-1] if seen.commands else None)
        compare("commands", wanted.commands, tuple(seen.commands[seen.asked :]))
        compare("doing", wanted.doing, seen.device.doing)
        if wanted.because is not None and (last is None or wanted.because not in last.because):
            wrong.append(f"because … {wanted.because!r}, found {None if last is None else last.because!r}")
        if wanted.notice is not None and not any(wanted.notice in text for text in self.notices):
            wrong.append(f"notice … {wanted.notice!r}, found {self.notices}")
        override = self.controller.state.appliances[name].memory.override
        compare("override", wanted.override, "none" if override is None else override.action)
        fresh = self._fresh(name)
        voices: tuple[Voice, ...] = () if fresh is None else fresh.voices
        for source in wanted.also:
            if not any(voice.source == source and voice.acts for voice in voices):
                wrong.append(f"a voice {source!r}, found {[voice.source for voice in voices]}")
        for source in wanted.limited:
            if not any(voice.source == source and voice.limited_by for voice in voices):
                wrong.append(f"{source!r} limited, found {voices}")
        for source in wanted.contradicts:
            if not any(voice.source == source and voice.contradicts for voice in voices):
                wrong.append(f"{source!r} contradicted, found {voices}")
        if wanted.advises is not None:
            advice = {voice.source for voice in voices if not voice.acts}
            compare("advises", set(wanted.advises), advice)
        if wanted.open_advice is not None:
            advice = self.controller.state.appliances[name].memory.advice
            compare(
                "open_advice", set(wanted.open_advice), {one.source for one in advice if not one.answered}
            )
        inputs = {} if fresh is None else {one.channel: one for one in fresh.inputs}
        for channel, wish in wanted.sees.items():
            one = inputs.get(channel)
            shown = None if one is None else (one.value, one.quality, one.reason)
            if shown is None or (wish not in shown and not (one.value is None and wish in str(one.reason))):
                wrong.append(f"{channel} {wish!r}, found {shown!r}")
        return wrong

    def meets(self, unwanted: Never, sent: int) -> str | None:
        """Return what of `unwanted` is the case, or None; of the commands those count that came after `sent`."""
        name = unwanted.appliance or self.specs[0].id
        seen, last = self.seen[name], self._decision(name)
        if last is not None and last.action in unwanted.action and unwanted.by in (None, last.source):
            return f"action {last.action}, because {last.because}"
        if any(action in unwanted.commanded for action in seen.commands[sent:]):
            return f"commanded {seen.commands[sent:]}"
        return f"doing {seen.device.doing}" if seen.device.doing in unwanted.doing else None


def spoken(person: Person, appliance: str) -> happens.PersonSpoke:
    """Return the event of a person's word."""
    if person.override == "auto-control":
        return happens.PersonSpoke(appliance, None, "page")
    more: dict[str, Any] = {}
    if person.span is not None:
        more["for_ns"] = span_ns(person.span)
    elif person.until == "I say so":
        more["open_ended"] = True
    elif person.until is not None:
        more["until"] = person.until
    return happens.PersonSpoke(appliance, person.override, "page", **more)
