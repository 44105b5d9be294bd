"""Owns the numbers that a model looks at: from windows to one float32 row, the same in training and on the device.

Causal and of bounded memory, whatever the sensor's rate. Never in here: a model, or a guess for what is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from functools import cached_property, partial
from math import cos, nan, pi, sin
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import SECOND, Instant
from appliance.core.windows import Window

Kind = Literal["mean", "above_low", "below_high", "slope", "spread", "day_sin", "day_cos"]
OF_THE_DAY = frozenset({"day_sin", "day_cos"})
"""Kinds that look at no channel."""

RECENT_NS = 120 * SECOND
"""What "now" means to a feature: the mean of the last two minutes, so that a minute's sampling and noise do not matter."""


LEAST_BASELINE_NS = 3600 * SECOND
"""So long must a channel have been heard before its least and greatest value say anything of the room (assumed)."""


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number, in the channel's unit (slopes per minute).

    `mean`, `slope` and `spread` are over `span_s`; `above_low` and `below_high` are how far the last two minutes lie above the
    least and below the greatest value of the span: the room's own baseline. `day_sin` and `day_cos` place the local time
    on a circle and have no channel.
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
    def looks(self) -> "tuple[tuple[str, tuple[int, ...], Look], ...]":
        """For each channel the places of its features, and the one look at its window that gives them all."""
        found = []
        for channel in sorted(self.channels):
            of_it = [
                (at, feature)
                for at, feature in enumerate(self.features)
                if feature.channel == channel and feature.kind not in OF_THE_DAY
            ]
            places, features = zip(*of_it, strict=True)
            asks = tuple((feature.kind, feature.span_s * SECOND) for feature in features)
            found.append((channel, places, partial(_look, asks)))
        return tuple(found)

    @cached_property
    def times(self) -> tuple[tuple[int, Feature], ...]:
        """The features of the time of day, and their places."""
        return tuple((at, feature) for at, feature in enumerate(self.features) if feature.kind in OF_THE_DAY)


Look = Callable[[Window, int], Sequence[float]]
"""Gives the values of one channel's features from its window at a `boottime_ns`; NaN where one is unknown."""


def extract(
    windows: Mapping[str, Window], spec: FeatureSpec, now: Instant, zone: tzinfo
) -> NDArray[np.float32]:
    """Return the features (F,) as float32, in the order of `spec`; NaN where one is unknown.

    A feature is known as soon as the newest bin of its channel is, and (slopes and spreads) one bin before. A baseline over
    a day starts as the baseline over what was heard since, but is none before `LEAST_BASELINE_NS`: a room that was full
    when we began to listen must not pass for an empty one.
    """
    row = [nan] * len(spec.features)
    for channel, places, look in spec.looks:
        window = windows.get(channel)
        if window is not None:
            for place, value in zip(places, window.once(look, now.boottime_ns), strict=True):
                row[place] = value
    for place, feature in spec.times:
        local = now.local(zone)
        angle = 2 * pi * (local.hour * 60 + local.minute) / 1440
        row[place] = sin(angle) if feature.kind == "day_sin" else cos(angle)
    return np.array(row, dtype=np.float32)


def _look(asks: tuple[tuple[Kind, int], ...], window: Window, now_ns: int) -> list[float]:
    # It depends on `now_ns` by its bin alone, as `Window.once` wants it: spans and LEAST_BASELINE_NS are whole bins.
    said = []
    for kind, span_ns in asks:
        if kind == "slope":
            value = window.slope(now_ns, span_ns, whole=False)
        elif kind == "spread":
            value = window.spread(now_ns, span_ns, whole=False)
        elif kind == "mean":
            value = window.mean(now_ns, span_ns, whole=False)
        else:
            value = _off_baseline(kind, window, now_ns, span_ns)
        said.append(nan if value is None else value)
    return said


def _off_baseline(kind: Kind, window: Window, now_ns: int, span_ns: int) -> float | None:
    since_ns = window.heard_since_ns()
    if since_ns is None or now_ns - since_ns < LEAST_BASELINE_NS:
        return None
    recent = window.mean(now_ns, RECENT_NS, whole=False)
    if recent is None:
        return None
    if kind == "above_low":
        low = window.minimum(now_ns, span_ns, whole=False)
        return None if low is None else recent - low
    high = window.maximum(now_ns, span_ns, whole=False)
    return None if high is None else high - recent
