"""`appliance why` and `appliance why-not`: the account of a decision, now or at a moment of the past."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.client import ask
from appliance.cli.configuration import config_option, load

_AT = click.option(
    "--at",
    metavar="TIME",
    help='Then instead of now: "19:30", "yesterday 19:30", "2 h ago", an ISO date and time, or a decision as "#123".',
)
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command()
@click.argument("appliance")
@_AT
@click.option("--no-flip", is_flag=True, help="Don't search for what would have changed it.")
@_JSON
@config_option
def why(appliance: str, at: str | None, path: Path | None, *, no_flip: bool, as_json: bool) -> None:
    """Say why APPLIANCE does what it does: a sentence first, then the voices, what they looked at, and the nearest flip."""
    query = {"at": at, "flip": None if no_flip else "true"}
    _tell(
        ask(load(path), "GET", f"/v1/appliances/{quote(appliance, safe='')}/why", query=query),
        as_json=as_json,
    )


@click.command("why-not")
@click.argument("appliance")
@click.argument("action")
@_AT
@_JSON
@config_option
def why_not(appliance: str, action: str, at: str | None, path: Path | None, *, as_json: bool) -> None:
    """Say why APPLIANCE does not do ACTION: what stops it, and what each rule that could ask for it waits for."""
    where = f"/v1/appliances/{quote(appliance, safe='')}/why-not/{quote(action, safe='')}"
    _tell(ask(load(path), "GET", where, query={"at": at}), as_json=as_json)


def _tell(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    click.echo(answer["sentence"])
    for text in answer["lines"]:
        click.echo(f"  {text}")
