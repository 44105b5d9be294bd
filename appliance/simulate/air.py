"""Owns the air of one well-mixed room: the balances of particles, CO2, water, organic vapours and heat.

Never in here: where a source comes from, what a sensor makes of the air, or any randomness.

Each balance is `dx/dt = inflow - k * x`; over a step in which sources and exchange are constant its exact
solution is `x(t) = x_end + (x(0) - x_end) * exp(-k * t)` with `x_end = inflow / k`, so a step of any length
is exact. The particle balance is the one of e.g. Özkaynak et al., J. Expo. Anal. Environ. Epidemiol. 6
(1996): outdoor air that penetrates, air exchange, deposition, indoor sources; clean air delivered by a
purifier adds CADR / volume to the losses.
"""

from math import exp

import msgspec

AIR_DENSITY = 1.2
"""kg/m³: dry air at 20 °C and 1,013 hPa."""
AIR_HEAT = 0.335
"""Wh/(m³ K): 1.2 kg/m³ times 1,005 J/(kg K)."""
PRESSURE = 1013.25
"""hPa: the standard atmosphere, ISO 2533."""


def saturation_pressure(temperature: float) -> float:
    """Return the pressure in hPa of saturated vapour at °C (Magnus form: WMO-No. 8, annex 4.B)."""
    return 6.112 * exp(17.62 * temperature / (243.12 + temperature))


def humidity_ratio(temperature: float, relative: float) -> float:
    """Return the grams of water per kg of dry air at `temperature` in °C and `relative` humidity in %."""
    pressure = relative / 100.0 * saturation_pressure(temperature)
    return 621.98 * pressure / (PRESSURE - pressure)


def relative_humidity(temperature: float, ratio: float) -> float:
    """Return the relative humidity in percent, at most 100, of air at °C with `ratio` g of water per kg."""
    pressure = PRESSURE * ratio / (621.98 + ratio)
    return min(100.0, 100.0 * pressure / saturation_pressure(temperature))


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """What the room is made of; constant.

    Attributes:
        volume_m3: of the air.
        penetration: share of the outdoor particles that come through cracks, 0 to 1; through a window all do.
        deposition_per_h: particles that settle on surfaces.
        moisture_factor: the room holds so many times the water that its air does, in furniture and walls.
        heat_loss_w_per_k: through walls and glass, with windows shut (cracks included).
        thermal_hours: time constant of the room that cools with windows shut.
    """

    volume_m3: float
    penetration: float
    deposition_per_h: float
    moisture_factor: float
    heat_loss_w_per_k: float
    thermal_hours: float


class Outdoors(msgspec.Struct, frozen=True, gc=False):
    """The air outside. Particles and organic vapours in µg/m³, CO2 in ppm, °C, water in g/kg."""

    pm2_5: float
    co2: float
    temperature: float
    water: float
    voc: float


class Sources(msgspec.Struct, frozen=True, gc=False):
    """What is set free in the room.

    Particles in µg/h, CO2 in litres/h, water in g/h, heat in W, organic vapours in µg/h.
    """

    pm2_5: float = 0.0
    co2: float = 0.0
    water: float = 0.0
    heat: float = 0.0
    voc: float = 0.0


class Air:
    """The room's air now. Mutable: `step` moves it on."""

    __slots__ = ("co2", "pm2_5", "shell", "temperature", "voc", "water")

    def __init__(
        self, shell: Shell, *, pm2_5: float, co2: float, temperature: float, water: float, voc: float
    ) -> None:
        self.shell = shell
        self.pm2_5 = pm2_5
        self.co2 = co2
        self.temperature = temperature
        self.water = water
        self.voc = voc

    @property
    def humidity(self) -> float:
        """The relative humidity in percent."""
        return relative_humidity(self.temperature, self.water)

    def step(
        self,
        seconds: float,
        outside: Outdoors,
        sources: Sources,
        *,
        leak_per_h: float,
        window_per_h: float,
        clean_m3_per_h: float,
    ) -> None:
        """Move the air on by `seconds` in which all arguments hold.

        `leak_per_h` and `window_per_h` are air changes through cracks and through windows, the first above 0;
        `clean_m3_per_h` is the air that a purifier frees of particles.
        """
        shell = self.shell
        hours = seconds / 3600.0
        volume = shell.volume_m3
        exchange = leak_per_h + window_per_h

        losses = exchange + shell.deposition_per_h + clean_m3_per_h / volume
        end = (
            (shell.penetration * leak_per_h + window_per_h) * outside.pm2_5 + sources.pm2_5 / volume
        ) / losses
        self.pm2_5 = end + (self.pm2_5 - end) * exp(-losses * hours)

        # A litre in a cubic metre is 1,000 ppm. Vapours are exchanged like CO2.
        kept = exp(-exchange * hours)
        end = outside.co2 + 1000.0 * sources.co2 / (volume * exchange)
        self.co2 = end + (self.co2 - end) * kept
        end = outside.voc + sources.voc / (volume * exchange)
        self.voc = end + (self.voc - end) * kept

        end = outside.water + sources.water / (AIR_DENSITY * volume * exchange)
        self.water = end + (self.water - end) * exp(-exchange / shell.moisture_factor * hours)

        loss = shell.heat_loss_w_per_k + AIR_HEAT * volume * window_per_h
        end = outside.temperature + sources.heat / loss
        store = shell.heat_loss_w_per_k * shell.thermal_hours
        self.temperature = end + (self.temperature - end) * exp(-loss / store * hours)
