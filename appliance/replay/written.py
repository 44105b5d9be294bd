"""Owns histories that people write down or export: recordings (lines of JSON) and tables (CSV), as moments.

Never in here: files, or the store. What is no history is refused with its line; what feeds no channel is counted.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from appliance.core.clock import SECOND, Instant
from appliance.core.events import Event, ReadingArrived, StateReported
from appliance.core.home import Home
from appliance.core.payloads.message import Message
from appliance.core.quantities import convert, quantity_of
from appliance.core.readings import Reading
from appliance.errors import Malformed
from appliance.replay.driving import Moment

MAX_COUNTED = 64
"""So many different sources that feed nothing are named; later ones count together."""


def messages(lines: Iterable[str], start: Instant) -> Iterator[tuple[Instant, Message]]:
    """Yield the messages of a recording: lines {"at": seconds since `start`, "topic", "payload", "retain"}.

    Raises:
        Malformed: a line is none; names it.
    """
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            payload = line["payload"]
            at = start.plus(round(float(line["at"]) * SECOND))
            raw = payload if isinstance(payload, str) else json.dumps(payload)
            message = Message(str(line["topic"]), raw.encode(), bool(line.get("retain", False)))
        except (ValueError, KeyError, TypeError, OverflowError) as broken:
            raise Malformed(
                f"line {number} of the recording: {broken!r}",
                hint='write {"at": 0.0, "topic": .., "payload": ..}',
            ) from None
        yield at, message


def table(lines: Iterable[str], home: Home, start: Instant, unused: Counter[str]) -> Iterator[Moment]:
    """Yield the moments of a CSV table. `unused` counts what feeds no channel of `home`.

    Its first line names the columns. `at` is seconds since `start`, or `time` is a date and time (without an offset: in the
    home's zone). Then either `device`, `metric`, `value` and perhaps `unit`, a reading a row; or a column a channel, named
    `pm2_5` for every appliance that has it or `purifier.pm2_5` for one. Without a unit a number is in the channel's own.

    Raises:
        Malformed: a line is no row, goes back in time, or no column feeds anything; names line and remedy.
    """
    rows = csv.reader(lines)
    head = [name.strip() for name in next(rows, [])]
    when = next((name for name in ("at", "time") if name in head), None)
    if when is None:
        raise Malformed(
            "the table has no column at or time",
            hint="begin it with: time,device,metric,value,unit or time,pm2_5",
        )
    long = {"device", "metric", "value"} <= set(head)
    columns = {} if long else _columns(head, when, home, unused)
    origin = start
    before: Instant | None = None
    together: list[Event] = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        cells = dict(zip(head, (cell.strip() for cell in row), strict=False))
        try:
            if when == "at":
                at = start.plus(round(float(cells["at"]) * SECOND))
            else:
                wall_ns = _wall_ns(cells["time"], home.zone)
                if before is None:
                    origin = Instant(start.boot_id, start.boottime_ns, wall_ns)
                at = origin.plus(wall_ns - origin.wall_ns)
            events = _reading(cells, home, unused) if long else _readings(cells, columns)
        except (ValueError, KeyError, OverflowError) as broken:
            raise Malformed(
                f"line {rows.line_num} of the table: {broken}",
                hint="times as 2026-01-12T17:00:00 or seconds, numbers with a point",
            ) from None
        if before is not None and at.boottime_ns < before.boottime_ns:
            raise Malformed(
                f"line {rows.line_num} of the table goes back in time", hint="sort the table by time"
            )
        if before is not None and at != before and together:
            yield Moment(before, tuple(together))
            together = []
        before = at
        together += events
    if before is not None and together:
        yield Moment(before, tuple(together))


def _columns(
    head: Sequence[str], when: str, home: Home, unused: Counter[str]
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return for each column that names a channel the sources (device, metric) that it stands for."""
    named: dict[str, tuple[tuple[str, str], ...]] = {}
    for name, spec in home.appliances.items():
        for device, metric, channel in spec.sources:
            for column in (channel, f"{name}.{channel}"):
                known = named.setdefault(column, ())
                # Of several sources of a channel the first stands for all.
                if not any(home_channel(home, source, name, channel) for source in known):
                    named[column] = (*known, (device, metric))
    found = {column: named[column] for column in head if column in named}
    for column in head:
        if column not in found and column != when:
            unused[f"column {column}"] += 1
    if not found:
        raise Malformed(
            f"no column of {', '.join(head)} is a channel of this home",
            hint=f"the channels that something measures are: {', '.join(sorted(named)) or 'none'}",
        )
    return found


def home_channel(home: Home, source: tuple[str, str], appliance: str, channel: str) -> bool:
    """Return whether `source` feeds `channel` of `appliance`."""
    return any(
        (device, metric) == source and to == channel
        for device, metric, to in home.appliances[appliance].sources
    )


def _reading(cells: Mapping[str, str], home: Home, unused: Counter[str]) -> list[Event]:
    device, metric, text = cells["device"], cells["metric"], cells["value"]
    if not text:
        return []
    if device in home.reporters and (device, metric) not in home.routes:
        return [StateReported(device, (Reading(device, metric, text, None),))]
    if (device, metric) not in home.routes:
        name = f"{device} {metric}"
        unused[name if name in unused or len(unused) < MAX_COUNTED else "others"] += 1
        return []
    return [ReadingArrived(device, (_measured(device, metric, text, cells.get("unit") or None),))]


def _readings(cells: Mapping[str, str], columns: Mapping[str, Sequence[tuple[str, str]]]) -> list[Event]:
    by_device: dict[str, list[Reading]] = {}
    for column, sources in columns.items():
        text = cells.get(column)
        for device, metric in sources if text else ():
            by_device.setdefault(device, []).append(_measured(device, metric, text or "", None))
    return [ReadingArrived(device, tuple(readings)) for device, readings in by_device.items()]


def _measured(device: str, metric: str, text: str, unit: str | None) -> Reading:
    quantity = quantity_of(metric)
    try:
        value = float(text)
    except ValueError:
        return Reading(device, metric, text, None)
    if quantity is None:
        return Reading(device, metric, value, unit)
    if unit is not None:
        converted = convert(value, unit, quantity)
        if converted is None:
            raise ValueError(f"{value} {unit} is no {quantity.name}, which is in {quantity.unit}")
        value = converted
    return Reading(device, metric, value, quantity.unit)


def _wall_ns(text: str, zone: tzinfo) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return round(moment.timestamp() * 1e6) * 1000
