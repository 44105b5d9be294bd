"""Owns reading tables: CSV files of any channels and interval, into recordings.

Never in here: the data sets that this project knows by name. What can't be read for sure is refused with its line, never guessed.
"""

import csv
import gzip
import hashlib
import io
import os
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from appliance.core.clock import SECOND
from appliance.core.quantities import QUANTITIES, convert
from appliance.errors import LearnError
from appliance.learn.data import MAX_FILE, VARIABLE
from appliance.learn.recipe import Data, Recipe
from appliance.learn.recordings import Recording

EMPTY = frozenset({"", "nan", "null", "none", "na", "n/a", "unknown", "unavailable"})


def content(name: str, beside: Path, data: Data) -> bytes:
    """Return the text of one file, unpacked. Raises LearnError where it is missing, too large, or has another digest."""
    roots = [beside, *([Path(os.environ[VARIABLE])] if os.environ.get(VARIABLE) else []), Path()]
    names = (name, f"{name}.gz")
    path = next((root / one for root in roots for one in names if (root / one).is_file()), None)
    if path is None:
        raise LearnError(
            f"there is no file {name}",
            hint=f"put it beside the recipe, or into the folder that ${VARIABLE} names",
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
    except (OSError, EOFError, zlib.error) as broken:
        raise LearnError(f"{path}: {broken}", hint="get it anew") from None
    if len(text) > MAX_FILE:
        raise LearnError(f"{path}: more than {MAX_FILE >> 20} MiB", hint="take a part of it")
    wanted = data.sha256.get(name)
    if wanted is not None and hashlib.sha256(text).hexdigest() != wanted:
        raise LearnError(
            f"{path}: another digest than the recipe's, so other data", hint="get it anew, or mend the recipe"
        )
    return text


def read_table(name: str, beside: Path, recipe: Recipe) -> list[Recording]:
    """Return the recordings of one file, one a group, each in the file's order.

    Raises:
        LearnError: no such file or column, a line of another length, a cell that is no number, a time that is none, a truth that is
            no label, a unit that can't be converted, or a value that is impossible.
    """
    data = recipe.data
    try:
        lines = csv.reader(io.StringIO(content(name, beside, data).decode("utf-8-sig")))
        header = [cell.strip() for cell in next(lines)]
    except UnicodeDecodeError:
        raise LearnError(f"{name}: no UTF-8", hint="save it as CSV in UTF-8") from None
    except (StopIteration, csv.Error):
        raise LearnError(f"{name}: no header", hint="the first line names the columns") from None
    wanted = [data.time, data.label, *([data.group] if data.group else [])]
    wanted += [source.column for source in data.channels.values()]
    if missing := [column for column in wanted if column not in header]:
        raise LearnError(f"{name}: no column {missing[0]!r}", hint=f"its columns are {', '.join(header)}")
    rows: dict[str, tuple[list[int], dict[str, list[float]], list[int]]] = {}
    numbered: bool | None = None
    for number, cells in enumerate(lines, 2):
        if not cells:
            continue
        if numbered is None:
            # Some writers number their rows in a first column that the header does not name.
            numbered = len(cells) == len(header) + 1 and cells[0].strip().isdigit()
        if len(cells) != len(header) + numbered:
            raise LearnError(
                f"{name}:{number}: {len(cells)} cells, {len(header)} columns", hint="mend the line"
            )
        line = {column: cell.strip() for column, cell in zip(header, cells[numbered:], strict=True)}
        group = line[data.group] if data.group else Path(name).name.partition(".")[0]
        at_ns, values, labels = rows.setdefault(group, ([], {channel: [] for channel in data.channels}, []))
        at_ns.append(_time(line[data.time], name, number))
        labels.append(_label(line[data.label], recipe, name, number))
        for channel, source in data.channels.items():
            values[channel].append(
                _number(line[source.column], channel, source.unit, data, f"{name}:{number}")
            )
    return [
        Recording(
            group,
            np.array(at_ns, dtype=np.int64),
            {channel: np.array(column) for channel, column in values.items()},
            np.array(labels, dtype=np.int64),
        )
        for group, (at_ns, values, labels) in rows.items()
    ]


def _time(cell: str, name: str, number: int) -> int:
    try:
        at = float(cell)
    except ValueError:
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            raise LearnError(
                f"{name}:{number}: {cell!r} is no time", hint="ISO 8601 (2026-01-31 18:00:00) or Unix seconds"
            ) from None
        # Its own clock, whatever zone that is in: days and times of day are the room's.
        return round(moment.replace(tzinfo=UTC).timestamp()) * SECOND
    at = at / 1000.0 if at > 1e11 else at
    if not 0 <= at < 1e11:
        raise LearnError(f"{name}:{number}: {cell!r} is no time", hint="Unix seconds, or ISO 8601")
    return round(at * SECOND)


def _label(cell: str, recipe: Recipe, name: str, number: int) -> int:
    word: str | None = recipe.data.truth.get(cell)
    if word is None and not recipe.data.truth:
        word = cell
        try:
            place = float(cell)
        except ValueError:
            pass
        else:
            if place in range(len(recipe.labels)):
                word = recipe.labels[int(place)]
    if word not in recipe.labels:
        said = "empty" if cell.lower() in EMPTY else repr(cell)
        raise LearnError(
            f"{name}:{number}: the truth is {said}",
            hint=f"it must be one of {', '.join(recipe.data.truth or recipe.labels)}; [data.truth] translates",
        )
    return recipe.labels.index(word)


def _number(cell: str, channel: str, unit: str | None, data: Data, where: str) -> float:
    if cell.lower() in EMPTY:
        if data.gaps == "unheard":
            return float("nan")
        raise LearnError(
            f"{where}: {channel} is empty",
            hint='remove the row, or say `gaps = "unheard"` in [data]: then it was not heard',
        )
    quantity = QUANTITIES[channel]
    try:
        said = float(cell)
    except ValueError:
        raise LearnError(f"{where}: {channel} is {cell!r}", hint="a number, with a point") from None
    value = said if unit is None else convert(said, unit, quantity)
    if value is None:
        raise LearnError(
            f"{where}: {channel} can't be converted from {unit!r} to {quantity.unit}",
            hint="name its unit in the recipe",
        )
    if not quantity.low <= value <= quantity.high or value in quantity.sentinels:
        if data.gaps == "unheard":
            return float("nan")
        raise LearnError(
            f"{where}: {channel} is {value:g} {quantity.unit}, which can't be",
            hint='remove the row, name another unit, or say `gaps = "unheard"` in [data]',
        )
    return value
