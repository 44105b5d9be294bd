"""A small home in memory that implements the port for real, and a server over it on a free port."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC

import httpx
import msgspec
import pytest

from appliance.adapters.http.app import create_app
from appliance.adapters.http.feed import ApplianceChanged, DecisionMade, Feed, ReadingSeen, Subscription
from appliance.adapters.http.port import (
    AlarmView,
    ApplianceView,
    DecisionFilter,
    DecisionView,
    EdgeView,
    HealthView,
    MetricView,
    OverrideView,
    PartView,
    PointView,
    SeriesView,
    SpanView,
    Supposed,
    WhyNotView,
    WhyView,
)
from appliance.adapters.http.protocol import Limits
from appliance.adapters.http.server import Server, serve
from appliance.core import overrides
from appliance.core.arbitration import Authority, Ladder, Proposal, arbitrate
from appliance.core.clock import SECOND, Instant
from appliance.core.events import Advice, Decision, Input, Override
from appliance.core.explain.flip import Change, Flips, Named
from appliance.core.explain.moment import decision_number, moment_ns
from appliance.errors import ApplianceError, ConfigError, Malformed, StoreError

TOKEN = "t0ken-of-this-home-0123456789"
LADDER = Ladder(("off", "low", "medium", "high", "turbo"), rest=0, safe=0)
UNITS = {"pm2_5": "µg/m³", "co2": "ppm", "temperature": "°C", "presence": None}


def now() -> Instant:
    return Instant("boot-1", time.monotonic_ns(), time.time_ns())


class SmallHome:
    """One purifier: off below 12 µg/m³, high from there, turbo from 80; a person is obeyed."""

    def __init__(self, name: str = "Living room air") -> None:
        self.name = name
        self.feed = Feed()
        self.history: list[DecisionView] = []
        self.series: dict[str, list[PointView]] = {channel: [] for channel in UNITS}
        self.inputs: dict[str, Input] = {
            channel: Input(channel, None, unit, None, "unknown", "nothing heard since boot")
            for channel, unit in UNITS.items()
        }
        self.held: Override | None = None
        self.doing: str | None = None
        self.doing_since: Instant | None = None
        self.started = time.monotonic()
        self.disk = True
        self.near = EdgeView(None)
        self.safe = False
        self.status = HealthView(
            "ok", True, "0.1.0", 0.0, now(), (PartView("broker", "ok"), PartView("store", "ok"))
        )
        self.spoken: list[tuple[str, int | str | None, str]] = []
        self.advice: tuple[Advice, ...] = ()
        self.alarms: tuple[AlarmView, ...] = ()
        self.learned: dict[str, tuple[str, ...]] = {}
        self.told: list[tuple[str, str, str, int | None, int | None, str]] = []
        self.ends: tuple[str, ...] = ("the air is clean",)
        self.wishes: list[tuple[str, int | None, str | None, bool]] = []
        self.refuses: ApplianceError | None = None

    # -- what happens

    def hear(
        self,
        channel: str,
        value: float | str | None,
        quality: str = "good",
        reason: str | None = None,
        *,
        at: Instant | None = None,
        age_s: float | None = 0.0,
    ) -> None:
        at = at or now()
        heard = Input(channel, value, UNITS[channel], age_s, quality, reason)
        self.inputs[channel] = heard
        number = value if isinstance(value, int | float) else None
        self.series[channel].append(PointView(at.wall_ns, value, number, number, quality))
        self.feed.publish(ReadingSeen("purifier", heard))
        self._decide(at)

    def _proposals(self, inputs: dict[str, Input], held: Override | None) -> list[Proposal]:
        proposals = [Proposal(0, 0, Authority.FALLBACK, "fallback", "nobody asks for anything")]
        value = inputs["pm2_5"].value
        if isinstance(value, int | float) and value >= 12:
            least = 4 if value >= 80 else 3
            because = f"the fine dust is {value:g} µg/m³, above 12"
            proposals.append(Proposal(least, 4, Authority.RULE, "rule clean_air", because))
        if held is not None:
            index = LADDER.actions.index(held.action)
            proposals.append(
                Proposal(
                    index, index, Authority.MANUAL, f"person by {held.by}", f"a person chose {held.action}"
                )
            )
        return proposals

    def _made(self, at: Instant, inputs: dict[str, Input], held: Override | None) -> Decision:
        verdict = arbitrate(LADDER, self._proposals(inputs, held))
        by = verdict.decided_by
        assert by is not None
        assert verdict.action is not None
        action = LADDER.actions[verdict.action]
        return Decision(
            len(self.history) + 1,
            at,
            "purifier",
            action,
            by.because,
            by.authority,
            by.source,
            verdict.voices,
            tuple(inputs.values()),
            action != self.doing,
        )

    def _decide(self, at: Instant) -> None:
        made = self._made(at, self.inputs, self.held)
        last = self.history[-1] if self.history else None
        if last and (last.decision.action, last.decision.source) == (made.action, made.source):
            self.history[-1] = msgspec.structs.replace(last, count=last.count + 1, last_at=at)
            return
        view = DecisionView(made, 1, at, self.disk)
        self.history.append(view)
        if self.doing != made.action:
            self.doing, self.doing_since = made.action, at
        self.feed.publish(DecisionMade(view))
        self.feed.publish(ApplianceChanged(self._view()))

    # -- the port

    def _view(self) -> ApplianceView:
        return ApplianceView(
            id="purifier",
            name=self.name,
            profile="air_purifier",
            actions=LADDER.actions,
            modes=("auto",),
            rest="off",
            safe="off",
            doing=self.doing,
            doing_since=self.doing_since,
            commanded=self.doing,
            available=True,
            fault=None,
            override=None if self.held is None else OverrideView(self.held, self.disk),
            decision=self.history[-1] if self.history else None,
            channels=tuple(self.inputs.values()),
            advice=self.advice,
            alarms=self.alarms,
            learned=self.learned,
            needs_person=("turbo",),
            ends=self.ends,
        )

    def changed(self) -> None:
        """Tell listeners that something of the appliance changed, as the daemon does every second."""
        self.feed.publish(ApplianceChanged(self._view()))

    def appliances(self) -> Sequence[ApplianceView]:
        return (self._view(),)

    def appliance(self, appliance: str) -> ApplianceView | None:
        return self._view() if appliance == "purifier" else None

    def _then(self, at: str | None) -> DecisionView | None:
        """Return the decision that is meant, as the daemon finds it."""
        if at is None:
            return self.history[-1] if self.history else None
        number = decision_number(at)
        if number is not None:
            return self.decision(number)
        wall_ns = moment_ns(at, now(), UTC)
        return next((view for view in reversed(self.history) if view.decision.at.wall_ns <= wall_ns), None)

    async def why(self, appliance: str, at: str | None, *, flip: bool) -> WhyView | None:
        view = self._then(at)
        if view is None:
            return None if at is not None else WhyView("purifier", "nothing is decided yet.", (), None)
        said = f"{view.decision.action}, because {view.decision.because}."
        found = None
        if flip:
            value = view.decision.inputs[0].value
            assert isinstance(value, float)
            change = Change("pm2_5", 11.9, "µg/m³", value, round((value - 11.9) / 0.1), "off", exact=True)
            ends = Named("a person's override ends at 15:43", "high")
            found = Flips(view.decision.action, (change,), (ends,), (), 9, "rest on this test")
        lines = tuple(voice.because for voice in view.decision.voices)
        return WhyView("purifier", said, lines, view, found)

    async def why_not(self, appliance: str, action: str, at: str | None) -> WhyNotView | None:
        view = self._then(at)
        if view is None:
            return None
        said = f"not {action}, because nobody asks for more than {view.decision.action}."
        return WhyNotView("purifier", action, said, ("clean_air would want it",), view)

    def decisions(self, which: DecisionFilter, before_id: int | None, limit: int) -> Sequence[DecisionView]:
        if not self.disk:
            raise StoreError("the history cannot be read: the disk is gone", hint="look at the disk")
        found = [
            view
            for view in reversed(self.history)
            if which.appliance in (None, view.decision.appliance)
            and which.action in (None, view.decision.action)
            and (which.since_ns is None or view.decision.at.wall_ns >= which.since_ns)
            and (which.until_ns is None or view.decision.at.wall_ns < which.until_ns)
            and (before_id is None or view.decision.id < before_id)
        ]
        return found[:limit]

    def decision(self, decision_id: int) -> DecisionView | None:
        return self.history[decision_id - 1] if decision_id <= len(self.history) else None

    def readings(
        self, appliance: str, channel: str, since_ns: int, until_ns: int, points: int
    ) -> SeriesView | None:
        if appliance != "purifier" or channel not in self.series:
            return None
        found = [point for point in self.series[channel] if since_ns <= point.wall_ns < until_ns]
        step = -(-len(found) // points) or 1
        return SeriesView(appliance, channel, UNITS[channel], tuple(found[::step]))

    def decide(self, appliance: str, readings: Sequence[Supposed]) -> DecisionView | None:
        if appliance != "purifier":
            return None
        inputs = dict(self.inputs)
        for reading in readings:
            if reading.unit not in (None, UNITS[reading.channel]):
                raise Malformed("the unit does not fit the channel", hint="leave it out", reason="unit")
            inputs[reading.channel] = Input(
                reading.channel, reading.value, UNITS[reading.channel], 0.0, "good"
            )
        at = now()
        return DecisionView(self._made(at, inputs, self.held), 1, at, False)

    async def override(
        self, appliance: str, action: str, for_s: int | None, by: str, *, until: str | None, open_ended: bool
    ) -> OverrideView:
        assert appliance == "purifier"
        if self.refuses is not None:
            raise self.refuses
        self.spoken.append((action, for_s, by))
        self.wishes.append((action, for_s, until, open_ended))
        self.held = overrides.begin(
            action,
            by,
            now(),
            7200 * SECOND,
            for_ns=None if for_s is None else for_s * SECOND,
            until=until,
            open_ended=open_ended,
        )
        await asyncio.sleep(0)
        self._decide(now())
        return OverrideView(self.held, self.disk)

    async def clear_override(self, appliance: str, by: str) -> bool:
        self.held = None
        self._decide(now())
        return self.disk

    async def answer_advice(self, appliance: str, source: str | None, *, accepted: bool, by: str) -> int:
        assert appliance == "purifier"
        if self.refuses is not None:
            raise self.refuses
        meant = [one for one in self.advice if source in (None, one.source)]
        if not meant:
            return 0
        self.spoken.append(("accept" if accepted else "dismiss", source, by))
        self.advice = tuple(one for one in self.advice if one not in meant)
        if accepted:
            self.held = overrides.begin(meant[0].action, "advice", now(), 7200 * SECOND)
        self._decide(now())
        return len(meant)

    async def acknowledge(self, appliance: str, rule: str | None, by: str) -> int:
        assert appliance == "purifier"
        waiting = [
            one for one in self.alarms if one.waits and not one.acknowledged and rule in (None, one.rule)
        ]
        if not waiting:
            return 0
        self.spoken.append(("acknowledge", rule, by))
        self.alarms = tuple(
            msgspec.structs.replace(one, acknowledged=True) if one in waiting else one for one in self.alarms
        )
        return len(waiting)

    def edge(self) -> EdgeView:
        return self.near

    def end_safe_mode(self) -> bool:
        was, self.safe = self.safe, False
        return was

    async def label(self, appliance: str, channel: str, spans: Sequence[SpanView], by: str) -> bool:
        if channel != "presence":
            raise ConfigError(f"no model speaks in {channel!r}", hint="learned are: presence")
        self.told += [(appliance, channel, span.label, span.since_ns, span.until_ns, by) for span in spans]
        return self.disk

    def health(self) -> HealthView:
        return msgspec.structs.replace(self.status, uptime_s=time.monotonic() - self.started, now=now())

    def metrics(self) -> Sequence[MetricView]:
        return (
            MetricView(
                "appliance_decisions_total",
                "counter",
                "Decisions made.\nBy appliance.",
                (({"appliance": 'pur"if\\ier\n'}, float(len(self.history))),),
            ),
        )

    def subscribe(self) -> Subscription | None:
        return self.feed.subscribe()


@pytest.fixture
def home() -> SmallHome:
    return SmallHome()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def server(home: SmallHome, limits: Limits) -> AsyncIterator[Server]:
    served = serve(create_app(home, token=TOKEN), limits=limits)
    task = asyncio.create_task(served.run())
    yield served
    await served.close()
    await asyncio.wait_for(task, 5)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as made:
        yield made


@pytest.fixture
def bearer() -> dict[str, str]:
    return {"authorization": f"Bearer {TOKEN}"}
