"""Owns imitating other rooms: what the same people would have done to another room's air, and what another sensor would say.

A room that is aired faster, is larger, lies in another season, or whose sensor is off is made from a recorded one by the balances of a
well-mixed room. Never in here: choosing a model. The truth of a row is never altered.
"""

from collections.abc import Mapping
from math import exp, log

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import SECOND
from appliance.core.quantities import QUANTITIES
from appliance.learn.recordings import Recording

EXCHANGED = {"co2": 420.0, "eco2": 400.0}
"""Gases that only people and fires set free: their level outdoors in ppm (NOAA Global Monitoring Laboratory, 2023). For other gases and
particles the recording's own lowest twentieth is taken."""
GASES = frozenset(
    {
        "co2",
        "eco2",
        "voc_index",
        "voc_ppb",
        "voc_ugm3",
        "hcho_ugm3",
        "nox_index",
        "pm1",
        "pm2_5",
        "pm4",
        "pm10",
    }
)
NOISE_STEPS = {"co2": 3.0, "temperature": 1.0, "humidity": 2.0}
"""How many times its resolution a usual sensor's noise is (SCD30 and SHT3x data sheets: repeatability 10 ppm, 0.04 °C and 0.08 % at most)."""


class Room(msgspec.Struct, frozen=True):
    """How a room differs from the recorded one; the defaults: not at all.

    Attributes:
        air_change: its air changes over the recorded one's.
        in_use: the same while the room is used (a door that stands open), as a factor more.
        gain: what people set free, for its volume, over the recorded room's.
        warmth: how far people and sun warm it, over the recorded room's.
        offsets: channel -> constant error of its sensor, in the quantity's unit.
        drift: channel -> size of a slow wandering of its background over some hours, standard deviation in the quantity's unit.
        heating_k: half the difference of the day's warmest and coldest hour that heating adds.
        wetter: water in its air over the recorded room's, as a factor.
        noise: of its sensors, in usual noises.
        scale: channel -> factor by which its sensor exaggerates what moves.
        ageing: channel -> by how much its sensor reads more after a week, in the quantity's unit.
        lag_h: how long the air takes to mix as far as the sensor: time constant of a first-order lag, in hours.
        shuffled: its days come in another order, so quiet and busy days are mixed otherwise.
        shifted_h: so many hours later by the clock.
    """

    air_change: float = 1.0
    in_use: float = 1.0
    gain: float = 1.0
    warmth: float = 1.0
    offsets: dict[str, float] = {}
    drift: dict[str, float] = {}
    heating_k: float = 0.0
    wetter: float = 1.0
    noise: float = 0.0
    scale: dict[str, float] = {}
    ageing: dict[str, float] = {}
    lag_h: float = 0.0
    shuffled: bool = False
    shifted_h: float = 0.0


def drawn(rng: np.random.Generator, rhythm: str = "others") -> Room:
    """Return one room of many, wide about the recorded one; the ranges are assumed. With the rhythm "kept" its clock is the recorded one's, and
    its sensors also age, exaggerate and lag.
    """

    def factor(most: float) -> float:
        return float(exp(rng.uniform(-log(most), log(most))))

    def some(size: float) -> float:
        return float(rng.uniform(-size, size))

    room = Room(
        air_change=factor(3.0),
        in_use=float(rng.choice([1.0, 1.0, 2.0, 4.0, 8.0])),
        gain=factor(2.0),
        warmth=factor(2.0),
        offsets={"co2": some(100.0), "temperature": some(3.0), "humidity": some(5.0)},
        drift={
            "co2": float(rng.choice([0.0, 10.0, 25.0])),
            "temperature": float(rng.choice([0.0, 0.15, 0.4])),
            "humidity": float(rng.choice([0.0, 0.5, 1.5])),
        },
        heating_k=float(rng.choice([0.0, 0.3, 0.8])),
        wetter=factor(1.6),
        noise=float(rng.choice([0.0, 0.5, 1.0])),
        shuffled=bool(rng.random() < 0.5),
        shifted_h=float(rng.choice([0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0])),
    )
    if rhythm == "others":
        return room
    return msgspec.structs.replace(
        room,
        shifted_h=0.0,
        scale={name: factor(1.15) for name in ("co2", "temperature", "humidity")},
        ageing={"co2": some(30.0), "temperature": some(0.3), "humidity": some(2.0)},
        lag_h=float(rng.choice([0.0, 0.0, 5.0, 15.0])) / 60.0,
    )


def imitated(
    recording: Recording, room: Room, rng: np.random.Generator
) -> tuple[Recording, NDArray[np.int64]]:
    """Return the recording as `room` would have made it, and for each of its rows the row of `recording` that it is (N,)."""
    order = _shuffled(recording, rng) if room.shuffled else np.arange(len(recording.at_ns))
    shift = round(room.shifted_h * 3600) * SECOND
    values = {name: _joined(column, order) for name, column in recording.values.items()}
    labels = recording.labels[order]
    hours = np.diff(recording.at_ns, prepend=recording.at_ns[0]) / (3600.0 * SECOND)
    made = {}
    for name, column in values.items():
        if name not in ("temperature", "humidity"):
            made[name] = _gas(name, column, labels, hours, room)
    warm = values.get("temperature")
    if warm is not None:
        rise = warm - np.nanpercentile(warm, 5)
        clock = (recording.at_ns + shift) % (86_400 * SECOND) / (3600.0 * SECOND)
        made["temperature"] = (
            warm + (room.warmth - 1.0) * rise + room.heating_k * np.cos(2 * np.pi * (clock - 15.0) / 24.0)
        )
    if "humidity" in values:
        made["humidity"] = _humidity(values, made, labels, hours, room)
    for name, whole in made.items():
        step = QUANTITIES[name].resolution * NOISE_STEPS.get(name, 2.0)
        column = (
            _sensed(name, whole, hours, room)
            + room.offsets.get(name, 0.0)
            + _wandering(len(hours), hours, room.drift.get(name, 0.0), rng)
            + rng.normal(0.0, 1.0, len(hours)) * room.noise * step
        )
        made[name] = np.clip(column, QUANTITIES[name].low, QUANTITIES[name].high)
    return Recording(recording.group, recording.at_ns + shift, made, labels), order


def _gas(
    name: str, column: NDArray[np.float64], labels: NDArray[np.int64], hours: NDArray[np.float64], room: Room
) -> NDArray[np.float64]:
    """With u the excess over outdoors, du/dt = s - k u. The same s under another k' gives v = u + w with
    dw/dt = -k' w + (k - k') u, which needs no differentiation, so the sensor's noise stays what it is.
    """
    base = EXCHANGED.get(name, float(np.nanpercentile(column, 5)))
    known = np.isfinite(column)
    if not known.any():
        return column
    excess = np.where(known, column, base) - base
    own = own_rate(excess, labels, hours)
    rates = own * room.air_change * np.where(labels > 0, room.in_use, 1.0)
    # Airing that only begins with use goes on a little; a door does not shut with the last person's step (assumed: not at all).
    w = 0.0
    added = np.empty(len(column))
    for at in range(len(column)):
        rate, step = rates[at], min(hours[at], 6.0)
        end = (own - rate) / rate * excess[at]
        w = end + (w - end) * exp(-rate * step)
        added[at] = w
    return np.where(known, base + room.gain * (excess + added), np.nan)


def own_rate(excess: NDArray[np.float64], labels: NDArray[np.int64], hours: NDArray[np.float64]) -> float:
    """Return the recorded room's own air changes per hour: the median decay of an excess while nobody is there; within 0.1 to 3."""
    elapsed = np.cumsum(hours)
    found = []
    for at in range(0, len(excess), 10):
        then = int(np.searchsorted(elapsed, elapsed[at] + 0.5))
        if then < len(excess) and not labels[at : then + 1].any() and excess[at] > 0.25 * np.max(excess) > 0:
            found.append(-log(max(excess[then], 1e-6) / excess[at]) / max(elapsed[then] - elapsed[at], 1e-6))
    return float(np.clip(np.median(found), 0.1, 3.0)) if found else 0.5


def _humidity(
    values: Mapping[str, NDArray[np.float64]],
    made: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.int64],
    hours: NDArray[np.float64],
    room: Room,
) -> NDArray[np.float64]:
    """The water stays what it is, times `wetter`, and its excess is what people gave; warmer air is relatively drier."""
    if "temperature" not in values:
        return values["humidity"] * room.wetter
    water = values["humidity"] * _saturation(values["temperature"])
    low = np.nanpercentile(water, 5)
    # Furniture holds most of the water, so faster air takes away only part of what it does of CO2 (assumed: the square root).
    given = room.gain / np.sqrt(room.air_change * np.where(labels > 0, room.in_use, 1.0))
    smooth = _smoothed(given, hours, 1.0)
    wet = room.wetter * (low + (water - low) * smooth)
    return np.clip(wet / _saturation(made["temperature"]), 1.0, 99.0)


def _sensed(
    name: str, whole: NDArray[np.float64], hours: NDArray[np.float64], room: Room
) -> NDArray[np.float64]:
    """What a sensor that lags, exaggerates and ages says of the air."""
    if room.lag_h > 0.0:
        known = np.isfinite(whole)
        passed = np.diff(np.cumsum(hours)[known], prepend=0.0)
        late = np.full(len(whole), np.nan)
        if known.any():
            late[known] = _smoothed(whole[known], passed, room.lag_h)
        whole = late
    scale = room.scale.get(name, 1.0)
    if scale != 1.0:
        middle = float(np.nanmedian(whole))
        whole = middle + scale * (whole - middle)
    return whole + room.ageing.get(name, 0.0) * np.cumsum(hours) / 168.0


def _saturation(temperature: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the hPa of saturated vapour at °C (Magnus form: WMO-No. 8, annex 4.B)."""
    return 6.112 * np.exp(17.62 * temperature / (243.12 + temperature))


def _smoothed(
    column: NDArray[np.float64], hours: NDArray[np.float64], constant_h: float
) -> NDArray[np.float64]:
    said = np.empty(len(column))
    now = float(column[0])
    for at, value in enumerate(column):
        now += (value - now) * (1.0 - exp(-hours[at] / constant_h))
        said[at] = now
    return said


def _wandering(
    count: int, hours: NDArray[np.float64], size: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A random walk that returns to zero within some six hours (Ornstein-Uhlenbeck), of standard deviation `size`."""
    noise = rng.normal(0.0, 1.0, count)
    if size == 0.0:
        return np.zeros(count)
    kept = np.exp(-np.minimum(hours, 24.0) / 6.0)
    said = np.empty(count)
    now = size * noise[0]
    for at in range(count):
        now = kept[at] * now + size * np.sqrt(1.0 - kept[at] ** 2) * noise[at]
        said[at] = now
    return said


def _shuffled(recording: Recording, rng: np.random.Generator) -> NDArray[np.int64]:
    """An order of rows in which whole days changed places."""
    days = recording.days
    order = rng.permutation(np.unique(days))
    return np.concatenate([np.flatnonzero(days == day) for day in order])


def _joined(column: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """The column in another order; the leap where two days meet dies away within hours, as nothing in a room leaps."""
    said = column[order].copy()
    for at in (np.flatnonzero(np.diff(order) != 1) + 1).tolist():
        leap = said[at] - said[at - 1]
        length = min(360, len(said) - at)
        if np.isfinite(leap):
            said[at : at + length] -= leap * np.exp(-np.arange(length) / 90.0)
    return said
