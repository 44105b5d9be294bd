"""`appliance run`: the daemon."""

import asyncio
import contextlib
import faulthandler
import sys
from pathlib import Path

import click

from appliance.cli.configuration import config_option, load
from appliance.cli.logs import set_up_logs
from appliance.cli.soundness import refuse
from appliance.daemon import run as run_daemon


@click.command()
@config_option
@click.option("--observe", is_flag=True, help="Decide and record, command nothing.")
def run(path: Path | None, *, observe: bool) -> None:
    """Run the home that the config describes, until it is told to stop."""
    loaded = load(path)
    set_up_logs(loaded.settings.log.level, sys.stderr)
    with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):  # a stderr that is no file
        faulthandler.enable()  # a crash in foreign code says where, before it ends the process
    asyncio.run(run_daemon(loaded, observe=observe, read=lambda: load(path), refuse=refuse))
