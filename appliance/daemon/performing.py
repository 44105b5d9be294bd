"""Owns turning an effect into the world: the one place where a command goes out and a decision is handed to the disk.

Never in here: deciding whether an effect should happen. What fails here is counted and said; it never stops the loop.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from appliance.adapters.store import Store
from appliance.core.clock import Instant
from appliance.core.controller import Controller
from appliance.core.events import (
    AdviceAnswered,
    AlarmAcknowledged,
    AskEdge,
    AskState,
    AvailabilityChanged,
    Decision,
    EdgeAnswered,
    Effect,
    Event,
    Keep,
    Labelled,
    LinkChanged,
    Notify,
    PersonSpoke,
    ReadingArrived,
    Recommend,
    Record,
    Remember,
    Repeat,
    SendCommand,
    StateReported,
    Tick,
)
from appliance.core.payloads.message import Dialect, Message, Scalar
from appliance.errors import ApplianceError
from appliance.replay import CONCLUDED, checkpoint

log = logging.getLogger(__name__)

Publish = Callable[[str, bytes], bool]
Observer = Callable[[Decision], None]


class Performer:
    """Performs effects through a link and a store. `reporters` are the devices whose own words are kept.

    `publish(topic, payload)` returns False where the link is down: nothing is queued, since after the link's return a
    fresh decision is made. `observers` are told each recorded decision at once, before it is committed.
    """

    def __init__(
        self, publish: Publish, dialects: Iterable[Dialect], store: Store, reporters: Container[str]
    ) -> None:
        self._publish = publish
        self._dialects: Mapping[str, Dialect] = {dialect.name: dialect for dialect in dialects}
        self._store = store
        self.reporters = reporters
        self.observers: list[Observer] = []
        self.offer: Callable[[AskEdge], None] | None = None
        """Takes a case for the edge, and never waits; None where there is no edge."""
        self.counts: Counter[str] = Counter()
        self._said: dict[tuple[str, str], Scalar] = {}
        self._ways: Mapping[type[Effect], Callable[[Any, Instant], None]] = {
            # What is to be kept of readings was kept already, in its place among the events.
            Repeat: lambda effect, now: store.repeat(effect.decision_id, now),
            Record: self._record,
            SendCommand: self._send,
            Recommend: self._recommend,
            Remember: lambda effect, _: store.remember(effect.appliance, effect.memory),
            AskState: self._ask,
            AskEdge: self._offer,
            Notify: self._notify,
        }

    def keep(self, events: Iterable[Event], effects: Sequence[Effect], at: Instant) -> None:
        """Keep what happened, in its order, with what it led to: a history without it can't be replayed.

        Readings that feed a channel, words of devices and of persons, the link, and time, where somebody decided for it.
        """
        heard = deque(effect for effect in effects if isinstance(effect, Keep))
        for event in events:
            match event:
                case ReadingArrived() if heard and heard[0].event is event:
                    kept = heard.popleft()
                    self.counts["older"] += kept.older
                    self._store.readings(kept.worth, retained=event.retained, resent=kept.resent, at=at)
                case StateReported(device=device) if device in self.reporters:
                    for index, state in enumerate(event.states):
                        self._store.state(state, retained=event.retained, at=at, follows=index > 0)
                    self._write_changes(event)
                case AvailabilityChanged(device=device) if device in self.reporters:
                    self._store.availability(
                        device, available=event.available, retained=event.retained, at=at
                    )
                case LinkChanged(connected=connected):
                    self._store.mark("link", "up" if connected else "down", at)
                case PersonSpoke() | AdviceAnswered() | AlarmAcknowledged():
                    self._store.person(msgspec.json.encode(event).decode(), at)
                case EdgeAnswered():
                    self._store.edge(msgspec.json.encode(event).decode(), at)
                case Labelled():
                    self._store.person(msgspec.json.encode(event).decode(), at)
                    self._store.label(event, at)
                case Tick() if effects:
                    self._store.tick(at)
                case _:
                    pass
        # Concluded from a report, or from advice that other rules would not give: those need a person's word by itself.
        hands = {
            effect.appliance: PersonSpoke(
                effect.appliance,
                hand.action,
                hand.by,
                None if hand.until is None else hand.until.since(at),
            )
            for effect in effects
            if isinstance(effect, Remember)
            and (hand := effect.memory.override) is not None
            and hand.by in CONCLUDED
            and hand.since == at
        }
        for spoken in hands.values():
            self._store.person(msgspec.json.encode(spoken).decode(), at)

    def _write_changes(self, event: StateReported) -> None:
        """Have a changed word written at once, not with the next batch: an alarm that is held rests on the word that raised it,
        and a crash must not bring back the word before it.
        """
        news = {(event.device, state.metric): state.value for state in event.states}
        if any(self._said.get(key) != value for key, value in news.items()):
            self._said.update(news)
            self._store.flush()

    def reconfigured(self, controller: Controller, at: Instant) -> None:
        """Keep that another config is in force from here on, with the whole state of now."""
        self.reporters = controller.home.speakers
        self._store.mark("config", "changed", at)
        self._store.checkpoint(partial(checkpoint.pack, controller.home, controller.state), at)

    def perform(self, effect: Effect, now: Instant) -> None:
        """Carry out one effect."""
        do = self._ways.get(type(effect))
        if do is not None:
            do(effect, now)

    def _record(self, effect: Record, now: Instant) -> None:
        del now
        self.counts["decisions"] += 1
        self._store.record(effect.decision)
        for observer in self.observers:
            observer(effect.decision)

    def _recommend(self, effect: Recommend, now: Instant) -> None:
        del now
        self.counts["recommendations"] += 1
        for one in effect.advice:
            log.info("%s: %s recommends %s: %s", effect.appliance, one.source, one.action, one.because)

    def _ask(self, effect: AskState, now: Instant) -> None:
        del now
        # Which dialect, and that it can say this device's name, was checked before anything was connected.
        for message in self._dialects[effect.device.partition("/")[0]].ask(effect.device, effect.properties):
            self._say(message, "asked")

    def _offer(self, effect: AskEdge, now: Instant) -> None:
        del now
        if self.offer is not None:
            self.counts["offered"] += 1
            self.offer(effect)

    def _notify(self, effect: Notify, now: Instant) -> None:
        del now
        self.counts["notices"] += 1
        log.log(logging.getLevelNamesMapping()[effect.level.upper()], "%s: %s", effect.appliance, effect.text)

    def _send(self, effect: SendCommand, now: Instant) -> None:
        del now
        try:
            messages = self._dialects[effect.device.partition("/")[0]].encode(effect.device, effect.command)
        except ApplianceError as broken:
            self.counts["commands_refused"] += 1
            log.error("%s: %s can't be commanded: %s", effect.appliance, effect.device, broken)  # noqa: TRY400  no trace: the words say it
            return
        for message in messages:
            self._say(message, "commands")

    def _say(self, message: Message, what: str) -> None:
        self.counts[what if self._publish(message.topic, message.payload) else f"{what}_unsent"] += 1
