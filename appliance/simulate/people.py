"""Owns what people do in a day: who is home, awake or asleep, what they cook, burn, clean and open.

Never in here: what that does to the air. A day depends on the seed, the date and the home alone, never on
what a purifier does, so that two controllers can be compared on the very same days. People don't watch the
clock of daylight saving time: a day has 24 hours.

Rates of what an activity sets free:

    particles   toasting 0.11 mg/min, stove 0.11 to 0.24, frying 0.43 to 2.68, burnt or grilled food 2.78,
                candle 0.04 to 0.15 (table 1 of Indoor Air 2023, 8857446, after He et al. 2004, Aquilina &
                Camilleri 2022 and Pagels et al. 2009); vacuuming and walking 0.03 to 0.5 (Ferro, Kopperud &
                Hildemann, Environ. Sci. Technol. 38, 2004)
    CO2         0.000179 * BMR * met * T/P litres/s (Persily & de Jonge, Indoor Air 27, 2017): 17 l/h for a
                metabolic rate at rest of 7 MJ a day, 1.3 met, 20 °C; asleep 11.0 ± 1.4 l/h as measured
                ("Emission rate of carbon dioxide while sleeping", Indoor Air 2021)
    water       a person sitting 40 to 60 g/h, busy up to 120; cooking 600 to 1,500; a shower about 2,500
                (table 10.1.1 of Hastings & Wall, Sustainable Solar Housing, vol. 2, 2007); asleep 40
                (assumed)
    heat        a person seated 75 W, asleep 70 W, sensible (ASHRAE Handbook Fundamentals, nonresidential load
                tables); a hotplate 1,000 W, lights and devices in the evening 150 W (assumed)
                a candle of 7 g/h (assumed) gives 12 l/h of CO2 and 85 W (paraffin: 3.1 g/g, 43 MJ/kg)
    vapours     0.74 mg/h a person (He, Zou & Yang, Building and Environment 153, 2019); cooking 20 mg/h, a
                cleaned floor 30 mg/h (assumed)
"""

from bisect import bisect_right
from datetime import date

import msgspec
import numpy as np

from appliance.simulate.air import Sources
from appliance.simulate.parameters import HomeParameters

HOUR = 3600.0
MINUTE = 60.0
DAY = 86_400.0
MILLIGRAMS_PER_MINUTE = 60_000.0
"""µg/h in one mg/min."""

AWAKE = Sources(pm2_5=0.003 * MILLIGRAMS_PER_MINUTE, co2=17.0, water=60.0, heat=75.0, voc=740.0)
"""Somebody at home. Particles: a tenth of the time walking about at the lower end of Ferro et al. (share
assumed)."""
ASLEEP = Sources(pm2_5=0.0, co2=11.0, water=40.0, heat=70.0, voc=740.0)
BATHROOM_SHARE = 0.3
"""Share of a shower's water that leaves the bathroom and its fan (assumed)."""
BURNT = 2.78
"""mg/min, as grilling."""
BURNT_DINNERS = 0.03
"""Share of dinners that burn (assumed)."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """Something that goes on from `start` to `end`, in seconds of the day, and what it sets free."""

    name: str
    start: float
    end: float
    sources: Sources = Sources()
    awake: int = 0
    asleep: int = 0
    window: bool = False


class Moment(msgspec.Struct, frozen=True, gc=False):
    """What goes on between two changes: who is awake and asleep at home, what is set free, windows."""

    awake: int
    asleep: int
    sources: Sources
    window: bool
    events: tuple[str, ...]

    @property
    def home(self) -> int:
        """How many are at home."""
        return self.awake + self.asleep


class Day:
    """One day as a row of moments."""

    __slots__ = ("_moments", "_starts", "spans")

    def __init__(self, spans: tuple[Span, ...]) -> None:
        self.spans = tuple(
            _clip(span) for span in spans if span.start < DAY and span.end > max(0.0, span.start)
        )
        edges = sorted({0.0, *(span.start for span in self.spans), *(span.end for span in self.spans)})
        self._starts = [edge for edge in edges if edge < DAY]
        self._moments = [self._moment(start) for start in self._starts]

    def at(self, second: float) -> Moment:
        """Return what goes on at `second` of the day."""
        return self._moments[bisect_right(self._starts, second) - 1]

    def _moment(self, second: float) -> Moment:
        going = [span for span in self.spans if span.start <= second < span.end]
        return Moment(
            awake=sum(span.awake for span in going),
            asleep=sum(span.asleep for span in going),
            sources=Sources(
                pm2_5=sum(span.sources.pm2_5 for span in going),
                co2=sum(span.sources.co2 for span in going),
                water=sum(span.sources.water for span in going),
                heat=sum(span.sources.heat for span in going),
                voc=sum(span.sources.voc for span in going),
            ),
            window=any(span.window for span in going),
            events=tuple(
                sorted(
                    {span.name for span in going if not (span.awake or span.asleep) or span.name == "guests"}
                )
            ),
        )


def plan(day: date, home: HomeParameters, rng: np.random.Generator, *, warm: bool = False) -> Day:
    """Return what people do on `day`; `warm`: it is a season in which windows stand open in the evening."""
    planner = _Planner(day, home, rng)
    planner.people()
    planner.meals()
    planner.chores()
    planner.evening()
    planner.windows(warm=warm)
    return Day(tuple(planner.spans))


class _Planner:
    """A day in the making.

    Times of day, lengths and chances are assumed where nothing else is said; they follow the habits of
    time-use surveys (Eurostat HETUS): sleep about 23 to 7, work 8 to 17, meals at 7, 13 and 19 o'clock.
    """

    def __init__(self, day: date, home: HomeParameters, rng: np.random.Generator) -> None:
        self.home = home
        self.rng = rng
        self.weekend = day.weekday() >= 5
        self.spans: list[Span] = []
        self.present: list[tuple[float, float]] = []

    def chance(self, probability: float) -> bool:
        return float(self.rng.random()) < probability

    def about(self, hour: float, spread_minutes: float) -> float:
        """Return seconds of the day around `hour`, at most three spreads away."""
        away = float(np.clip(self.rng.standard_normal(), -3.0, 3.0))
        return hour * HOUR + away * spread_minutes * MINUTE

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def add(
        self, name: str, start: float, minutes: float, sources: Sources | None = None, *, window: bool = False
    ) -> None:
        self.spans.append(Span(name, start, start + minutes * MINUTE, sources or Sources(), window=window))

    def people(self) -> None:
        outing = self.chance(0.6) if self.weekend else False
        leave_together, outing_hours = self.about(13.0, 90.0), self.between(1.5, 5.0)
        for index in range(self.home.people):
            child = index >= self.home.people - self.home.children
            wake = self.about(8.5 if self.weekend else 6.75, 30.0)
            sleep = self.about(21.0 if child else 23.0, 30.0)
            away: list[tuple[float, float]] = []
            if self.weekend:
                if outing:
                    away.append((leave_together, leave_together + outing_hours * HOUR))
            elif child:
                away.append((self.about(7.6, 8.0), self.about(14.5, 60.0)))
            elif not self.chance(self.home.home_days):
                away.append((self.about(8.0, 25.0), self.about(17.3, 45.0)))
            elif self.chance(0.5):
                errand = self.about(15.0, 90.0)
                away.append((errand, errand + self.between(0.5, 1.5) * HOUR))
            if not child and self.chance(0.15):
                out = self.about(19.75, 20.0)
                away.append((out, out + self.between(1.5, 3.0) * HOUR))
            sleep = max([sleep, *(back + 15 * MINUTE for _, back in away)])
            self._presence(wake, sleep, sorted(away))
            self.add(
                "shower", wake + self.between(5.0, 20.0) * MINUTE, 7.0, Sources(water=2500.0 * BATHROOM_SHARE)
            )

    def _presence(self, wake: float, sleep: float, away: list[tuple[float, float]]) -> None:
        self.spans.append(Span("asleep", 0.0, wake, ASLEEP, asleep=1))
        self.spans.append(Span("asleep", sleep, DAY, ASLEEP, asleep=1))
        start = wake
        for leave, back in [*away, (sleep, sleep)]:
            end = min(leave, DAY)
            if end > start:
                self.spans.append(Span("awake", start, end, AWAKE, awake=1))
                self.present.append((start, end))
            start = max(start, back)

    def stay(self, earliest: float, latest: float, minutes: float) -> float | None:
        """Return the first time in these bounds from which somebody is home and awake for `minutes`."""
        starts = (
            max(start, earliest)
            for start, end in self.present
            if end >= max(start, earliest) + minutes * MINUTE
        )
        return min((start for start in starts if start <= latest), default=None)

    def cook(self, name: str, hour: float, minutes: float, mg_per_min: float, water: float) -> None:
        start = self.stay(self.about(hour, 20.0), (hour + 2.5) * HOUR, minutes)
        if start is None:
            return
        reaching = 1.0 - self.home.hood_capture
        sources = Sources(
            pm2_5=mg_per_min * MILLIGRAMS_PER_MINUTE * reaching,
            water=water * reaching,
            heat=1000.0 * reaching,
            voc=20_000.0 * reaching,
        )
        self.add(name, start, minutes, sources)

    def meals(self) -> None:
        if self.chance(0.6):
            self.cook("breakfast", 8.75 if self.weekend else 6.9, 6.0, 0.11, 200.0)
        if self.chance(0.55 if self.weekend else 0.3):
            self.cook("lunch", 12.5, self.between(10.0, 25.0), self.between(0.11, 0.24), 600.0)
        if self.chance(0.85):
            rate = self.home.cooking_mg_per_min * float(self.rng.lognormal(0.0, 0.5))
            burnt = self.chance(BURNT_DINNERS)
            name, rate = ("burnt food", BURNT) if burnt else ("cooking", min(rate, 2.68))
            self.cook(name, 18.25, self.between(15.0, 40.0), rate, self.between(600.0, 1500.0))

    def chores(self) -> None:
        share = self.home.vacuums_per_week / 7.0
        if self.chance(min(1.0, share * (1.8 if self.weekend else 0.68))):
            minutes = self.between(10.0, 25.0)
            start = self.stay(self.about(11.0 if self.weekend else 17.75, 60.0), 20.5 * HOUR, minutes)
            if start is not None:
                rate = self.between(0.03, 0.5)
                self.add("vacuuming", start, minutes, Sources(pm2_5=rate * MILLIGRAMS_PER_MINUTE, heat=800.0))
                if self.chance(0.4):
                    self.add("mopping", start + minutes * MINUTE, 15.0, Sources(water=300.0, voc=30_000.0))

    def evening(self) -> None:
        start = self.stay(17.5 * HOUR, 21.0 * HOUR, 60.0)
        if start is None:
            return
        self.add("lights", start, 240.0, Sources(heat=150.0))
        if self.chance(min(1.0, self.home.candles_per_week / 7.0)):
            lit = self.stay(self.about(19.75, 30.0), 21.5 * HOUR, 45.0)
            if lit is not None:
                rate = self.between(0.04, 0.15)
                self.add(
                    "candles",
                    lit,
                    self.between(45.0, 100.0),
                    Sources(pm2_5=rate * MILLIGRAMS_PER_MINUTE, co2=12.0, heat=85.0),
                )
        if self.chance(min(1.0, self.home.guests_per_week / 7.0 * (2.0 if self.weekend else 0.6))):
            come = self.stay(self.about(19.0, 25.0), 20.5 * HOUR, 90.0)
            if come is not None:
                number = int(self.rng.integers(1, 5))
                everybody = Sources(
                    *(
                        number * amount
                        for amount in (AWAKE.pm2_5, AWAKE.co2, AWAKE.water, AWAKE.heat, AWAKE.voc)
                    )
                )
                hours = min(self.between(1.5, 3.5), 23.75 - come / HOUR)
                last = max(end for start, end in self.present if start <= come)
                self.spans.append(
                    Span("guests", come, min(come + hours * HOUR, last), everybody, awake=number)
                )

    def windows(self, *, warm: bool) -> None:
        airings = int(self.rng.poisson(self.home.airings_per_day))
        for _ in range(min(airings, 6)):
            minutes = self.between(5.0, 20.0)
            hour = float(self.rng.choice([7.5, 9.0, 13.0, 17.75, 19.25, 22.0]))
            start = self.stay(self.about(hour, 20.0), (hour + 1.0) * HOUR, minutes)
            if start is not None:
                self.add("airing", start, minutes, window=True)
        if warm:
            start = self.stay(self.about(18.5, 30.0), 21.0 * HOUR, 90.0)
            if start is not None:
                self.add("airing", start, self.between(60.0, 180.0), window=True)


def _clip(span: Span) -> Span:
    if span.start >= 0.0 and span.end <= DAY:
        return span
    return msgspec.structs.replace(span, start=max(0.0, span.start), end=min(DAY, span.end))
