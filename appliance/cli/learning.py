"""`appliance learn`: from data to a model, and what it is worth (extra [learn])."""

import importlib.util
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self

import click

from appliance.cli import retraining
from appliance.cli.labelling import label
from appliance.cli.retraining import store_options
from appliance.errors import LearnError

if TYPE_CHECKING:
    from appliance.bundle import Bundle
    from appliance.learn.choosing import Choice
    from appliance.learn.cycle import Cycle
    from appliance.learn.recordings import Recording

FOLDER = Path("models")
ASKED = 2000


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what every stage understands."""
    for add in (
        click.option(
            "--jobs",
            type=click.IntRange(1, 64),
            default=2,
            show_default=True,
            help="How many processes work at a time; the result does not depend on it.",
        ),
        click.option(
            "--work",
            type=click.Path(path_type=Path, file_okay=False),
            default=None,
            help="Where the results of stages are kept, to be resumed.  [default: .learn beside the models]",
        ),
        click.option(
            "--models",
            "folder",
            type=click.Path(path_type=Path, file_okay=False),
            default=FOLDER,
            show_default=True,
            help="Where bundles lie.",
        ),
        click.argument("recipe"),
    ):
        command = add(command)
    return command


@click.group()
@click.pass_context
def learn(context: click.Context) -> None:
    """Train a model, and say what it is worth; tell what it should have said. RECIPE is a recipe's name, or the path of a .toml."""
    if context.invoked_subcommand == "label":
        return  # needs nothing but the daemon
    missing = [name for name in ("sklearn", "onnx", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise LearnError(f"{', '.join(missing)} is not installed", hint="pip install 'appliance[learn]'")


learn.add_command(label)


def _stage(name: str, told: str) -> click.Command:
    @options
    def command(recipe: str, folder: Path, work: Path | None, jobs: int) -> None:
        cycle = _cycle(recipe, folder, work, jobs)
        with _Progress() as progress:
            cycle._tell = progress.tell  # noqa: SLF001  the cycle is made before there is anything to show
            cycle.run(name)
        _say(cycle, name)

    command.__doc__ = told
    return learn.command(name)(command)


_stage("fetch", "Look for the data of RECIPE, and check that something can be learnt from them.")
_stage("train", "Fit teachers and choose features, on held-out days and rooms.")
_stage("distil", "Fit small students on the chosen teacher's word, and choose one.")
_stage("prune", "Make the student smaller, as far as the budget allows.")
_stage("calibrate", "Calibrate the student on held-out days, and write the bundle.")
_stage("teach", "Write the teacher itself as a bundle, for an edge server: NAME-teacher.")


@learn.command()
@options
def report(recipe: str, folder: Path, work: Path | None, jobs: int) -> None:
    """Judge the bundle on its test files, which nothing else opens; write report.md, .html and .json."""
    cycle = _cycle(recipe, folder, work, jobs)
    with _Progress() as progress:
        cycle._tell = progress.tell  # noqa: SLF001
        _report(cycle)


@learn.command()
@store_options
@options
def run(
    recipe: str,
    folder: Path,
    work: Path | None,
    jobs: int,
    *,
    from_store: bool,
    store: Path | None,
    days: int,
    path: Path | None,
) -> None:
    """Do all of it: from the data of RECIPE to a bundle and its report. What was done before is not done again.

    With --from-store, from the data of RECIPE and this home's own history to a version of the model for this home, which is watched first.
    """
    cycle = _cycle(recipe, folder, work, jobs)
    with _Progress() as progress:
        cycle._tell = progress.tell  # noqa: SLF001
        if from_store:
            retraining.from_store(cycle, progress.tell, path, store, days)
            return
        for stage in ("fetch", "train", "distil", "prune", "calibrate"):
            cycle.run(stage)
            _say(cycle, stage)
        _report(cycle)
        # Last: a teacher that is too large for a bundle costs no report.
        cycle.run("teach")
        _say(cycle, "teach")


@learn.command()
@options
def faults(recipe: str, folder: Path, work: Path | None, jobs: int) -> None:
    """Say which faults of its sensors the novelty of the bundle finds, on held-out days, and write that into its report; opens no test files."""
    from appliance.bundle import load_bundle
    from appliance.learn import detection, pages

    cycle = _cycle(recipe, folder, work, jobs)
    with _Progress() as progress:
        cycle._tell = progress.tell  # noqa: SLF001
        lines = detection.faults_found(cycle, load_bundle(cycle.folder).card)
    detection.write_into(cycle.folder, lines)
    click.echo(pages.markdown(pages.faults_of(lines)))


@learn.command()
def recipes() -> None:
    """Name the recipes of this release."""
    from appliance.learn.recipe import load_recipe, recipes as names

    for name in names():
        click.echo(f"{name}: {load_recipe(name)[0].title}")


def _cycle(recipe: str, folder: Path, work: Path | None, jobs: int) -> "Cycle":
    from appliance.learn.cycle import Cycle
    from appliance.learn.recipe import load_recipe

    loaded, beside = load_recipe(recipe)
    return Cycle(
        loaded, beside, folder / loaded.name, work or folder.parent / ".learn", simulate=simulated, jobs=jobs
    )


def simulated(homes: range, days: float, interval_s: float, truth: str) -> "Sequence[Recording]":
    """Return homes of appliance.simulate as recordings to learn from."""
    import numpy as np

    from appliance.learn.recordings import Recording
    from appliance.simulate.rooms import lived

    found = []
    for seed in homes:
        home = lived(seed, days, interval_s)
        found.append(
            Recording(
                home.name,
                (home.at_s * 1e9).astype(np.int64),
                home.values,
                home.somebody if truth == "somebody" else home.emitting,
            )
        )
    return found


def _report(cycle: "Cycle") -> None:
    from appliance.adapters.classifier import OnnxClassifier
    from appliance.bundle import load_bundle
    from appliance.learn import detection, drawing, pages, plumes
    from appliance.learn.reporting import all_choices, make_report

    cycle.run("calibrate")
    bundle = load_bundle(cycle.folder)
    classifier = OnnxClassifier(bundle)
    made, shown = make_report(
        cycle,
        bundle,
        classifier,
        lambda: _measured(bundle, classifier),
        lambda: plumes.checks(cycle, bundle, classifier),
        lambda: detection.faults_found(cycle, bundle.card),
    )
    seeds = cycle.calibrated.held_out
    parts = pages.parts_of(
        made,
        bundle,
        cycle.recipe,
        all_choices(cycle),
        seeds,
        cycle.taught.chosen,
        cycle.taught.sets,
        cycle.calibrated.ways,
    )
    pictures = [
        (
            "What was tried: bytes against the held-out value.",
            drawing.pareto(all_choices(cycle), cycle.pruned.chosen),
        )
    ]
    if shown:
        pictures.append(("Reliability on the test files.", drawing.reliability(shown, bundle.card.labels)))
        pictures += [
            (f"A day of {test}: sure, hard and unlike stretches.", drawing.day(one, test, bundle.card.labels))
            for test, one in shown.items()
        ]
    (cycle.folder / "report.md").write_text(pages.markdown(parts), encoding="utf-8")
    (cycle.folder / "report.html").write_text(
        pages.html(bundle.card.title, parts, pictures), encoding="utf-8"
    )
    click.echo(pages.markdown(parts))


def _measured(bundle: "Bundle", classifier: Any) -> dict[str, float]:
    """Return what one answer costs on this machine, now."""
    rows = bundle.golden_rows
    took = []
    for number in range(ASKED):
        row = rows[number % len(rows) :][:1]
        began = time.perf_counter_ns()
        classifier.predict(row)
        took.append(time.perf_counter_ns() - began)
    # ru_maxrss is in KiB on Linux.
    return {
        "one answer, median, µs": round(median(took) / 1000, 1),
        "peak memory of this training process, MiB": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0
        ),
    }


def _say(cycle: "Cycle", stage: str) -> None:
    if stage == "fetch":
        for one in cycle.recordings:
            shares = ", ".join(
                f"{word} {float((one.labels == at).mean()):.0%}"
                for at, word in enumerate(cycle.recipe.labels)
            )
            click.echo(
                f"{one.group}: {len(one.at_ns)} rows, one each {one.interval_s:.0f} s, {', '.join(one.values)}; {shares}"
            )
        return
    told: dict[str, Callable[[], tuple[Sequence[Choice], Choice]]] = {
        "train": lambda: (cycle.taught.tried, cycle.taught.chosen),
        "distil": lambda: (cycle.distilled.tried, cycle.distilled.chosen),
        "prune": lambda: (cycle.pruned.tried, cycle.pruned.chosen),
        "calibrate": lambda: (cycle.calibrated.held_out, cycle.calibrated.held_out[0]),
        "teach": lambda: ([cycle.teaching.held_out], cycle.teaching.held_out),
    }
    tried, chosen = told[stage]()
    click.echo(f"{stage:<10} size  features      bytes  accuracy  macro F1  value   log loss   (held out)")
    for choice in tried:
        mark = "*" if choice == chosen else " "
        click.echo(
            f"{mark}{choice.kind:<10} {max(choice.size, 0):>4}  {len(choice.features):>8} {choice.bytes:>10}  {choice.judged.accuracy:.4f}    {choice.judged.macro_f1:.4f}"
            f"    {choice.judged.value:.4f}  {choice.judged.log_loss:.4f}"
        )
    if stage == "train":
        click.echo(f"features: {', '.join(cycle.taught.features)}")


class _Progress:
    """Bars on a terminal; nothing elsewhere."""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import Progress

        self._bars = Progress(console=Console(stderr=True), disable=not Console(stderr=True).is_terminal)
        self._tasks: dict[str, Any] = {}
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def tell(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` are dchoice."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)
