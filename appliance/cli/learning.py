"""`appliance learn`: from data to a model, and what it is worth (extra [learn])."""

import importlib.util
from pathlib import Path

import click

from appliance.cli.labelling import label
from appliance.errors import LearnError

FOLDER = Path("models")

models_option = click.option(
    "--models",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Where bundles lie.",
)


@click.group()
@click.pass_context
def learn(context: click.Context) -> None:
    """Train a model, and say what it is worth; tell what it should have said."""
    if context.invoked_subcommand == "label":
        return  # needs nothing but the daemon
    missing = [name for name in ("sklearn", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise LearnError(f"{', '.join(missing)} is not installed", hint="pip install 'appliance[learn]'")


learn.add_command(label)


@learn.command()
def fetch() -> None:
    """Look for the data in $APPLIANCE_DATA and check that they are the very files."""
    from appliance.learn import fetch as fetch_data

    for name, size in fetch_data().items():
        click.echo(f"{name}: {size} bytes, as expected")


@learn.command()
@click.argument("name")
@models_option
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same bytes.",
)
def train(name: str, folder: Path, seed: int) -> None:
    """Train the model NAME on its training data alone, and write its bundle."""
    from appliance.learn import train as train_model

    summary = train_model(name, folder / name, seed=seed)
    click.echo("held-out days     features             log loss  accuracy  macro F1  worst day")
    for trial in sorted(summary.trials, key=lambda one: one.log_loss):
        click.echo(
            f"{trial.architecture:<20} {trial.features:<20} {trial.log_loss:.4f}    {trial.accuracy:.4f}    {trial.macro_f1:.4f}    {trial.worst_day:.4f}"
        )
    size = summary.manifest.files["model.onnx"].size
    click.echo(
        f"{folder / name}: {summary.card.architecture}, {size} bytes, sure from {summary.card.threshold}"
    )


@learn.command()
@click.argument("name")
@models_option
def report(name: str, folder: Path) -> None:
    """Judge the model NAME on its test files, which nothing else opens; write report.md and report.json."""
    from appliance.adapters.classifier import OnnxClassifier
    from appliance.bundle import load_bundle
    from appliance.learn import report as make_report
    from appliance.learn.reporting import as_markdown

    bundle = load_bundle(folder / name)
    click.echo(as_markdown(make_report(folder / name, OnnxClassifier(bundle), bundle), bundle))
