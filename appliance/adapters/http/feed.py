"""Owns the fan-out of what happens in a home to those who listen: bounded, and never waited for.

Never in here: a web framework or the wire; the daemon publishes here whether or not HTTP is up.
"""

import asyncio
from collections.abc import Hashable
from typing import TYPE_CHECKING

import msgspec

from appliance.core.events import Input

if TYPE_CHECKING:
    from appliance.adapters.http.port import ApplianceView, DecisionView, HealthView

MAX_SUBSCRIBERS = 8
"""More listeners than a home has screens are refused."""

MAX_PENDING = 64
"""A listener that is this many happenings behind is dropped: it shall come again and look at the whole."""


class DecisionMade(msgspec.Struct, frozen=True):
    """A decision was made and committed (or is known to stay unrecorded)."""

    decision: "DecisionView"


class ReadingSeen(msgspec.Struct, frozen=True):
    """A channel of an appliance has a new value, or lost it."""

    appliance: str
    reading: Input


class ApplianceChanged(msgspec.Struct, frozen=True):
    """What an appliance reports, its availability or its override changed."""

    appliance: "ApplianceView"


class HealthChanged(msgspec.Struct, frozen=True):
    """A part came or went."""

    health: "HealthView"


Happening = DecisionMade | ReadingSeen | ApplianceChanged | HealthChanged


def _key(happening: Happening) -> Hashable:
    """Return what `happening` is about: while nobody has taken it, a newer one about the same replaces it."""
    match happening:
        case DecisionMade():
            return ("decision", happening.decision.decision.id)
        case ReadingSeen():
            return ("reading", happening.appliance, happening.reading.channel)
        case ApplianceChanged():
            return ("appliance", happening.appliance.id)
        case HealthChanged():
            return ("health",)


class Subscription:
    """What a listener has not taken yet: each decision, the newest of each reading, appliance and health."""

    def __init__(self, feed: "Feed") -> None:
        self._feed = feed
        self._pending: dict[Hashable, Happening] = {}
        self._wake = asyncio.Event()
        self.ended = False

    def offer(self, happening: Happening) -> None:
        """Add `happening`; end the subscription where too many are pending."""
        key = _key(happening)
        self._pending.pop(key, None)
        if len(self._pending) >= MAX_PENDING:
            self._feed.dropped += 1
            self.close()
            return
        self._pending[key] = happening
        self._wake.set()

    async def take(self) -> tuple[Happening, ...]:
        """Wait until something is pending; return it all, oldest first. Empty: the subscription has ended."""
        await self._wake.wait()
        taken = tuple(self._pending.values())
        self._pending.clear()
        if not self.ended:
            self._wake.clear()
        return taken

    def close(self) -> None:
        """End the subscription, forget what is pending, and free its place. Closing twice is harmless."""
        self.ended = True
        self._pending.clear()
        self._wake.set()
        self._feed.leave(self)


class Feed:
    """All subscriptions of a home. Use it from the event loop only."""

    def __init__(self, max_subscribers: int = MAX_SUBSCRIBERS) -> None:
        self._max = max_subscribers
        self._subscriptions: set[Subscription] = set()
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many listen. Where it is 0 there is no need to make a happening at all."""
        return len(self._subscriptions)

    def publish(self, happening: Happening) -> None:
        """Tell everybody who listens. Never waits, never raises."""
        for subscription in tuple(self._subscriptions):
            subscription.offer(happening)

    def subscribe(self) -> Subscription | None:
        """Return a new subscription, or None where `max_subscribers` listen already."""
        if len(self._subscriptions) >= self._max:
            return None
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Forget `subscription`."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in tuple(self._subscriptions):
            subscription.close()
