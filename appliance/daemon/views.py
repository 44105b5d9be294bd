"""Owns the answers of the running home to the HTTP interface: from the state, the ring and the store.

What is shown of decisions is committed, or marked as not. Never in here: deciding, how an appliance stands now (present), what
listeners are told (feeding), or how an answer is spelt.
"""

import asyncio
from collections.abc import Callable, Sequence

from appliance.adapters.http.feed import Subscription
from appliance.adapters.http.port import (
    ApplianceView,
    DecisionFilter,
    DecisionView,
    EdgeView,
    HealthView,
    MetricView,
    OverrideView,
    PointView,
    SeriesView,
    SpanView,
    Supposed,
    WhyNotView,
    WhyView,
)
from appliance.adapters.store import Kept, Store
from appliance.core import deciding
from appliance.core.clock import SECOND, Instant
from appliance.core.quantities import convert
from appliance.core.readings import Quality
from appliance.daemon.control import Control
from appliance.daemon.feeding import Feeding
from appliance.daemon.people import People
from appliance.daemon.present import Present, decided, numbered, remembered
from appliance.daemon.vitals import Vitals
from appliance.daemon.whys import Rebuilt, Whys
from appliance.errors import ConfigError, Malformed

QUALITIES = {0: "good", 1: "uncertain", 2: "bad"}


class Views:
    """One home, as the HTTP interface asks for it. Lives on the control loop; the methods marked *thread* don't touch it."""

    def __init__(
        self,
        control: Control,
        store: Store,
        people: People,
        past: Rebuilt,
        *,
        observe: bool,
    ) -> None:
        self._control = control
        self._people = people
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._whys = Whys(control, store, past)
        self._present = Present(control, store)
        self.vitals = Vitals(control, store, observe=observe)
        self.feeding = Feeding(control, store, self._present, self.vitals)
        self.on_safe_mode_end: Callable[[], bool] = bool
        self.on_edge: Callable[[], EdgeView] = lambda: EdgeView(None)

    # ------------------------------------------------------------ what is asked

    def appliances(self) -> Sequence[ApplianceView]:
        """Return every appliance, in the order of the configuration."""
        return self._present.appliances()

    def appliance(self, appliance: str) -> ApplianceView | None:
        """Return one appliance, or None."""
        return self._present.appliance(appliance)

    async def why(self, appliance: str, at: str | None, *, flip: bool) -> WhyView | None:
        """Return why it does what it does, or did then."""
        return await self._whys.why(appliance, at, flip=flip)

    async def why_not(self, appliance: str, action: str, at: str | None) -> WhyNotView | None:
        """Return why it does not do `action`, or did not then."""
        return await self._whys.why_not(appliance, action, at)

    def decisions(self, which: DecisionFilter, before_id: int | None, limit: int) -> Sequence[DecisionView]:
        """*thread*: return decisions, the newest first; from the ring where there is no disk."""
        if self._store.health().reason is None:
            found = self._store.queries.decisions(
                appliance=which.appliance, action=which.action, since_ns=which.since_ns, until_ns=which.until_ns,
                before_id=before_id, limit=limit,
            )  # fmt: skip
        else:
            found = [kept for kept in reversed(self._store.ring()) if _matches(kept, which, before_id)][
                :limit
            ]
        return [remembered(kept) for kept in found]

    def decision(self, decision_id: int) -> DecisionView | None:
        """*thread*: return one decision, or None."""
        kept = numbered(self._store, decision_id)
        return None if kept is None else remembered(kept)

    def readings(
        self, appliance: str, channel: str, since_ns: int, until_ns: int, points: int
    ) -> SeriesView | None:
        """*thread*: return the history of one channel; of several sources the first."""
        spec = self._control.controller.home.appliances.get(appliance)
        source = None if spec is None else next((one for one in spec.sources if one[2] == channel), None)
        if spec is None or (source is None and channel not in spec.channels and channel not in spec.models):
            return None
        unit = spec.channels[channel].quantity.unit if channel in spec.channels else None
        if source is None:
            return SeriesView(appliance, channel, unit, ())
        found = self._store.queries.readings(source[0], source[1], since_ns, until_ns, points)
        shown = [
            PointView(
                point.wall_ns, point.value, point.low, point.high, QUALITIES.get(point.quality, "unknown")
            )
            for point in found
        ]
        # What waits for its batch is as true as what is on disk.
        shown += [
            _point(wall_ns, value, quality)
            for wall_ns, value, quality in self._store.waiting(source[0], source[1])[-points:]
            if since_ns <= wall_ns < until_ns
        ]
        return SeriesView(appliance, channel, unit, tuple(shown[-points:]))

    def decide(self, appliance: str, readings: Sequence[Supposed]) -> DecisionView | None:
        """Return what would be decided now if these readings came in; nothing is commanded or remembered."""
        spec = self._control.controller.home.appliances.get(appliance)
        if spec is None:
            return None
        values = {}
        for supposed in readings:
            channel = spec.channels.get(supposed.channel)
            if channel is None:
                raise Malformed(
                    f"{appliance} measures no {supposed.channel}",
                    hint=f"its channels are: {', '.join(spec.channels)}",
                    reason="channel",
                )
            value = (
                None
                if isinstance(supposed.value, str)
                else convert(supposed.value, supposed.unit or channel.quantity.unit, channel.quantity)
            )
            if value is None:
                # What was asked is not echoed: it is the asker's own text.
                raise Malformed(
                    f"what is supposed of {supposed.channel} is no {channel.quantity.name}",
                    hint=f"give a number in {channel.quantity.unit}",
                    reason="unit",
                )
            values[supposed.channel] = value
        decision = self._control.controller.suppose(appliance, values, self._control.clock())
        return None if decision is None else decided(decision, None)

    async def override(
        self, appliance: str, action: str, for_s: int | None, by: str, *, until: str | None, open_ended: bool
    ) -> OverrideView:
        """Let a person decide; return when that is committed, or known to stay unrecorded."""
        now = self._now()
        for_ns = None if for_s is None else for_s * SECOND
        self._control.turn(
            [
                self._people.override(
                    appliance, action, by, now, for_ns=for_ns, until=until, open_ended=open_ended
                )
            ],
            now,
        )
        override = self._control.controller.state.appliances[appliance].memory.override
        recorded = await self._committed()
        if override is None:
            raise ConfigError(
                f"{until!r} is so already: the override ended at once",
                hint="choose another condition, or a time",
            )
        return OverrideView(override, recorded)

    async def clear_override(self, appliance: str, by: str) -> bool:
        """End a person's word. Return whether that is committed."""
        now = self._now()
        self._control.turn([self._people.hand_back(appliance, by, now)], now)
        return await self._committed()

    async def answer_advice(self, appliance: str, source: str | None, *, accepted: bool, by: str) -> int:
        """Accept or dismiss what is recommended; return how much of it that was."""
        now = self._now()
        event = self._people.answer(appliance, source, by, now, accepted=accepted)
        before = deciding.opened(self._control.controller.state.appliances[appliance].memory)
        count = sum(1 for one in before if event.source in (None, one.source))
        if count:
            self._control.turn([event], now)
            await self._committed()
        return count

    async def acknowledge(self, appliance: str, rule: str | None, by: str) -> int:
        """Acknowledge alarms; return how many."""
        now = self._now()
        event = self._people.acknowledge(appliance, rule, by, now)
        waiting = [
            alarm
            for alarm in self._present.alarms(appliance)
            if alarm.waits and not alarm.acknowledged and event.rule in (None, alarm.rule)
        ]
        if waiting:
            self._control.turn([event], now)
            await self._committed()
        return len(waiting)

    def end_safe_mode(self) -> bool:
        """End safe mode; return whether there was one."""
        return self.on_safe_mode_end()

    async def label(self, appliance: str, channel: str, spans: Sequence[SpanView], by: str) -> bool:
        """Take what somebody tells of a model's channel; return whether it is committed."""
        now = self._now()
        told = []
        for span in spans:
            until_ns = now.wall_ns if span.until_ns is None else span.until_ns
            told.append((span.label, until_ns if span.since_ns is None else span.since_ns, until_ns))
        self._control.turn(self._people.labels(appliance, channel, told, by, now), now)
        return await self._committed()

    def health(self) -> HealthView:
        """Return how the whole is."""
        return self.vitals.health()

    def edge(self) -> EdgeView:
        """Return how the edge is, and what audits show."""
        return self.on_edge()

    def metrics(self) -> Sequence[MetricView]:
        """Return the counters and gauges of all rooms."""
        return self.vitals.metrics()

    def subscribe(self) -> Subscription | None:
        """Return a subscription to what happens, or None where there are too many."""
        return self.feeding.feed.subscribe()

    # ------------------------------------------------------------ parts

    async def _committed(self) -> bool:
        """Wait until everything handed to the store so far is committed; return whether it is."""
        waiting: asyncio.Future[bool] = self._loop.create_future()

        def settle(error: Exception | None) -> None:
            if not waiting.done():
                waiting.set_result(error is None)

        def done(error: Exception | None) -> None:
            self._loop.call_soon_threadsafe(settle, error)

        self._store.confirm(done)
        try:
            async with asyncio.timeout(5):
                return await waiting
        except TimeoutError:
            return False

    def _now(self) -> Instant:
        return self._control.clock()


def _point(wall_ns: int, value: float | str, quality: int) -> PointView:
    good = value if quality == Quality.GOOD else None
    number = None if isinstance(good, str) else good
    return PointView(wall_ns, good, number, number, QUALITIES[quality])


def _matches(kept: Kept, which: DecisionFilter, before_id: int | None) -> bool:
    decision = kept.decision
    return (
        (which.appliance is None or decision.appliance == which.appliance)
        and (which.action is None or decision.action == which.action)
        and (which.since_ns is None or decision.at.wall_ns >= which.since_ns)
        and (which.until_ns is None or decision.at.wall_ns < which.until_ns)
        and (before_id is None or decision.id < before_id)
    )
