"""Owns the numbers that a model looks at: from windows to one float32 row, the same in training and on the device.

Causal and of bounded memory, whatever the sensor's rate. Never in here: a model, or a guess for what is unknown.
"""

from collections.abc import Callable, Mapping
from datetime import tzinfo
from functools import cached_property
from math import cos, nan, pi, sin, sqrt
from typing import TYPE_CHECKING, Literal

import msgspec

from appliance.core.clock import SECOND, Instant
from appliance.core.windows import BIN_NS, COARSE_NS, EXACT, FINE_NS, Ahead, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal[
    "mean",
    "above_low",
    "below_high",
    "above_mean",
    "within",
    "slope",
    "spread",
    "change",
    "day_sin",
    "day_cos",
]
OF_THE_DAY = frozenset({"day_sin", "day_cos"})
"""Kinds that look at no channel."""

RECENT_NS = 120 * SECOND
"""What "now" means to a feature: the mean of the last two minutes, so that a minute's sampling and noise do not matter."""


STEADY_STEPS = 20
"""A range of so few steps of the quantity's resolution is hardly a range: it is added to every range that is divided by (assumed)."""

LEAST_BASELINE_NS = 3600 * SECOND
"""So long must a channel have been heard before its least and greatest value say anything of the room (assumed)."""


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number, in the channel's unit (slopes per minute).

    `mean`, `slope` and `spread` are over `span_s`; `above_low`, `below_high` and `above_mean` are how far the last two minutes lie
    above the least, below the greatest and above the mean value of the span: the room's own baseline; `within` is where they lie
    between the least (0) and the greatest (1). `change` is how far they lie above the two minutes that began `span_s` ago. `day_sin`
    and `day_cos` place the local time on a circle and have no channel.
    """

    name: str
    kind: Kind
    channel: str = ""
    span_s: int = 0


class FeatureSpec(msgspec.Struct, frozen=True, dict=True):
    """The features of a model, in order. Nothing is scaled here: the model does that itself."""

    features: tuple[Feature, ...]

    @cached_property
    def channels(self) -> frozenset[str]:
        """The channels that any feature looks at."""
        return frozenset(feature.channel for feature in self.features if feature.channel)

    @cached_property
    def looks(self) -> tuple[tuple[str, "Look"], ...]:
        """For each channel what is asked of its window."""
        return tuple(
            (
                channel,
                Look(
                    tuple(
                        (at, feature.kind, feature.span_s * SECOND)
                        for at, feature in enumerate(self.features)
                        if feature.channel == channel and feature.kind not in OF_THE_DAY
                    )
                ),
            )
            for channel in sorted(self.channels)
        )

    @cached_property
    def times(self) -> tuple[tuple[int, Feature], ...]:
        """The features of the time of day, and their places."""
        return tuple((at, feature) for at, feature in enumerate(self.features) if feature.kind in OF_THE_DAY)


def extract(
    windows: Mapping[str, Window], spec: FeatureSpec, now: Instant, zone: tzinfo
) -> "NDArray[np.float32]":
    """Return the features (F,) as float32, in the order of `spec`; NaN where one is unknown.

    A feature is known as soon as the newest bin of its channel is, and (slopes and spreads) one bin before. A baseline over
    a day starts as the baseline over what was heard since, but is none before `LEAST_BASELINE_NS`: a room that was full
    when we began to listen must not pass for an empty one.
    """
    import numpy as np  # noqa: PLC0415  a home without a model has no use for it: twelve megabytes, and a tenth of the start

    return np.array(row(windows, spec, now, zone), dtype=np.float32)


def row(windows: Mapping[str, Window], spec: FeatureSpec, now: Instant, zone: tzinfo) -> list[float]:
    """Return the features as `extract` does, not yet rounded to float32: many rows make one table at once."""
    values = [nan] * len(spec.features)
    now_ns = now.boottime_ns
    for channel, look in spec.looks:
        window = windows.get(channel)
        if window is None:
            continue
        plan = window.once(look, _plan, now_ns)
        if plan is None:
            # Nothing was heard in the newest bin, so there is no mean of it from which all follows.
            for place, kind, span_ns in look.asks:
                value = _value(window, kind, span_ns, now_ns)
                if value is not None:
                    values[place] = value
            continue
        mean, least, greatest = window.opened()
        above = mean - plan.around
        for place, at_zero, rise in plan.lines:
            values[place] = at_zero + rise * above
        for place, at_zero, rise, edge in plan.lows:
            values[place] = at_zero + rise * above - min(least, edge)
        for place, at_zero, rise, edge in plan.highs:
            values[place] = max(greatest, edge) - at_zero - rise * above
        for place, at_zero, rise, low, high in plan.betweens:
            low, high = min(least, low), max(greatest, high)  # noqa: PLW2901  the open bin counts too
            values[place] = _between(at_zero + rise * above, low, high, window.resolution)
        for place, at_zero, rise, ahead in plan.means:
            values[place] = at_zero + rise * above - ahead.mean(window.exact(FINE_NS + 1))
        for place, a, b, c in plan.variances:
            values[place] = sqrt(max(a + above * (b + c * above), 0.0))
        if plan.coarse:
            for place, kind, ahead in plan.coarse:
                value = _STATISTIC[kind](ahead, window.exact(FINE_NS + 1))
                if value is not None:
                    values[place] = value
    if spec.times:
        local = now.local(zone)
        angle = 2 * pi * (local.hour * 60 + local.minute) / 1440
        for place, feature in spec.times:
            values[place] = sin(angle) if feature.kind == "day_sin" else cos(angle)
    return values


class Look(msgspec.Struct, frozen=True, eq=False):
    """What a model asks of one channel's window: (place, kind, span in nanoseconds) of each feature. One is only itself."""

    asks: tuple[tuple[int, Kind, int], ...]


class _Plan(msgspec.Struct, frozen=True):
    """How the features of a channel follow from its open bin, while that is open; what is not in it is unknown as long.

    All of them follow from d, by how much the open bin's mean lies above `around`: `lines` (place, value at d = 0, rise);
    `lows` and `highs` the same of the last two minutes, and the span's extreme but for the open bin; `variances` (place,
    a, b, c) by a + d (b + c d); `betweens` as `lows`, with both extremes; `means` as well, against the mean of a longer span. `coarse` are statistics over longer spans (place, kind, what they rest on).
    """

    around: float
    lines: tuple[tuple[int, float, float], ...]
    lows: tuple[tuple[int, float, float, float], ...]
    highs: tuple[tuple[int, float, float, float], ...]
    variances: tuple[tuple[int, float, float, float], ...]
    coarse: tuple[tuple[int, Kind, Ahead], ...]
    betweens: tuple[tuple[int, float, float, float, float], ...]
    means: tuple[tuple[int, float, float, Ahead], ...]


_STATISTIC: Mapping[str, Callable[[Ahead, int], float | None]] = {
    "mean": Ahead.mean,
    "slope": Ahead.slope,
    "spread": Ahead.spread,
}


def _plan(window: Window, look: Look, now_ns: int) -> _Plan:
    # Around the newest closed bin, so that of a value that stands still every slope is nothing, to the last bit.
    before = window.fine.newest
    around = 0.0 if before is None else before
    exact = int(around * EXACT)
    lines: list[tuple[int, float, float]] = []
    lows: list[tuple[int, float, float, float]] = []
    highs: list[tuple[int, float, float, float]] = []
    variances: list[tuple[int, float, float, float]] = []
    coarse: list[tuple[int, Kind, Ahead]] = []
    betweens: list[tuple[int, float, float, float, float]] = []
    means: list[tuple[int, float, float, Ahead]] = []
    for place, kind, span_ns in look.asks:
        if kind in ("above_mean", "within", "change"):
            recent = window.ahead(now_ns, RECENT_NS)
            if recent is None:
                continue
            at_zero, rise = recent.mean_by(exact)
            if kind == "change":
                then = _then(window, span_ns, now_ns)
                if then is not None:
                    lines.append((place, at_zero - then, rise))
                continue
            if not _has_baseline(window, now_ns):
                continue
            if kind == "within":
                low, high = (window.edge(now_ns, span_ns, least=least) for least in (True, False))
                betweens.append((place, at_zero, rise, low, high))
            elif (ahead := window.ahead(now_ns, span_ns)) is not None:
                if span_ns > FINE_NS:
                    means.append((place, at_zero, rise, ahead))
                else:
                    mean, mean_rise = ahead.mean_by(exact)
                    lines.append((place, at_zero - mean, rise - mean_rise))
            continue
        if kind in ("above_low", "below_high"):
            recent = window.ahead(now_ns, RECENT_NS)
            if recent is not None and _has_baseline(window, now_ns):
                least = kind == "above_low"
                edge = window.edge(now_ns, span_ns, least=least)
                (lows if least else highs).append((place, *recent.mean_by(exact), edge))
            continue
        ahead = window.ahead(now_ns, span_ns)
        if ahead is None:
            continue
        if span_ns > FINE_NS:
            coarse.append((place, kind, ahead))
        elif kind == "spread":
            if (variance := ahead.variance_by(exact)) is not None:
                variances.append((place, *variance))
        elif (line := ahead.mean_by(exact) if kind == "mean" else ahead.slope_by(exact)) is not None:
            lines.append((place, *line))
    return _Plan(
        around,
        tuple(lines),
        tuple(lows),
        tuple(highs),
        tuple(variances),
        tuple(coarse),
        tuple(betweens),
        tuple(means),
    )


def _between(value: float, low: float, high: float, resolution: float) -> float:
    return (value - low) / (high - low + STEADY_STEPS * resolution)


def _then(window: Window, span_ns: int, now_ns: int) -> float | None:
    """Return the mean of the two minutes that began `span_ns` ago; None where nothing is known of them, or they are not over yet."""
    width_ns = BIN_NS if span_ns <= FINE_NS else COARSE_NS
    bins = max(RECENT_NS // width_ns, 1)
    if span_ns <= bins * width_ns:
        return None
    known = [value for value in window.series(now_ns, span_ns)[:bins] if value is not None]
    return sum(known) / len(known) if known else None


def _value(window: Window, kind: Kind, span_ns: int, now_ns: int) -> float | None:
    if kind == "slope":
        return window.slope(now_ns, span_ns, whole=False)
    if kind == "spread":
        return window.spread(now_ns, span_ns, whole=False)
    if kind == "mean":
        return window.mean(now_ns, span_ns, whole=False)
    recent = window.mean(now_ns, RECENT_NS, whole=False)
    if recent is None:
        return None
    if kind == "change":
        then = _then(window, span_ns, now_ns)
        return None if then is None else recent - then
    if not _has_baseline(window, now_ns):
        return None
    if kind == "above_mean":
        mean = window.mean(now_ns, span_ns, whole=False)
        return None if mean is None else recent - mean
    low = None if kind == "below_high" else window.minimum(now_ns, span_ns, whole=False)
    high = None if kind == "above_low" else window.maximum(now_ns, span_ns, whole=False)
    if kind == "within":
        return None if low is None or high is None else _between(recent, low, high, window.resolution)
    if kind == "above_low":
        return None if low is None else recent - low
    return None if high is None else high - recent


def _has_baseline(window: Window, now_ns: int) -> bool:
    # It depends on `now_ns` by its bin alone, as `Window.once` wants it: LEAST_BASELINE_NS is whole bins.
    since_ns = window.heard_since_ns()
    return since_ns is not None and now_ns - since_ns >= LEAST_BASELINE_NS
