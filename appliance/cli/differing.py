"""`appliance diff`: what another config would have decided over one's own past."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import tzinfo
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from appliance.cli.configuration import PLACES, load
from appliance.cli.histories import home_of, length, span, span_options, stored, written, zone
from appliance.cli.replaying import FILE, gap_json
from appliance.config import Loaded, appliances
from appliance.core.clock import SECOND, Instant
from appliance.core.home import Home
from appliance.core.profile import Appliance
from appliance.core.quantities import with_unit
from appliance.replay.differing import Course, Difference, Limit, Piece, Side, Total, combine, common, live
from appliance.replay.picture import picture

DAYS = 14.0
MAX_ROWS = 40
LONG = 100_000
"""From so many rows on a second process pays: it takes a second or two to start."""
CAVEAT = (
    "Both are given the air of then: with other decisions it would have been different, which no replay can know. "
    "Devices are supposed to obey within a second."
)


@click.command()
@click.option("--config", "path", type=FILE, required=True, help="The new config.")
@click.option(
    "--against",
    type=FILE,
    envvar="APPLIANCE_CONFIG",
    help=f"The config to compare it with, whose store holds the history. By default the first there of {', '.join(map(str, PLACES))}.",
)
@span_options
@click.option("--recording", type=FILE, help="A recording instead of the store.")
@click.option("--csv", "table", type=FILE, help="A table of readings instead of the store.")
@click.option("--start", metavar="TIME", help="When a recording or a table with seconds began.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every differing stretch.")
@click.option(
    "--picture", "file", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into this SVG file."
)
@click.option(
    "--all", "everything", is_flag=True, help=f"List every differing stretch, not the first {MAX_ROWS} alone."
)
def diff(
    path: Path, against: Path | None, days: float | None, since: str | None, until: str | None, recording: Path | None, table: Path | None,
    start: str | None, file: Path | None, *, as_json: bool, everything: bool,
) -> None:  # fmt: skip
    """Show what the config NEW would have decided otherwise over the last fortnight: when, for how long, and why."""
    if recording is not None and table is not None:
        raise click.UsageError("give one of --recording and --csv")
    present, changed = load(against, "--against"), load(path)
    old, new = _specs(present), _specs(changed)
    source = _Source(present, recording, table, start)
    if recording is None and table is None:
        days = DAYS if days is None and since is None else days
        source.span_ns = span(present, zone(present), days, since, until)
    difference = _compare(source, present, changed)
    if file is not None:
        file.write_text(picture(difference, old, new, zone(changed)), encoding="utf-8")
        click.echo(f"drawn into {file}", err=True)
    if as_json:
        click.echo(json.dumps(_json(difference), ensure_ascii=False))
    else:
        _show(difference, old, new, zone(changed), everything=everything)


class _Source:
    """Which history; each side reads it for itself."""

    def __init__(self, loaded: Loaded, recording: Path | None, table: Path | None, start: str | None) -> None:
        self.loaded, self.recording, self.table, self.start = loaded, recording, table, start
        self.span_ns = (0, 0)
        self.readings = 0

    def size(self) -> int:
        """Return about how many rows there are."""
        file = self.recording or self.table
        if file is not None:
            return file.stat().st_size // 100
        return stored(self.loaded, self.span_ns, as_it_was=False).size()

    def side(self, home: Home, told: frozenset[str], which: dict[str, list[Limit]], *, aloud: bool) -> Side:
        """Return what `home` makes of it; what gave no reading is said `aloud` once."""
        if self.recording is not None or self.table is not None:
            moments, unused = written(self.recording, self.table, self.loaded, home, self.start)
            side = live(moments, home, told, which)
            for reason, count in sorted(unused().items()) if aloud else ():
                click.echo(f"gave no reading: {count} × {reason}", err=True)
            return side
        recall = stored(self.loaded, self.span_ns, as_it_was=False)
        side = live(recall.history(), home, told, which, since_ns=self.span_ns[0])
        self.readings = recall.readings
        return side


def _compare(source: _Source, present: Loaded, changed: Loaded) -> Difference:
    """Return both sides of the history: of a long one each in a process of its own, since they know nothing of each other."""
    old, new = _specs(present), _specs(changed)
    told, which = common(old, new)
    if source.size() < LONG or (os.cpu_count() or 1) < 2:
        one = source.side(home_of(present), told, which, aloud=False)
        other = source.side(home_of(changed), told, which, aloud=True)
    else:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            coming = pool.submit(_aside, source, present, told, which)
            other = source.side(home_of(changed), told, which, aloud=True)
            one = coming.result()
    difference = combine(one, other, old, new)
    difference.readings = source.readings
    return difference


def _aside(source: _Source, loaded: Loaded, told: frozenset[str], which: dict[str, list[Limit]]) -> Side:
    return source.side(home_of(loaded), told, which, aloud=False)


def _specs(loaded: Loaded) -> dict[str, Appliance]:
    return {spec.id: spec for spec in appliances(loaded)}


def _show(
    difference: Difference,
    old: dict[str, Appliance],
    new: dict[str, Appliance],
    where: tzinfo,
    *,
    everything: bool,
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    if difference.since is None or difference.until is None:
        console.print("There is no history in this time.")
        return
    console.print(f"{_time(difference.since, where)} to {_time(difference.until, where)}")
    for side, names in zip(("old", "new"), difference.only, strict=True):
        for name in names:
            console.print(f"{escape(name)} is in the {side} config alone: not compared")
    for gap in difference.gaps:
        console.print(f"gap of {length(gap.seconds)} from {_time(gap.since, where)}: {gap.why}")
    for name, course in difference.courses.items():
        table = Table(title=escape(new[name].title), title_justify="left")
        table.add_column("")
        table.add_column("old", justify="right")
        table.add_column("new", justify="right")
        for text, one, other in _totals(course, old, new, name):
            table.add_row(escape(text), one, other)
        console.print(table)
        differing = course.differing
        if not differing:
            console.print("Nothing would have been decided otherwise.")
            continue
        console.print(
            f"They part {len(differing)} times, for {length(sum(piece.seconds for piece in differing))} in all:"
        )
        table = Table("when", "for", "old", "new", show_lines=True)
        for piece in differing if everything else differing[:MAX_ROWS]:
            table.add_row(
                _time(piece.since, where),
                length(piece.seconds),
                *(escape(text) for text in _whys(piece, where)),
            )
        console.print(table)
        if len(differing) > MAX_ROWS and not everything:
            console.print(f"… and {len(differing) - MAX_ROWS} more: --all lists them")
    console.print(CAVEAT)


def _whys(piece: Piece, where: tzinfo) -> list[str]:
    """Return both sentences; one that is older than the stretch says of when its numbers are."""
    texts = []
    for why, decided in zip(piece.why, piece.decided, strict=True):
        older = piece.since.boottime_ns - decided.boottime_ns > 60 * SECOND
        texts.append(f"{why.removesuffix('.')} (as of {decided.local(where):%H:%M})." if older else why)
    return texts


def _totals(
    course: Course, old: dict[str, Appliance], new: dict[str, Appliance], name: str
) -> list[tuple[str, str, str]]:
    """Return the rows of the table of totals: what, of the old side, of the new."""

    def row(text: str, show: Any) -> tuple[str, str, str]:
        one, other = course.sides
        return text, show(one), show(other)

    rows = [
        row("switches a day", lambda total: f"{total.switches / total.days:.1f}" if total.days else "–"),
        row(
            "run hours a day", lambda total: f"{total.running / 3600 / total.days:.1f}" if total.days else "–"
        ),
        row("energy, kWh", _energy),
    ]
    for limit in sorted({*course.sides[0].above, *course.sides[1].above}):
        text = _limit(limit, old, new, name)
        rows.append(row(f"minutes with {text}", lambda total, limit=limit: _minutes(total.above.get(limit))))
        rows.append(row("  of these at rest", lambda total, limit=limit: _minutes(total.resting.get(limit))))
    text = f"contradicts of {course.overrides} words of persons"
    rows.append(row(text, lambda total: str(len(total.contradicted))))
    return rows


def _energy(total: Total) -> str:
    if total.unmetered and not total.energy_wh:
        return "no watts known"
    return f"{total.energy_wh / 1000:.2f}" + (
        f" + {length(total.unmetered)} of unknown" if total.unmetered else ""
    )


def _minutes(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 60:.0f}"


def _limit(limit: Limit, old: dict[str, Appliance], new: dict[str, Appliance], name: str) -> str:
    channel, threshold = limit
    spec = new[name] if channel in new[name].channels else old[name]
    unit = spec.channels[channel].quantity.unit
    return f"{channel} above {with_unit(f'{threshold:g}', unit)}"


def _json(difference: Difference) -> dict[str, Any]:
    return {
        "since": difference.since and difference.since.isoformat(),
        "until": difference.until and difference.until.isoformat(),
        "readings": difference.readings,
        "caveat": CAVEAT,
        "gaps": [gap_json(gap) for gap in difference.gaps],
        "only": {"old": difference.only[0], "new": difference.only[1]},
        "appliances": {
            name: {
                "overrides": course.overrides,
                "old": _total_json(course.sides[0]),
                "new": _total_json(course.sides[1]),
                "differing": [_piece_json(piece) for piece in course.differing],
            }
            for name, course in difference.courses.items()
        },
    }


def _total_json(total: Total) -> dict[str, Any]:
    return {
        "days": round(total.days, 4),
        "switches": total.switches,
        "run_hours": round(total.running / 3600, 3),
        "energy_kwh": round(total.energy_wh / 1000, 4),
        "unmetered_hours": round(total.unmetered / 3600, 3),
        "limits": [
            {
                "channel": limit[0],
                "above": limit[1],
                "minutes": round(total.above[limit] / 60, 2),
                "at_rest_minutes": round(total.resting[limit] / 60, 2),
            }
            for limit in sorted(total.above)
        ],
        "contradicted": [
            {"at": one.at.isoformat(), "action": one.action, "by": one.by, "instead": one.instead}
            for one in total.contradicted
        ],
    }


def _piece_json(piece: Piece) -> dict[str, Any]:
    return {
        "since": piece.since.isoformat(),
        "until": piece.until.isoformat(),
        "seconds": round(piece.seconds, 3),
        "old": {"action": piece.actions[0], "why": piece.why[0], "decided": piece.decided[0].isoformat()},
        "new": {"action": piece.actions[1], "why": piece.why[1], "decided": piece.decided[1].isoformat()},
    }


def _time(at: Instant, where: tzinfo) -> str:
    return f"{at.local(where):%a %Y-%m-%d %H:%M}"
