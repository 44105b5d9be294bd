"""`appliance learn run --from-store`: a model trained anew on this home's own history, watched first.

Never in here: what it is trained by, or the gate.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.configuration import config_option, load
from appliance.cli.models import judged, spoken_by, version
from appliance.core.clock import SECOND
from appliance.daemon.identity import state_folder
from appliance.daemon.models import OWN

if TYPE_CHECKING:
    from appliance.learn.cycle import Cycle
    from appliance.learn.features import Told


def store_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what says which history is learnt from."""
    for add in (
        config_option,
        click.option(
            "--days",
            type=click.IntRange(3, 400),
            default=60,
            show_default=True,
            help="With --from-store: how far back to look.",
        ),
        click.option(
            "--store",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            default=None,
            help="With --from-store: a state folder, perhaps a copy of the home's.  [default: the config's]",
        ),
        click.option(
            "--from-store",
            is_flag=True,
            help="Train anew on this home's labels and readings beside the recipe's data, and watch what comes of it.",
        ),
    ):
        command = add(command)
    return command


def from_store(cycle: "Cycle", tell: "Told", path: Path | None, store: Path | None, days: int) -> None:
    """Train the model of the recipe anew on this home's history, and say what came of it. Exit code 1 where the gate refuses."""
    from appliance.bundle import Shelf
    from appliance.cli.histories import home_of
    from appliance.daemon.retraining import retrain_here

    loaded = load(path)
    folder = store or state_folder(loaded)
    name = cycle.recipe.name
    shelf = Shelf(folder / OWN, name)
    spec, channel = spoken_by(loaded, name)
    now = datetime.now(UTC)
    since_ns = round((now - timedelta(days=days)).timestamp()) * SECOND
    report = retrain_here(
        folder,
        shelf,
        home_of(loaded),
        spec,
        channel,
        since_ns,
        now.isoformat(timespec="seconds"),
        cycle,
        tell,
    )
    for line in judged(report.rows, report.contradicted, report.outcome, "trained anew"):
        click.echo(line)
    click.echo(f"it took {report.took_s:.0f} s")
    if report.number is None:
        click.echo(f"nothing moves: {version(shelf.standing().current)} goes on deciding")
        raise click.exceptions.Exit(1)
    where = "" if store is None else f" once {folder / OWN / name} lies in the home's own state folder,"
    click.echo(
        f"{version(report.number)} is watched{where} from the daemon's next SIGHUP or start on; to let it decide: appliance models promote {name}"
    )
