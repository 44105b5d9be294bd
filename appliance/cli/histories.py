"""Owns which history a command runs: that of a store, a recording, or a table. Shared by replay and diff.

Never in here: running it, or printing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from appliance.adapters.store import Queries
from appliance.adapters.store.recall import Recall
from appliance.config import Loaded, appliances, dialects
from appliance.core.clock import SECOND, Instant
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.daemon.edging import bigger, made_here
from appliance.daemon.identity import state_folder
from appliance.daemon.models import OWN, load_models
from appliance.errors import ConfigError
from appliance.replay import Moment, moments
from appliance.replay.written import messages, table

START_WALL_NS = 1_767_225_600 * SECOND
"""2026-01-01T00:00Z, where a recording says no other start: replay must not read a clock."""
DAY_NS = 86_400 * SECOND
LATEST_NS = 1 << 62


def span_options(function: click.decorators.FC) -> click.decorators.FC:
    """Add `--days`, `--since` and `--until` to a command."""
    for option in (
        click.option("--until", metavar="TIME", help="Only before this time."),
        click.option("--since", metavar="TIME", help="Only from this time on, as 2026-01-12T17:00."),
        click.option("--days", type=click.FloatRange(0, min_open=True), help="Only the last so many days."),
    ):
        function = option(function)
    return function


def home_of(loaded: Loaded) -> Home:
    """Return who decides by a config."""
    specs = appliances(loaded)
    if not specs:
        raise ConfigError(
            "no appliance is configured", hint="add a section [appliances.NAME]; see docs/configuration.md"
        )
    classifiers, missing = load_models(specs, state_folder(loaded) / OWN)
    for model, why in missing.items():
        click.echo(f"without the model {model}: {why}", err=True)
    return Home(
        specs,
        classifiers,
        zone(loaded),
        edges=bigger(loaded.settings.edge, classifiers, made_here(classifiers)),
    )


def zone(loaded: Loaded) -> ZoneInfo:
    """Return the zone of a config's home."""
    return ZoneInfo(loaded.settings.home.timezone)


def wall_ns(text: str | None, where: tzinfo) -> int | None:
    """Return the wall time that a person wrote, in the home's zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no time; write 2026-01-12T17:00") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=where)).timestamp()) * SECOND


def span(
    loaded: Loaded, where: tzinfo, days: float | None, since: str | None, until: str | None
) -> tuple[int, int]:
    """Return the span of the store's history, in wall time: the last `days` end where the history does."""
    if days is not None and since is not None:
        raise click.UsageError("--days and --since contradict each other")
    last = wall_ns(until, where)
    first = wall_ns(since, where)
    if days is not None:
        newest = Queries(state_folder(loaded)).newest()
        end = newest if last is None else last if newest is None else min(last, newest)
        first = 0 if end is None else end - round(days * DAY_NS)
    return first or 0, LATEST_NS if last is None else last


def stored(loaded: Loaded, span_ns: tuple[int, int], *, as_it_was: bool) -> Recall:
    """Return the history of a config's store."""
    return Recall(state_folder(loaded), *span_ns, as_it_was=as_it_was)


def written(
    recording: Path | None, csv: Path | None, loaded: Loaded, home: Home, start: str | None
) -> tuple[Iterator[Moment], Callable[[], Counter[str]]]:
    """Return the moments of a recording or a table, and what gave no reading, to be asked for at the end."""
    chosen = wall_ns(start, home.zone)
    began = Instant("recording", 0, START_WALL_NS if chosen is None else chosen)
    if csv is not None:
        unused: Counter[str] = Counter()
        return table(_lines(csv), home, began, unused), lambda: unused
    assert recording is not None
    intake = Intake(Decoder(dialects(loaded.settings)))
    return moments(messages(_lines(recording), began), intake), lambda: intake.dropped


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("r", encoding="utf-8", newline="") as file:
            yield from file
    except UnicodeDecodeError as broken:
        raise click.UsageError(f"{path}: no UTF-8 text: {broken.reason}") from None


def length(seconds: float) -> str:
    """Return a length of time as people say it: "90 s", "12 min", "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
