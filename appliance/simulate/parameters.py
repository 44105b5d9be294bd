"""Owns what makes one simulated home differ from another, and how such homes are drawn.

Never in here: anything that changes while a home is lived in.

Where a range is drawn from, the source stands beside it; "assumed" means that there is none.
"""

from dataclasses import dataclass
from math import log
from typing import Self

import numpy as np

from appliance.simulate.air import Shell


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeParameters:
    """A home of one zone: a flat whose doors stand open, cooked and slept in. The defaults: a usual one.

    Attributes:
        volume_m3: air of the flat. 32 to 66 m² at 2.5 m, more for more people (assumed; a STARKVIND
            is sold for rooms up to 20 m², so it has to work).
        leak_per_h: air changes with windows shut. 0.41 ± 0.19 in a Virginia house (Howard-Reed, Wallace &
            Ott, J. Air & Waste Manage. Assoc. 52, 2002); US medians of 0.47 to 0.88 with windows used freely
            (RIOPA: Yamamoto et al., Indoor Air 20, 2010).
        window_per_h: further air changes while a window stands open: 0.1 to 2.8 (Howard-Reed et al. 2002).
        penetration: of particles through cracks: 0.78 ± 0.17 for the accumulation mode (review: Ji & Zhao,
            "Impact of outdoor particles on indoor air", Springer); 1.0 fitted in PTEAM (Özkaynak et al.
            1996).
        deposition_per_h: 0.39 for PM2.5 (PTEAM); 0.3 for 0.3 to 0.5 µm, more for larger (Howard-Reed, Wallace
            & Emmerich, Atmos. Environ. 37, 2003).
        moisture_factor: effective moisture capacity of furnished rooms over that of their air (assumed;
            building simulation uses multipliers up to 10 or more).
        heat_loss_w_per_k: a flat of this size, older to newer (assumed).
        thermal_hours: light to heavy building (assumed; the first, fast part of the cooling).
        heating_w: largest heat of the radiators (assumed).
        set_day_c, set_night_c: thermostat; WHO recommends 18 °C at least (Housing and health guidelines,
            2018).
        outdoor_pm2_5: median outdoors in µg/m³. WHO guideline 5; European cities about 10 to 20 (EEA, Air
            quality in Europe); smoky valleys more.
        annual_mean_c: annual mean outdoors; central European normals about 9 to 12.
        daily_swing_c: half the difference of a day's warmest and coldest hour (assumed).
        people: who live here. 2.2 per household in the EU (Eurostat 2023).
        children: of these, go to school.
        home_days: share of working days at home (assumed).
        cooking_mg_per_min: PM2.5 while a dinner is cooked. Frying 0.43 to 2.68, stove 0.11 to 0.24, grilling
            0.62 to 2.78 (table 1 of "Fine particulate matter exposure and health impacts from indoor
            activities", Indoor Air 2023, 8857446, after He et al., Atmos. Environ. 38, 2004, and Aquilina &
            Camilleri 2022).
        hood_capture: share of that which the hood takes: below 15 % to over 98 % (Singer et al., "Performance
            of installed cooking exhaust devices", Indoor Air 22, 2012).
        candles_per_week, vacuums_per_week, guests_per_week: evenings and times (assumed).
        airings_per_day: times a window is opened to air, beside warm evenings (assumed).
        clean_share: clean air delivered here over that on the test bench: corners, filter wear (assumed).
    """

    volume_m3: float = 100.0
    leak_per_h: float = 0.45
    window_per_h: float = 1.8
    penetration: float = 0.8
    deposition_per_h: float = 0.39
    moisture_factor: float = 4.0
    heat_loss_w_per_k: float = 90.0
    thermal_hours: float = 18.0
    heating_w: float = 4000.0
    set_day_c: float = 21.0
    set_night_c: float = 18.5
    outdoor_pm2_5: float = 11.0
    annual_mean_c: float = 10.5
    daily_swing_c: float = 4.5
    people: int = 2
    children: int = 0
    home_days: float = 0.2
    cooking_mg_per_min: float = 1.0
    hood_capture: float = 0.4
    candles_per_week: float = 1.0
    vacuums_per_week: float = 2.0
    guests_per_week: float = 0.5
    airings_per_day: float = 1.5
    clean_share: float = 0.9

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Return one home of many, within the ranges above; log-normal where they span a factor."""
        people = int(
            rng.choice([1, 2, 3, 4], p=[0.36, 0.32, 0.17, 0.15])
        )  # Household sizes: about those of Eurostat 2023.
        return cls(
            volume_m3=float(rng.uniform(65.0, 105.0)) + 15.0 * people,
            leak_per_h=_lognormal(rng, 0.42, 1.6, 0.18, 1.2),
            window_per_h=float(rng.uniform(0.6, 2.8)),
            penetration=float(np.clip(rng.normal(0.78, 0.12), 0.5, 1.0)),
            deposition_per_h=float(rng.uniform(0.2, 0.6)),
            moisture_factor=float(rng.uniform(2.5, 8.0)),
            heat_loss_w_per_k=float(rng.uniform(50.0, 140.0)),
            thermal_hours=float(rng.uniform(10.0, 35.0)),
            set_day_c=float(rng.uniform(19.5, 22.5)),
            set_night_c=float(rng.uniform(17.0, 19.5)),
            outdoor_pm2_5=_lognormal(rng, 11.0, 1.6, 3.0, 35.0),
            annual_mean_c=float(rng.uniform(8.5, 13.0)),
            daily_swing_c=float(rng.uniform(3.0, 6.0)),
            people=people,
            children=max(0, people - 2),
            home_days=float(rng.uniform(0.0, 0.6)),
            cooking_mg_per_min=_lognormal(rng, 0.5, 1.8, 0.11, 2.0),
            hood_capture=float(rng.uniform(0.15, 0.9)),
            candles_per_week=float(rng.choice([0.0, 0.5, 2.0, 4.0])),
            vacuums_per_week=float(rng.uniform(0.7, 3.5)),
            guests_per_week=float(rng.uniform(0.0, 1.2)),
            airings_per_day=float(rng.uniform(0.3, 3.0)),
            clean_share=float(rng.uniform(0.7, 1.0)),
        )

    def shell(self) -> Shell:
        """Return what the room is made of."""
        return Shell(
            volume_m3=self.volume_m3,
            penetration=self.penetration,
            deposition_per_h=self.deposition_per_h,
            moisture_factor=self.moisture_factor,
            heat_loss_w_per_k=self.heat_loss_w_per_k,
            thermal_hours=self.thermal_hours,
        )


def _lognormal(rng: np.random.Generator, median: float, deviation: float, low: float, high: float) -> float:
    """Return a log-normal draw of this median and geometric deviation, within `low` and `high`."""
    return float(np.clip(rng.lognormal(log(median), log(deviation)), low, high))
