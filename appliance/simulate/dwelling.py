"""Owns the world of a simulated home: its air, the people and the weather, moved on together.

Never in here: devices, beyond what a purifier does to the air; and messages. What people and weather do
depends on the seed and the parameters alone.
"""

from datetime import date, datetime, timedelta

import numpy as np
from msgspec.structs import replace

from appliance.simulate import people
from appliance.simulate.air import Air, Outdoors
from appliance.simulate.devices import voc_index
from appliance.simulate.parameters import HomeParameters
from appliance.simulate.purifier import OUTPUTS, Output
from appliance.simulate.weather import Weather

DAY = people.DAY
WARM_UP_STEP_S = 120.0
WARM_MONTHS = range(5, 10)
"""May to September: windows stand open in the evening (central Europe, assumed)."""
THERMOSTAT_W_PER_K = 2000.0
"""Of a proportional radiator valve, 2 K wide at the default power (EN 215 rates such valves at 2 K)."""
BUILDING_VOC = 3000.0
"""µg/h from walls and furniture of the flat (assumed; only the VOC index depends on it)."""


class Dwelling:
    """A flat with its people, at `at` seconds since the start. Mutable: `step` moves it on.

    Its air has a day behind it when it is made, lived through with the purifier off, so that it begins as it
    would be found.

    Attributes:
        air: of the flat.
        moment: what people do.
        outside: the air outdoors.
        at: seconds since the start.
    """

    __slots__ = (
        "_day",
        "_day_index",
        "_midnight",
        "_seed",
        "_start",
        "_voc_mean",
        "_weather",
        "air",
        "at",
        "home",
        "moment",
        "outside",
    )

    def __init__(
        self, seed: int, start: datetime, home: HomeParameters, weather_rng: np.random.Generator
    ) -> None:
        self.home = home
        self._seed = seed
        self._start = start
        self._midnight = start.hour * 3600.0 + start.minute * 60.0 + start.second + start.microsecond / 1e6
        self._weather = Weather(
            weather_rng,
            pm2_5_median=home.outdoor_pm2_5,
            annual_mean=home.annual_mean_c,
            daily_swing=home.daily_swing_c,
            day_of_year=start.timetuple().tm_yday - 1.0,
        )
        self.at = -DAY
        self._day_index: int | None = None
        self.moment = self._moment()
        self.outside = self._weather.at(0.0, self._second_of_day())
        self.air = _found(home, self.outside)
        self._voc_mean = self.air.voc
        while self.at < 0.0:
            self.step(min(0.0, self.at + WARM_UP_STEP_S), OUTPUTS[0])

    def step(self, until: float, output: Output) -> float:
        """Move on to `until` seconds since the start under `output`; return how many seconds that were."""
        seconds = until - self.at
        if seconds <= 0.0:
            return 0.0
        home, moment, sources = self.home, self.moment, self.moment.sources
        wanted = home.set_day_c if moment.awake else home.set_night_c
        heating = min(home.heating_w, max(0.0, (wanted - self.air.temperature) * THERMOSTAT_W_PER_K))
        self.air.step(
            seconds,
            self.outside,
            replace(sources, heat=sources.heat + heating + output.power_w, voc=sources.voc + BUILDING_VOC),
            leak_per_h=home.leak_per_h,
            window_per_h=home.window_per_h if moment.window else 0.0,
            clean_m3_per_h=output.clean_m3_per_h * home.clean_share,
        )
        self._voc_mean += (self.air.voc - self._voc_mean) * min(1.0, seconds / DAY)
        self.at = until
        self.moment = self._moment()
        self.outside = self._weather.at(until + DAY, self._second_of_day())
        return seconds

    def truths(self) -> dict[str, float]:
        """Return what a perfect sensor would say: metric -> value in the metric's unit."""
        air = self.air
        return {
            "pm2_5": air.pm2_5,
            "co2": air.co2,
            "temperature": air.temperature,
            "humidity": air.humidity,
            "voc_index": voc_index(air.voc, self._voc_mean),
        }

    def _second_of_day(self) -> float:
        return (self._midnight + self.at) % DAY

    def _moment(self) -> people.Moment:
        index = int((self._midnight + self.at) // DAY)
        if index != self._day_index:
            day: date = self._start.date() + timedelta(days=index)
            rng = np.random.default_rng([self._seed, day.toordinal()])
            self._day_index = index
            self._day = people.plan(day, self.home, rng, warm=day.month in WARM_MONTHS)
        return self._day.at(self._second_of_day())


def _found(home: HomeParameters, outside: Outdoors) -> Air:
    """Return the air of a flat left alone: what comes in, and a little of people (assumed)."""
    inside = home.penetration * home.leak_per_h / (home.leak_per_h + home.deposition_per_h)
    return Air(
        home.shell(),
        pm2_5=inside * outside.pm2_5,
        co2=outside.co2 + 300.0,
        temperature=max(home.set_day_c, outside.temperature + 2.0),
        water=outside.water + 1.0,
        voc=outside.voc + 20.0,
    )
