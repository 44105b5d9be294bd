"""Owns the vocabulary of what is measured: names, canonical units, resolution, what is plausible, how fast it can move.

Never in here: which device measures it, or how a dialect spells it. Numbers without another source are assumed.
"""

import re
from functools import lru_cache
from math import isfinite

import msgspec

MICROGRAMS = "µg/m³"


class Quantity(msgspec.Struct, frozen=True):
    """One measured quantity.

    Attributes:
        name: its name everywhere in this project.
        unit: the canonical unit; every number inside the core is in it. "index" and "level" are dimensionless.
        resolution: the step in which it is counted, in `unit`; bins hold whole steps.
        low: the lowest plausible value.
        high: the highest plausible value.
        max_rate_per_s: how fast it can really move, in `unit` a second; None: nothing is too fast.
        frozen_after_s: unmoved for so long while heard, it is not believed; None: it may well stand still.
        still_steps: within so many steps of zero standing still is plausible.
        sentinels: values that mean "no value" on some device, whatever its range says.
        max_age_s: by default it is unknown when nothing good was heard for so long.
    """

    name: str
    unit: str
    resolution: float
    low: float
    high: float
    max_rate_per_s: float | None = None
    frozen_after_s: float | None = None
    still_steps: int = 0
    sentinels: tuple[float, ...] = ()
    max_age_s: float = 600.0

    def steps(self, value: float) -> int:
        """Return `value` in whole steps of the resolution."""
        return round(value / self.resolution)

    def value(self, steps: float) -> float:
        """Return the value of `steps` (whole or a mean) in the canonical unit."""
        return steps * self.resolution


def _particles(name: str, high: float) -> Quantity:
    # Laser counters (Plantower PMS5003, Sensirion SPS30 data sheets) measure 0 to 1,000 µg/m³; the smoke of a fire reaches
    # far more on those that go on counting. Burning food in a kitchen raises it by some 500 µg/m³ within half a minute; a
    # match at the sensor is faster, and is believed at its second reading.
    # Counting noise moves a count above a few µg/m³ at every report, so two hours without a move mean a dead fan or a cache.
    return Quantity(
        name,
        MICROGRAMS,
        0.1,
        0.0,
        high,
        20.0,
        frozen_after_s=7200.0,
        still_steps=30,
        sentinels=(-1.0, 65535.0, 6553.5, 999.9),
        max_age_s=600.0,
    )


QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        _particles("pm1", 20_000.0),
        _particles("pm2_5", 20_000.0),
        _particles("pm4", 20_000.0),
        _particles("pm10", 50_000.0),
        # Outdoor air is at 420 ppm (NOAA, 2023); NDIR sensors end at 5,000 to 40,000 (Sensirion SCD30: 40,000). A sensor
        # that warms up says 0. Exhaled air at the sensor (40,000 ppm) may raise it by hundreds a second.
        Quantity("co2", "ppm", 1.0, 250.0, 40_000.0, 1000.0, 14_400.0, 0, (-1.0, 0.0, 65535.0), 600.0),
        Quantity("eco2", "ppm", 1.0, 350.0, 65_000.0, None, None, 0, (-1.0, 0.0, 65535.0), 600.0),
        # Sensirion VOC and NOx index: 1 to 500 by definition (its Gas Index Algorithm); 0 while it starts.
        Quantity("voc_index", "index", 1.0, 1.0, 500.0, None, None, 0, (-1.0, 0.0, 65535.0), 600.0),
        Quantity("nox_index", "index", 1.0, 1.0, 500.0, None, None, 0, (-1.0, 0.0, 65535.0), 600.0),
        Quantity("voc_ppb", "ppb", 1.0, 0.0, 65_000.0, None, None, 0, (-1.0, 65535.0), 600.0),
        Quantity("voc_ugm3", MICROGRAMS, 1.0, 0.0, 200_000.0, None, None, 0, (-1.0, 65535.0), 600.0),
        Quantity("hcho_ugm3", MICROGRAMS, 1.0, 0.0, 20_000.0, None, None, 0, (-1.0, 65535.0), 600.0),
        # Living rooms, sheds and freezers. -127 °C is
        # what drivers say where there is no sensor. A room cannot change by a degree a second; a sensor in a draught may.
        Quantity(
            "temperature", "°C", 0.01, -50.0, 125.0, 1.0, None, 0, (-127.0, 999.9, 6553.5, 65535.0), 1800.0
        ),
        Quantity("humidity", "%", 0.01, 0.0, 100.0, 10.0, None, 0, (-1.0, 999.9, 65535.0), 1800.0),
        # Lowest and highest sea-level pressures on record are 870 and 1,085 hPa; at 4,000 m it is about 600.
        Quantity("pressure", "hPa", 0.01, 300.0, 1100.0, 10.0, None, 0, (-1.0, 65535.0), 3600.0),
        Quantity("illuminance", "lx", 1.0, 0.0, 200_000.0, None, None, 0, (-1.0,), 1800.0),
        Quantity("gas_resistance", "kΩ", 0.01, 0.0, 100_000.0, None, None, 0, (-1.0,), 600.0),
        Quantity("power", "W", 0.1, -50_000.0, 50_000.0, None, None, 0, (), 600.0),
        Quantity("energy", "kWh", 0.0001, 0.0, 10_000_000.0, None, None, 0, (), 3600.0),
        Quantity("voltage", "V", 0.1, 0.0, 500.0, None, None, 0, (), 3600.0),
        Quantity("current", "A", 0.001, 0.0, 200.0, None, None, 0, (), 600.0),
        Quantity("battery", "%", 1.0, 0.0, 100.0, None, None, 0, (255.0,), 172_800.0),
        Quantity("fan_speed", "level", 1.0, 0.0, 100.0, None, None, 0, (255.0,), 3600.0),
    )
}
"""Every quantity by name."""

_SUFFIX = re.compile(r"_(?:[a-z0-9]+_){0,2}(?=[a-z]*\d)[a-z0-9]+\Z")
"""What a device with several sensors of one kind appends, a digit in its last part: power_2, power_l1, temperature_sht3x,
temperature_ds18b20_1."""


def quantity_of(metric: str) -> Quantity | None:
    """Return the quantity of `metric`, which may have a suffix as "power_2"; None where it is no quantity of ours."""
    found = QUANTITIES.get(metric)
    if found is not None:
        return found
    head = metric
    while "_" in head:
        head = head.rpartition("_")[0]
        if head in QUANTITIES and _SUFFIX.fullmatch(metric[len(head) :]):
            return QUANTITIES[head]
    return None


_SPELLINGS = {
    "C": "°C", "c": "°C", "celsius": "°C", "℃": "°C", "F": "°F", "f": "°F", "fahrenheit": "°F", "℉": "°F",
    "ug/m3": MICROGRAMS, "ug/m³": MICROGRAMS, "µg/m3": MICROGRAMS, "μg/m³": MICROGRAMS, "μg/m3": MICROGRAMS,
    "mg/m3": "mg/m³", "mbar": "hPa", "hpa": "hPa", "pa": "Pa", "kpa": "kPa", "mmhg": "mmHg", "inhg": "inHg",
    "lux": "lx", "w": "W", "kw": "kW", "wh": "Wh", "kwh": "kWh", "v": "V", "mv": "mV", "a": "A", "ma": "mA",
    "ohm": "Ω", "kohm": "kΩ", "kOhm": "kΩ", "%rh": "%", "% rh": "%", "%RH": "%", "PPM": "ppm", "PPB": "ppb",
    "VOC Index points": "index",
}  # fmt: skip
"""Other spellings of units, as devices and people write them."""

_FACTORS: dict[tuple[str, str], tuple[float, float]] = {
    # (from, to): multiply, then add. Exact by definition but mmHg (133.322387 Pa) and inHg (3,386.389 Pa), BIPM.
    ("°F", "°C"): (5 / 9, -160 / 9),
    ("K", "°C"): (1.0, -273.15),
    ("Pa", "hPa"): (0.01, 0.0),
    ("kPa", "hPa"): (10.0, 0.0),
    ("mmHg", "hPa"): (1.33322387, 0.0),
    ("inHg", "hPa"): (33.86389, 0.0),
    ("mg/m³", MICROGRAMS): (1000.0, 0.0),
    ("ppm", "ppb"): (1000.0, 0.0),
    ("ppb", "ppm"): (0.001, 0.0),
    ("kW", "W"): (1000.0, 0.0),
    ("mW", "W"): (0.001, 0.0),
    ("Wh", "kWh"): (0.001, 0.0),
    ("MWh", "kWh"): (1000.0, 0.0),
    ("mV", "V"): (0.001, 0.0),
    ("kV", "V"): (1000.0, 0.0),
    ("mA", "A"): (0.001, 0.0),
    ("Ω", "kΩ"): (0.001, 0.0),
    ("MΩ", "kΩ"): (1000.0, 0.0),
    ("klx", "lx"): (1000.0, 0.0),
}

_SUBSTANCES: dict[tuple[str, str], tuple[float, float]] = {
    # (quantity, from): a share of volume becomes a mass only where it is known which substance. Formaldehyde, 30.026 g/mol,
    # at 25 °C and 1,013.25 hPa, where a mole of gas fills 24.465 L: 1 ppb is 1.2273 µg/m³.
    ("hcho_ugm3", "ppb"): (1.2273, 0.0),
    ("hcho_ugm3", "ppm"): (1227.3, 0.0),
}


@lru_cache(maxsize=64)
def decimals(resolution: float) -> int:
    """Return the decimal places of `resolution`: 0.01 has two."""
    return max(0, -int(f"{resolution:e}".partition("e")[2]))


def canonical(unit: str) -> str:
    """Return the one spelling of `unit`; an unknown unit as it is."""
    return _SPELLINGS.get(unit) or _SPELLINGS.get(unit.lower()) or unit


def with_unit(number: str, unit: str | None) -> str:
    """Return `number` as people read it: with its unit, where it has one."""
    return number if unit in (None, "", "index", "level") else f"{number} {unit}"


def convert(value: float, unit: str, quantity: Quantity) -> float | None:
    """Return `value`, given in `unit`, in the quantity's own unit, rounded to its resolution; None where it can't be.

    A value that is in the canonical unit already comes back as it is, not rounded: nothing was computed.
    """
    if not isfinite(value):
        return None
    spelt = canonical(unit)
    if spelt == quantity.unit:
        return value
    factor = _FACTORS.get((spelt, quantity.unit)) or _SUBSTANCES.get((quantity.name, spelt))
    if factor is None:
        return None
    # Rounded in decimal places, so that 71.8 °F are 22.11 °C and not 22.110000000000003.
    converted = round(value * factor[0] + factor[1], decimals(quantity.resolution))
    return converted if isfinite(converted) else None
