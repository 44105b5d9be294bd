"""`appliance replay`: a history through the rules of a config, with no network."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from appliance.cli.configuration import config_option, load
from appliance.cli.histories import home_of, length, span, span_options, stored, written
from appliance.config import Loaded
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import Decision, Record
from appliance.core.home import Home
from appliance.replay import Moment, Opening, replay as run_replay
from appliance.replay.checking import Divergence, Gap, Report, check as run_check
from appliance.replay.obeying import Obedient

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
MAX_PRINTED = 20


@click.command()
@click.argument("recording", type=FILE, required=False)
@click.option("--csv", "table", type=FILE, help="A table of readings instead of a recording.")
@click.option("--from-store", is_flag=True, help="The history that the daemon of this config has kept.")
@click.option(
    "--check",
    is_flag=True,
    help="Compare with what was decided then (implies --from-store); exit 1 where they part.",
)
@click.option("--regardless", is_flag=True, help="With --check: also what another config or version decided.")
@span_options
@click.option(
    "--start",
    metavar="TIME",
    help="When a recording or a table with seconds began; by default 2026-01-01T00:00Z.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every voice and input.")
@config_option
def replay(
    recording: Path | None, table: Path | None, days: float | None, since: str | None, until: str | None, start: str | None, path: Path | None,
    *, from_store: bool, check: bool, regardless: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run RECORDING, lines {"at": seconds, "topic", "payload", "retain"}, and print the decisions that follow."""
    from_store = from_store or check
    if (recording is not None) + (table is not None) + from_store != 1:
        raise click.UsageError("give one of RECORDING, --csv FILE and --from-store")
    loaded = load(path)
    home = home_of(loaded)
    if check:
        _check(
            loaded, home, span(loaded, home.zone, days, since, until), regardless=regardless, as_json=as_json
        )
        return
    said: dict[str, tuple[str | None, str]] = {}
    origin: Instant | None = None
    for decision in _decisions(recording, table, loaded, home, start, (days, since, until)):
        before = said.get(decision.appliance)
        said[decision.appliance] = (decision.action, decision.because)
        if not as_json and before == said[decision.appliance]:
            # Only an input's standing changed: a row of its own in the history, nothing new to a reader.
            continue
        if recording is not None:
            origin = origin or decision.at.plus(-decision.at.boottime_ns)
        click.echo(_line(decision, origin, home, as_json=as_json))


def _decisions(
    recording: Path | None, table: Path | None, loaded: Loaded, home: Home, start: str | None,
    which: tuple[float | None, str | None, str | None],
) -> Iterator[Decision]:  # fmt: skip
    if recording is None and table is None:
        span_ns = span(loaded, home.zone, *which)
        for decision in _live(stored(loaded, span_ns, as_it_was=False).history(), home):
            if decision.at.wall_ns >= span_ns[0]:
                yield decision
        return
    moments, unused = written(recording, table, loaded, home, start)
    if table is not None:
        # A table tells nothing of the device: one that obeys is supposed.
        yield from _live(moments, home)
    else:
        controller: Controller | None = None
        first = next(moments, None)
        if first is not None:
            began = first.at.plus(-first.at.boottime_ns)
            controller = Controller(home, home.at_start({}, began))
            for _, effect in run_replay(_again(first, moments), controller):
                if isinstance(effect, Record):
                    yield effect.decision
    for reason, count in sorted(unused().items()):
        click.echo(f"gave no reading: {count} × {reason}", err=True)


def _again(first: Moment, rest: Iterator[Moment]) -> Iterator[Moment]:
    yield first
    yield from rest


def _live(history: Iterator[Opening | Moment] | Iterator[Moment], home: Home) -> Iterator[Decision]:
    """Yield what follows where the device obeys this config, whatever it was told then."""
    side = Obedient(home, frozenset())
    opened = False
    for item in history:
        if isinstance(item, Opening):
            yield from side.open(item)
        else:
            if not opened:
                yield from side.open(Opening(item.at, "the history begins here"))
            yield from side.happen(item)
        opened = True


def _check(loaded: Loaded, home: Home, span_ns: tuple[int, int], *, regardless: bool, as_json: bool) -> None:
    recall = stored(loaded, span_ns, as_it_was=True)
    printed = 0

    def told(found: Divergence) -> None:
        nonlocal printed
        printed += 1
        if as_json:
            click.echo(json.dumps(_divergence(found), ensure_ascii=False))
        elif printed <= MAX_PRINTED:
            click.echo(f"{_time(found.at, home)}  {found.appliance}: they part")
            click.echo(f"    then  {_brief(found.then)}")
            click.echo(f"    now   {_brief(found.now)}")
        elif printed == MAX_PRINTED + 1:
            click.echo("… and more; --json tells all of them")

    report = run_check(recall.history(), recall.decided, home, regardless=regardless, told=told)
    if as_json:
        click.echo(json.dumps(_report(report, recall.readings), ensure_ascii=False))
    else:
        _tell(report, recall.readings, home)
    if report.diverged or not report.compared:
        raise click.exceptions.Exit(1)


def _tell(report: Report, readings: int, home: Home) -> None:
    for stretch in report.stretches:
        if not stretch.moments:
            continue
        verdict = (
            f"{stretch.compared} of {stretch.decisions} decisions compared, "
            + (f"{stretch.divergences} part" if stretch.divergences else "identical")
            if stretch.compared or stretch.divergences
            else f"{stretch.decisions} decisions, none compared"
        )
        why = f" ({stretch.skipped})" if stretch.skipped else ""
        click.echo(f"{_time(stretch.since, home)} to {_time(stretch.until, home)}: {verdict}{why}")
    for gap in report.gaps:
        click.echo(f"gap of {length(gap.seconds)} from {_time(gap.since, home)}: {gap.why}")
    if report.uncovered:
        click.echo(f"{report.uncovered} decisions lie in gaps: what they rested on was not written")
    if not report.compared:
        click.echo("nothing was compared")
        return
    click.echo(
        f"{readings:,} readings, {report.compared} decisions compared: "
        + (f"{report.diverged} part" if report.diverged else "actions and voices are identical")
    )


def _report(report: Report, readings: int) -> dict[str, object]:
    return {
        "readings": readings,
        "compared": report.compared,
        "divergences": report.diverged,
        "uncovered": report.uncovered,
        "stretches": [
            {
                "since": stretch.since.isoformat(),
                "until": stretch.until.isoformat(),
                "decisions": stretch.decisions,
                "compared": stretch.compared,
                "divergences": stretch.divergences,
                "skipped": stretch.skipped,
            }
            for stretch in report.stretches
            if stretch.moments
        ],
        "gaps": [gap_json(gap) for gap in report.gaps],
    }


def gap_json(gap: Gap) -> dict[str, object]:
    """Return a gap for JSON."""
    return {
        "since": gap.since.isoformat(), "until": gap.until.isoformat(),
        "seconds": round(gap.seconds, 3), "why": gap.why,
    }  # fmt: skip


def _divergence(found: Divergence) -> dict[str, object]:
    return {
        "at": found.at.isoformat(), "appliance": found.appliance,
        "then": found.then and _object(found.then), "now": found.now and _object(found.now),
    }  # fmt: skip


def _brief(decision: Decision | None) -> str:
    if decision is None:
        return "no decision at that instant"
    voices = "; ".join(
        f"{voice.source} {voice.at_least}–{voice.at_most}"
        + (f" limited by {voice.limited_by}" if voice.limited_by else "")
        for voice in decision.voices
    )
    return f"{decision.action or '–'}  {decision.because}  [{decision.source}]  {{{voices}}}"


def _object(decision: Decision) -> dict[str, object]:
    return {
        "appliance": decision.appliance,
        "action": decision.action,
        "because": decision.because,
        "authority": decision.authority.name,
        "source": decision.source,
        "voices": [
            [voice.source, voice.at_least, voice.at_most, voice.limited_by] for voice in decision.voices
        ],
    }


def _time(at: Instant, home: Home) -> str:
    return f"{at.local(home.zone):%Y-%m-%d %H:%M:%S}"


def _line(decision: Decision, origin: Instant | None, home: Home, *, as_json: bool) -> str:
    seconds = None if origin is None else (decision.at.boottime_ns - origin.boottime_ns) / SECOND
    if as_json:
        at: object = seconds if seconds is not None else _iso(decision.at, home)
        return json.dumps({"at": at, **_object(decision)}, ensure_ascii=False)
    shown = f"{seconds:10.1f} s" if seconds is not None else _time(decision.at, home)
    return f"{shown}  {decision.appliance:<12} {decision.action or '–':<7} {decision.because}  [{decision.source}]"


def _iso(at: Instant, home: Home) -> str:
    return datetime.fromtimestamp(at.wall_ns / SECOND, home.zone).isoformat(timespec="seconds")
