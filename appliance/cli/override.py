"""`appliance override` lets a person decide for a while; `appliance token` shows what the page asks for."""

from pathlib import Path

import click

from appliance.cli.client import ask, written_token
from appliance.cli.configuration import config_option, load
from appliance.core.clock import SECOND
from appliance.core.conditions import duration_ns
from appliance.errors import ProfileError


@click.command()
@click.argument("appliance")
@click.argument("action")
@click.option(
    "--for",
    "span",
    metavar="DURATION",
    help='How long, as "30 min" or "2 h". By default as the profile says.',
)
@config_option
def override(appliance: str, action: str, span: str | None, path: Path | None) -> None:
    """Make APPLIANCE do ACTION for a while, whatever the rules say; ACTION "auto-control" gives it back to them."""
    loaded = load(path)
    where = f"/v1/appliances/{appliance}/override"
    if action == "auto-control":
        ask(loaded, "DELETE", where)
        click.echo(f"{appliance} is back under the rules")
        return
    try:
        for_s = None if span is None else duration_ns(span, where="--for") // SECOND
    except ProfileError as wrong:
        raise click.UsageError(f"{wrong.message}: {wrong.hint}") from None
    body = {"action": action, "by": "cli", **({} if for_s is None else {"for_s": for_s})}
    answer = ask(loaded, "PUT", where, body=body)
    click.echo(f"{appliance}: {answer['action']} until {answer['until']}")


@click.command()
@config_option
def token(path: Path | None) -> None:
    """Print the token that writing over HTTP and on the page needs."""
    click.echo(written_token(load(path)))
