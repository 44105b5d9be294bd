"""`appliance safe-mode`: how the last runs ended, whether only rules and fallback decide, and the end of that."""

import os
from pathlib import Path

import click

from appliance.adapters.clock import SystemClock
from appliance.adapters.runs import Run, Runs, read
from appliance.adapters.store import lock
from appliance.cli.client import ask
from appliance.cli.configuration import config_option, load
from appliance.config import Loaded
from appliance.daemon.identity import state_folder
from appliance.daemon.safe_mode import judge
from appliance.errors import LinkError

SHOWN = 10
ENDS = {
    "running": "runs, or ended without a word",
    "stopped": "stopped by order",
    "refused": "refused its config",
    "failed": "failed",
    "lost": "was lost",
    "boot": "ended with its boot",
}


@click.command("safe-mode")
@click.option("--end", is_flag=True, help="End it: the newest config and its models decide again.")
@config_option
def safe_mode(path: Path | None, *, end: bool) -> None:
    """Show how the last runs ended, and whether the daemon is, or would start, in safe mode."""
    loaded = load(path)
    if end:
        click.echo("safe mode has ended" if _end(loaded) else "there was no safe mode to end")
        return
    history = read(state_folder(loaded))
    for run in history.runs[-SHOWN:]:
        click.echo(_line(run))
    mode = judge(history, SystemClock()())
    click.echo(
        "not in safe mode" if mode is None else f"safe mode until {mode.until.isoformat()}: {mode.why}"
    )


def _end(loaded: Loaded) -> bool:
    """End safe mode in the daemon, or, where none runs, for its next start."""
    if loaded.settings.http.enabled:
        try:
            return bool(ask(loaded, "DELETE", "/v1/safe-mode")["ended"])
        except LinkError:
            pass  # then nobody holds the folder, or the lock says who
    folder = state_folder(loaded)
    held = lock(folder)
    try:
        now = SystemClock()()
        runs = Runs(folder)
        was = judge(runs.begin(now), now)
        runs.pardon(now)
    finally:
        os.close(held)
    return was is not None


def _line(run: Run) -> str:
    ended = "" if run.ended is None else f" {run.ended.isoformat()}"
    safe = " (safe mode)" if run.safe else ""
    return f"{run.began.isoformat()}{safe}  {ENDS[run.how]}{ended}{f': {run.why}' if run.why else ''}"
