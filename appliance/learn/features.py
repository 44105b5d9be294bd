"""Owns the way from recordings to a matrix: each row pushed into windows and extracted by the very functions that the device runs.

Never in here: choosing features. Nothing of the future is seen: a row's features come from it and the rows before it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.core.clock import SECOND, Instant
from appliance.core.features import Feature, FeatureSpec, Kind, extract
from appliance.core.quantities import QUANTITIES
from appliance.core.readings import Channel
from appliance.core.windows import KEPT_NS, Window
from appliance.errors import LearnError
from appliance.learn.recordings import Recording

COLD_EVERY_NS = 6 * 3600 * SECOND
"""How far apart the pretended starts of `starts` lie, so that each time of day sees some (assumed)."""
COLD_FOR_NS = 24 * 3600 * SECOND
"""How long each goes on: the longest that any feature remembers."""
SPANS: tuple[tuple[Kind, tuple[int, ...]], ...] = (
    ("above_low", (7200, 28_800, 86_400)),
    ("below_high", (7200, 86_400)),
    ("above_mean", (7200, 28_800)),
    ("within", (28_800, 86_400)),
    ("slope", (300, 900, 1800, 3600, 7200)),
    ("spread", (600, 1800)),
)
"""The features that may be tried of each channel, with their spans in seconds. All are relative to the room itself, or slopes: levels
tell one room from another, not what goes on in it."""
GROUPS: dict[str, tuple[tuple[Kind, int], ...]] = {
    "baseline": (("above_low", 7200), ("within", 28_800)),
    "slope": (("slope", 900), ("slope", 3600)),
    "spread": (("spread", 1800),),
    "time_of_day": (("day_sin", 0), ("day_cos", 0)),
}
"""Groups of features that are taken or left as one, with their spans in seconds: each of every channel, but the time of day."""
SERIES = tuple(range(900, 7201, 900))
"""The spans of `change` that a convolution looks along, in seconds."""
LEAST_ROWS = 3
"""A slope or spread over fewer rows than this is a difference of noise (assumed)."""


class Table(msgspec.Struct):
    """Features of many rows: `rows` (N, F) float32, `labels` (N,); `source` (N,) is the row's number in the recordings, end to end;
    `blocks` (N,) numbers what is held out as one (a day of a group, or a group)."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    source: NDArray[np.int64]


def named(kind: Kind, channel: str, span_s: int) -> Feature:
    """Return the feature under the name that it has everywhere: co2_slope_15min."""
    return Feature(f"{channel}_{kind}_{span_s // 60}min", kind, channel, span_s)


def offered(
    channels: Sequence[str],
    interval_s: float,
    *,
    time_of_day: bool,
    series: bool,
    groups: Sequence[str] = (),
) -> FeatureSpec:
    """Return all features that can be told from `channels` at this interval; what is too short for it is left out. With `groups`, none but
    those of these.

    Raises:
        LearnError: the interval is so long that nothing is left.
    """
    grouped: tuple[tuple[Kind, tuple[int, ...]], ...] = tuple(
        (kind, (span,)) for group in groups for kind, span in GROUPS[group] if span
    )
    found = [
        named(kind, channel, span)
        for channel in channels
        for kind, spans in (*(grouped or SPANS), *((("change", SERIES),) if series else ()))
        for span in spans
        if span >= LEAST_ROWS * interval_s
        or (kind in ("above_low", "below_high", "within") and span >= interval_s)
    ]
    if not any(feature.kind == "slope" for feature in found) and (not groups or not found):
        raise LearnError(
            f"rows {interval_s:.0f} s apart are too far apart: windows remember a day, slopes at most two hours",
            hint="a model needs at least a row every 40 minutes",
        )
    if time_of_day:
        found += [Feature("day_sin", "day_sin"), Feature("day_cos", "day_cos")]
    return FeatureSpec(tuple(found))


def starts(recording: Recording) -> list[Recording]:
    """Return parts of a day from each of many starts, as if we began to listen there.

    A device starts with empty windows, often with somebody in the room; the recording itself holds one such start only.
    """
    at = recording.at_ns
    times = range(int(at[0]) + COLD_EVERY_NS, int(at[-1]) - COLD_EVERY_NS, COLD_EVERY_NS)
    return [recording.part((at >= start) & (at < start + COLD_FOR_NS)) for start in times]


def matrix(recording: Recording, spec: FeatureSpec, every: int = 1) -> NDArray[np.float32]:
    """Return the features (ceil(N / every), F) of each `every`-th row; NaN where one is not known yet.

    Times of day are the recording's own local ones. A gap longer than windows remember starts them anew, as a device that was off.
    """
    channels = {name: channel_of(name, recording.interval_s) for name in sorted(spec.channels)}
    columns = []
    for name, channel in channels.items():
        column = recording.values[name]
        steps = [
            channel.quantity.steps(value) if heard else None
            for value, heard in zip(column.tolist(), np.isfinite(column).tolist(), strict=True)
        ]
        columns.append((name, steps))
    windows = {
        name: Window.empty(channel.max_age_ns, channel.quantity.resolution)
        for name, channel in channels.items()
    }
    empty = dict(windows)
    times = recording.at_ns.tolist()
    table = np.empty((-(-len(times) // every), len(spec.features)), dtype=np.float32)
    before = times[0] if times else 0
    for number, at_ns in enumerate(times):
        if at_ns - before > KEPT_NS:
            windows = dict(empty)
        before = at_ns
        for name, steps in columns:
            heard = steps[number]
            if heard is not None:
                windows[name] = windows[name].push(heard, at_ns)
        if number % every == 0:
            table[number // every] = extract(windows, spec, Instant("data", at_ns, at_ns), UTC)
    return table


def channel_of(name: str, interval_s: float) -> Channel:
    """Return the channel as the device has it; where rows are further apart than its values hold, one that holds them so long."""
    channel = Channel.of(name, QUANTITIES[name])
    needed = round(2.5 * interval_s * SECOND)
    return channel if channel.max_age_ns >= needed else Channel.of(name, QUANTITIES[name], max_age_ns=needed)


Told = Callable[[str, int, int], None]
"""Hears of progress: what is done, how many of how many."""
