"""Owns the live stream of what happens, as Server-Sent Events.

Never in here: what happens (see `feed`), or waiting for a client: one that falls behind is dropped.
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from appliance.adapters.http.feed import (
    ApplianceChanged,
    DecisionMade,
    Happening,
    HealthChanged,
    ReadingSeen,
    Subscription,
)
from appliance.adapters.http.health import HealthModel
from appliance.adapters.http.limits import Refusals
from appliance.adapters.http.models import (
    ApplianceModel,
    DecisionModel,
    InputModel,
    ReadingHappened,
)
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import REFUSALS, Refused

KEEP_ALIVE_S = 15.0
"""A comment after so long a silence shows both sides that the other is there (WHATWG HTML, 9.2.7)."""

RETRY_MS = 3000
"""After so long a browser comes again when the stream ended."""


class Streams:
    """The open streams, so that they can be ended."""

    def __init__(self) -> None:
        self._open: set[Subscription] = set()
        self.closing = False

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def opened(self, subscription: Subscription) -> None:
        """Remember a stream."""
        self._open.add(subscription)

    def ended(self, subscription: Subscription) -> None:
        """Free a stream's place."""
        self._open.discard(subscription)
        subscription.close()

    def end(self) -> None:
        """End all streams and open no more."""
        self.closing = True
        for subscription in tuple(self._open):
            subscription.close()


class _EventStream(StreamingResponse):
    """A stream that frees its place however it ends."""

    def __init__(self, subscription: Subscription, streams: Streams) -> None:
        super().__init__(_events(subscription), media_type="text/event-stream")
        self._subscription = subscription
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.ended(self._subscription)


async def _events(subscription: Subscription) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    while not subscription.ended:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                happenings = await subscription.take()
        except TimeoutError:
            yield ": still here\n\n"
            continue
        if happenings:
            yield "".join(_event(happening) for happening in happenings)


def _event(happening: Happening) -> str:
    match happening:
        case DecisionMade():
            return _spelt("decision", DecisionModel.of(happening.decision))
        case ReadingSeen():
            reading = InputModel.of(happening.reading)
            return _spelt("reading", ReadingHappened(appliance=happening.appliance, reading=reading))
        case ApplianceChanged():
            return _spelt("appliance", ApplianceModel.of(happening.appliance))
        case HealthChanged():
            return _spelt("health", HealthModel.of(happening.health))


def _spelt(name: str, model: DecisionModel | ReadingHappened | ApplianceModel | HealthModel) -> str:
    # JSON escapes line ends, so one data line is enough.
    return f"event: {name}\ndata: {model.model_dump_json()}\n\n"


def router(home: HomePort, streams: Streams, refusals: Refusals) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/events", tags=["events"], responses=REFUSALS)

    @routes.get(
        "",
        response_class=Response,
        responses={
            200: {
                "description": "Events `decision`, `reading`, `appliance` and `health`; their data are a "
                "DecisionModel, ReadingHappened, ApplianceModel and HealthModel in JSON",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def events() -> Response:
        """What happens, as it happens. A client that falls 64 events behind is dropped: read anew then."""
        subscription = None if streams.closing else home.subscribe()
        if subscription is None:
            refusals.count("listeners")
            raise Refused(
                429,
                "too-many-listeners",
                "Too many clients listen already.",
                hint="Close another page, or ask GET /v1/appliances now and then.",
                headers={"retry-after": "10"},
            )
        streams.opened(subscription)
        return _EventStream(subscription, streams)

    return routes
