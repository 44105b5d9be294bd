"""`appliance decisions`: what was decided."""

import json
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import ask
from appliance.cli.configuration import config_option, load


@click.command()
@click.option("--appliance", help="Only of this one.")
@click.option(
    "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many, the newest first."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every voice and input.")
@config_option
def decisions(appliance: str | None, limit: int, path: Path | None, *, as_json: bool) -> None:
    """List what was decided, the newest first."""
    found = ask(load(path), "GET", "/v1/decisions", query={"appliance": appliance, "limit": limit})
    for decision in found["decisions"]:
        click.echo(json.dumps(decision, ensure_ascii=False) if as_json else line(decision))


def line(decision: dict[str, Any]) -> str:
    """Return one decision in one line, its number first: `appliance why --at "#123"` gives the account of it."""
    count = f" ×{decision['count']}" if decision.get("count", 1) > 1 else ""
    unrecorded = "" if decision.get("recorded", True) else "  (not on disk)"
    number = f"#{decision['id']}"
    return f"{number:<6} {decision['at']}  {decision['appliance']:<12} {decision['action'] or '–':<7} {decision['because']}  [{decision['source']}]{count}{unrecorded}"
