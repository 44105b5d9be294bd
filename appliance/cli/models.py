"""`appliance models`: what a model is, and the versions that a home makes for itself: refit, watch, promote, roll back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.configuration import config_option, load
from appliance.config import Loaded, appliances
from appliance.core.clock import SECOND
from appliance.daemon.identity import state_folder
from appliance.daemon.models import OWN
from appliance.errors import ConfigError

if TYPE_CHECKING:
    from appliance.bundle import Bundle, Card, Gain, Score, Shelf
    from appliance.core.profile import Appliance
    from appliance.daemon.refitting import Report
    from appliance.refit import Outcome

WATTS = 1.5
"""What a busy core of a small computer takes above idle (assumed for a Raspberry Pi 4; measured at the plug it varies)."""
TRAINING_S = 180.0
"""What a full training takes on two cores, where a card does not say (docs/models.md)."""


@click.group()
def models() -> None:
    """Look at models, and refit one to this home."""


@models.command()
@click.argument("name")
@config_option
def show(name: str, path: Path | None) -> None:
    """Say what the model NAME is, what is promised of it, and which version decides here."""
    from appliance.bundle import TEACHER, TEACHER_OPERATORS, load_bundle, shipped

    if name.endswith(TEACHER):
        for line in _told(load_bundle(shipped(name), allowed=TEACHER_OPERATORS)):
            click.echo(line)
        click.echo(f"decides           nothing here: an edge server runs it for {name.removesuffix(TEACHER)}")
        return
    shelf = _shelf(name, path)
    standing = shelf.standing()
    bundle = shelf.bundle(standing.current)
    for line in _told(bundle):
        click.echo(line)
    click.echo(f"decides here      {version(standing.current)}")
    if standing.shadow is not None:
        click.echo(f"watched           {version(standing.shadow)}: appliance models promote {name}")
    if standing.before:
        click.echo(f"before            {version(standing.before[-1])}: appliance models rollback {name}")


@models.command()
def schema() -> None:
    """Print the JSON schema of a card."""
    from appliance.bundle import card_schema

    click.echo(json.dumps(card_schema(), indent=2))


@models.command()
@click.argument("name")
@config_option
def promote(name: str, path: Path | None) -> None:
    """Let the watched version of NAME decide; a running daemon takes it at SIGHUP or its next start."""
    standing = _shelf(name, path).promote()
    click.echo(f"{name}: {version(standing.current)} decides; back with: appliance models rollback {name}")


@models.command()
@click.argument("name")
@config_option
def rollback(name: str, path: Path | None) -> None:
    """Let the version of NAME decide that did before; a running daemon takes it at SIGHUP or its next start."""
    standing = _shelf(name, path).rollback()
    click.echo(f"{name}: {version(standing.current)} decides")


@models.command()
@click.argument("name")
@click.option(
    "--days", type=click.IntRange(3, 400), default=60, show_default=True, help="How far back to look."
)
@config_option
def refit(name: str, days: int, path: Path | None) -> None:
    """Refit NAME to the labels of this home. What holds before the gate is watched first, and decides once you promote it.

    Exit code 1 where the gate refuses.
    """
    from appliance.cli.histories import home_of
    from appliance.daemon.refitting import refit_here

    loaded = load(path)
    shelf = _shelf(name, path)
    spec, channel = spoken_by(loaded, name)
    now = datetime.now(UTC)
    since_ns = round((now - timedelta(days=days)).timestamp()) * SECOND
    report = refit_here(
        state_folder(loaded),
        shelf,
        home_of(loaded),
        spec,
        channel,
        since_ns,
        now.isoformat(timespec="seconds"),
    )
    for line in (*judged(report.rows, report.contradicted, report.outcome, "refitted"), *_cost(report)):
        click.echo(line)
    if report.number is None:
        click.echo(f"nothing moves: {version(shelf.standing().current)} goes on deciding")
        raise click.exceptions.Exit(1)
    click.echo(
        f"{version(report.number)} is watched from the daemon's next SIGHUP or start on; to let it decide: appliance models promote {name}"
    )


def judged(rows: int, contradicted: int, outcome: "Outcome", made: str) -> Iterator[str]:
    """Tell what the gate found, a line each; `made` names what was made."""
    yield f"{rows} labelled rows, {contradicted} more told both ways"
    for check in outcome.checks:
        yield f"{'ok ' if check.holds else 'NOT'}  {check.asked}: {check.found}"
    for name, score in (("as it is", outcome.before), (made, outcome.after)):
        if score is not None:
            yield f"held-out days, {name}: {_scored(score)}"


def _cost(report: "Report") -> Iterator[str]:
    yield f"gathering the rows  {report.gathered_s:8.3f} s"
    yield f"the refit           {report.refit_s:8.3f} s   {report.grown_mb:5.1f} MB more   about {report.busy_s * WATTS:.2g} J"
    yield f"one inference       {report.inference_s * 1e6:8.1f} µs                 about {report.inference_s * WATTS:.2g} J"
    yield f"a full training     {TRAINING_S:8.0f} s                  about {2 * TRAINING_S * WATTS:.2g} J, elsewhere"
    yield f"(energy at {WATTS:g} W a busy core, which is assumed)"


def _scored(score: "Score") -> str:
    return f"accuracy {score.accuracy:.4f}, macro F1 {score.macro_f1:.4f}, sure {score.sure:.1%}, then right {score.sure_right:.1%}"


def spoken_by(loaded: Loaded, name: str) -> "tuple[Appliance, str]":
    """Return an appliance, and its channel, that listens to the model `name`. Raises ConfigError where none does."""
    for spec in appliances(loaded):
        for channel, model in spec.models.items():
            if model == name:
                return spec, channel
    raise ConfigError(f"no appliance of this home listens to {name!r}", hint="see: appliance config check")


def _shelf(name: str, path: Path | None) -> "Shelf":
    from appliance.bundle import Shelf

    # Without a config there is only what is shipped.
    try:
        folder = state_folder(load(path))
    except ConfigError:
        if path is not None:
            raise
        folder = Path("/nonexistent")
    return Shelf(folder / OWN, name)


def version(number: int) -> str:
    """Name a version as people do."""
    return f"this home's version {number}" if number else "the shipped version"


def _told(bundle: "Bundle") -> Iterator[str]:
    card = bundle.card
    yield f"{card.name}, version {card.version}: {card.title}"
    for name, text in (
        ("labels", ", ".join(card.labels)), ("architecture", card.architecture), ("data", card.data), ("licence", card.licence),
        ("split", card.split), ("calibration", card.calibration), ("guarantees", card.guarantees), ("worst", card.worst),
        ("intended use", card.intended_use), ("not for", card.not_for), ("digest", bundle.digest[:16]),
        ("size", ", ".join(f"{file} {entry.size} B" for file, entry in bundle.manifest.files.items())),
    ):  # fmt: skip
        if text:
            yield f"{name:<17} {text}"
    for where, score in card.held_out.items():
        yield f"{where:<17} {_scored(score)} of {score.rows} rows"
    yield from _ranges(card)
    if card.sets is None:
        yield f"sure from         {card.threshold:g}: the card is from before there were prediction sets"
    else:
        yield f"sets              on {', '.join(f'{rows} rows of {label}' for rows, label in zip(card.sets.rows, card.labels, strict=True))}"
        for alpha, thresholds in zip(card.sets.alphas, card.sets.thresholds, strict=True):
            yield f"  at {alpha:<12g}  " + ", ".join(
                f"{label} from {least:.4f}" for label, least in zip(card.labels, thresholds, strict=True)
            )
    if card.against is not None:
        beside = card.against
        yield f"{'against':<17} {beside.model}, version {beside.version}, digest {beside.digest[:16]}: right more often by (95 %, days drawn anew)"
        hard = f"where that one is not sure at {beside.alpha:g}"
        yield f"  {hard:<15} {'on fewer than two held-out days it is not' if beside.hard is None else _gained(beside.hard)}"
        yield f"  {'everywhere':<15} {_gained(beside.everywhere)}"
    if card.refit is not None:
        made = card.refit
        yield f"refit             the {made.number}., {made.at}: {made.rows} rows of {made.days} days; scale {made.head.scale:g}, shifts {', '.join(f'{one:g}' for one in made.head.bias)}"

    if card.retrained is not None:
        anew = card.retrained
        yield f"trained here      the {anew.number}., {anew.at}: {anew.rows} rows of {anew.days} days, which weigh {anew.share:.0%}, beside {anew.lessons} rows of the recipe {anew.recipe[:16]}"


def _gained(gain: "Gain") -> str:
    return (
        f"{gain.gain:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}) on {gain.rows} rows of {gain.days} days; worst room {gain.worst:+.4f};"
        f" {'shown' if gain.shown else 'not shown'} to be better"
    )


def _ranges(card: "Card") -> Iterator[str]:
    from appliance.core.quantities import QUANTITIES

    for place, feature in enumerate(card.features.features):
        quantity = QUANTITIES.get(feature.channel)
        unit = "" if quantity is None else f" {quantity.unit}{' a minute' if feature.kind == 'slope' else ''}"
        seen = (
            ""
            if card.novelty is None
            else f", {card.novelty.low[place]:g} to {card.novelty.high[place]:g}{unit}"
        )
        yield f"{'features' if not place else '':<17} {feature.name}{seen or (unit and ',' + unit)}"
