"""Owns the air outside a simulated home, as it changes over hours and days.

Never in here: what the outdoor air does to a room. The same seed gives the same weather whatever happens
indoors.
"""

from math import cos, exp, pi, sqrt

import numpy as np

from appliance.simulate.air import Outdoors, humidity_ratio

EVERY_S = 600.0
"""The weather is held for so long: slower than anything that a room does with it (assumed)."""
CO2 = 425.0
"""ppm. Global mean of 2024: 422.8 (NOAA Global Monitoring Laboratory, Trends in CO2)."""
VOC = 20.0
"""µg/m³ of organic vapours outside (assumed; only the index of a sensor depends on it, and that is
relative)."""
ANNUAL_SWING = 9.0
"""°C between the annual mean and the warmest month: central European climate normals (about 0 °C in January,
19 in July)."""
WARMEST_DAY = 202
"""Day of the year: 21 July (the same normals)."""
WARMEST_HOUR = 15.0
"""Hour of the day at which it is warmest (textbook meteorology: 2 to 3 hours after noon)."""
SPREAD = 3.0
"""°C: standard deviation of a day's mean about the season's (assumed)."""
RELATIVE_HUMIDITY = 80.0
"""% at the day's mean temperature, which fixes the water in the air (central European normals: 75 to 85)."""
PARTICLE_SPREAD = 0.55
"""Standard deviation of the logarithm of outdoor PM2.5: hourly values are log-normal with geometric
deviations of 1.5 to 2.2 (Seinfeld & Pandis, Atmospheric Chemistry and Physics, on distributions of air
quality data; value within it assumed)."""
PARTICLE_HOURS = 18.0
"""Hours in which a plume or an inversion forgets itself (assumed)."""
WEATHER_HOURS = 60.0
"""Hours in which a warm or cold spell forgets itself (assumed: passage of fronts, 2 to 4 days)."""


class Weather:
    """The outdoor air of one place.

    Two random walks that return to their mean (Ornstein-Uhlenbeck) carry the particles' logarithm and the
    day's temperature; `at` moves them on in steps of `EVERY_S` and must be asked in order of time.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        pm2_5_median: float,
        annual_mean: float,
        daily_swing: float,
        day_of_year: float,
    ) -> None:
        self._rng = rng
        self._median = pm2_5_median
        self._mean = annual_mean
        self._swing = daily_swing
        self._day_of_year = day_of_year
        self._particles = PARTICLE_SPREAD * float(rng.standard_normal())
        self._spell = SPREAD * float(rng.standard_normal())
        self._step = -1
        self._noise: list[float] = []
        self._now = self._compose(0.0, 0.0)

    def at(self, elapsed: float, second_of_day: float) -> Outdoors:
        """Return the outdoor air at `elapsed` seconds since the start, never earlier than asked before."""
        step = int(elapsed // EVERY_S)
        if step != self._step:
            while self._step < step:
                self._step += 1
                self._walk()
            self._now = self._compose(second_of_day / 3600.0, elapsed / 86_400.0)
        return self._now

    def _walk(self) -> None:
        if not self._noise:
            self._noise = self._rng.standard_normal(512).tolist()
        hours = EVERY_S / 3600.0
        kept = exp(-hours / PARTICLE_HOURS)
        self._particles = kept * self._particles + PARTICLE_SPREAD * sqrt(1 - kept * kept) * self._noise.pop()
        kept = exp(-hours / WEATHER_HOURS)
        self._spell = kept * self._spell + SPREAD * sqrt(1 - kept * kept) * self._noise.pop()

    def _compose(self, hour: float, days: float) -> Outdoors:
        season = self._mean + ANNUAL_SWING * cos(2 * pi * (self._day_of_year + days - WARMEST_DAY) / 365.25)
        mean = season + self._spell
        temperature = mean + self._swing * cos(2 * pi * (hour - WARMEST_HOUR) / 24.0)
        return Outdoors(
            pm2_5=self._median * exp(self._particles),
            co2=CO2,
            temperature=temperature,
            water=humidity_ratio(mean, RELATIVE_HUMIDITY),
            voc=VOC,
        )
