"""`appliance decisions` and `appliance why`: what was decided, and why."""

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


@click.command()
@click.argument("appliance")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def why(appliance: str, path: Path | None, *, as_json: bool) -> None:
    """Say why APPLIANCE does what it does: a sentence first, then the voices, then what they looked at."""
    answer = ask(load(path), "GET", f"/v1/appliances/{appliance}/why")
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    click.echo(answer["sentence"])
    for text in answer["lines"]:
        click.echo(f"  {text}")


def line(decision: dict[str, Any]) -> str:
    """Return one decision in one line."""
    count = f" ×{decision['count']}" if decision.get("count", 1) > 1 else ""
    unrecorded = "" if decision.get("recorded", True) else "  (not on disk)"
    return f"{decision['at']}  {decision['appliance']:<12} {decision['action'] or '–':<7} {decision['because']}  [{decision['source']}]{count}{unrecorded}"
