"""`appliance doctor`: is all that this home rests on sound, and what is to be done where not?"""

import json
import sys
from pathlib import Path

import click
import msgspec

from appliance.cli.client import ask
from appliance.cli.configuration import config_option, load


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_option
def doctor(path: Path | None, *, as_json: bool) -> None:
    """Look at the config, the state folder, the history, the disk, the broker and the models; exit 1 where something is wrong.

    Nothing is changed, and the daemon may run meanwhile.
    """
    from appliance.daemon.checkup import examine

    wrong = False
    for found in examine(lambda: load(path), lambda loaded: ask(loaded, "GET", "/healthz")):
        wrong = wrong or found.state == "wrong"
        if as_json:
            click.echo(json.dumps(msgspec.to_builtins(found), ensure_ascii=False))
        else:
            todo = f" → {found.todo}" if found.todo and found.state == "wrong" else ""
            click.echo(f"{found.state:<8} {found.name:<12} {found.what}{todo}")
    if wrong:
        sys.exit(1)
