"""Owns running a history through the core with no network: the decisions that follow, at the instants at which they fall.

Pure over the core: an iterable of moments in, decisions out. Never in here: reading files, or commanding anything.
"""

from collections.abc import Iterable, Iterator

import msgspec

from appliance.core.clock import Instant
from appliance.core.controller import Controller
from appliance.core.events import Effect, Event, Tick
from appliance.core.intake import Intake
from appliance.core.payloads.message import Message
from appliance.replay.checkpoint import Checkpoint

MAX_TICKS_BETWEEN = 100_000
"""A gap in the history is not ticked through for ever: 100,000 ticks of at most 30 s are over a month."""


CONCLUDED = frozenset({"device", "advice"})
"""Ways of a person's word that the core concludes: a hand at the device, an advice accepted. They are kept beside what they
were concluded from, for a history in which nothing would lead to them."""
ENDED = "the daemon was not running"
KEPT = "the state was kept here"
RECONFIGURED = "another config was taken in"
BEGINS = "the history begins here"
"""Why a stretch opens."""
UNBROKEN = frozenset({KEPT, RECONFIGURED})
"""With these nothing is missing before it. KEPT: only from here on is the whole state known."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """What happened at one instant."""

    at: Instant
    events: tuple[Event, ...]


class Opening(msgspec.Struct, frozen=True):
    """Here a stretch of history begins, `why`, with the state of then where it was kept.

    What lies between it and the moment before is not known. `stopped`: what ran before had ended in good order.
    """

    at: Instant
    why: str
    checkpoint: Checkpoint | None = None
    stopped: bool = False


History = Iterable[Opening | Moment]


def moments(messages: Iterable[tuple[Instant, Message]], intake: Intake) -> Iterator[Moment]:
    """Yield what recorded messages say, in their order; what was heard at one instant is one moment."""
    at: Instant | None = None
    heard: list[Message] = []
    for stamp, message in messages:
        if stamp != at:
            if at is not None and (events := intake.events(heard)):
                yield Moment(at, tuple(events))
            at, heard = stamp, []
        heard.append(message)
    if at is not None and (events := intake.events(heard)):
        yield Moment(at, tuple(events))


def replay(history: Iterable[Moment], controller: Controller) -> Iterator[tuple[Instant, Effect]]:
    """Yield the effects that follow from `history`, each with its instant; time in between passes by the core's own ticks.

    The same history and the same start give the same effects, bit for bit. A moment that lies before the one before it
    (a clock that was set back) happens at once.
    """
    now: Instant | None = None
    for moment in history:
        at = moment.at
        if now is not None:
            yield from pass_time(controller, now, at)
            if at.since(now) is not None and at.boottime_ns < now.boottime_ns:
                at = now
        for effect in controller.handle(moment.events, at):
            yield at, effect
        now = at


def pass_time(controller: Controller, since: Instant, until: Instant) -> Iterator[tuple[Instant, Effect]]:
    """Yield what follows from the mere passing of time between two instants of one boot."""
    until_ns = until.boottime_ns
    if controller.wake_at() >= until_ns or until.since(since) is None:
        return
    for _ in range(MAX_TICKS_BETWEEN):
        wake_ns = controller.wake_at()
        if wake_ns >= until_ns:
            return
        at = since.plus(max(wake_ns - since.boottime_ns, 0))
        for effect in controller.handle([Tick()], at):
            yield at, effect
