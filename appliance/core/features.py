"""Owns the numbers that a model looks at: from windows to one float32 row, the same in training and on the device.

Causal and of bounded memory, whatever the sensor's rate. Never in here: a model, or a guess for what is unknown.
"""

from collections.abc import Mapping
from datetime import tzinfo
from math import cos, nan, pi, sin
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import SECOND, Instant
from appliance.core.windows import Window

Kind = Literal["mean", "above_low", "below_high", "slope", "spread", "day_sin", "day_cos"]

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


class FeatureSpec(msgspec.Struct, frozen=True):
    """The features of a model, in order. Nothing is scaled here: the model does that itself."""

    features: tuple[Feature, ...]

    @property
    def channels(self) -> frozenset[str]:
        """The channels that any feature looks at."""
        return frozenset(feature.channel for feature in self.features if feature.channel)


def extract(
    windows: Mapping[str, Window], spec: FeatureSpec, now: Instant, zone: tzinfo
) -> NDArray[np.float32]:
    """Return the features (F,) as float32, in the order of `spec`; NaN where one is unknown.

    A feature is known as soon as the newest bin of its channel is, and (slopes and spreads) one bin before. A baseline over
    a day starts as the baseline over what was heard since, but is none before `LEAST_BASELINE_NS`: a room that was full
    when we began to listen must not pass for an empty one.
    """
    row = np.empty(len(spec.features), dtype=np.float32)
    for position, feature in enumerate(spec.features):
        row[position] = _value(feature, windows, now, zone)
    return row


def _value(feature: Feature, windows: Mapping[str, Window], now: Instant, zone: tzinfo) -> float:
    if feature.kind in ("day_sin", "day_cos"):
        local = now.local(zone)
        angle = 2 * pi * (local.hour * 60 + local.minute) / 1440
        return sin(angle) if feature.kind == "day_sin" else cos(angle)
    window = windows.get(feature.channel)
    if window is None:
        return nan
    now_ns, span_ns = now.boottime_ns, feature.span_s * SECOND
    value: float | None
    match feature.kind:
        case "mean":
            value = window.mean(now_ns, span_ns, whole=False)
        case "slope":
            value = window.slope(now_ns, span_ns, whole=False)
        case "spread":
            value = window.spread(now_ns, span_ns, whole=False)
        case "above_low" | "below_high":
            since_ns = window.heard_since_ns()
            if since_ns is None or now_ns - since_ns < LEAST_BASELINE_NS:
                return nan
            recent = window.mean(now_ns, RECENT_NS, whole=False)
            high = feature.kind == "below_high"
            bound = (window.maximum if high else window.minimum)(now_ns, span_ns, whole=False)
            value = None if recent is None or bound is None else (bound - recent if high else recent - bound)
        case _:
            value = None
    return nan if value is None else value
