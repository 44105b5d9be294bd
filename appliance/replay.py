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

MAX_TICKS_BETWEEN = 100_000
"""A gap in the history is not ticked through for ever: 100,000 ticks of at most 30 s are over a month."""


class Moment(msgspec.Struct, frozen=True):
    """What happened at one instant."""

    at: Instant
    events: tuple[Event, ...]


def moments(messages: Iterable[tuple[Instant, Message]], intake: Intake) -> Iterator[Moment]:
    """Yield what recorded messages say, in their order."""
    for at, message in messages:
        events = intake.events([message])
        if events:
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
            yield from _pass_time(controller, now, at)
            if at.since(now) is not None and at.boottime_ns < now.boottime_ns:
                at = now
        for effect in controller.handle(moment.events, at):
            yield at, effect
        now = at


def _pass_time(controller: Controller, since: Instant, until: Instant) -> Iterator[tuple[Instant, Effect]]:
    if until.since(since) is None:
        return
    for _ in range(MAX_TICKS_BETWEEN):
        wake_ns = controller.wake_at()
        if wake_ns >= until.boottime_ns:
            return
        at = since.plus(max(wake_ns - since.boottime_ns, 0))
        for effect in controller.handle([Tick()], at):
            yield at, effect
