"""What a person says: `override` decides for a while, `accept`, `dismiss` and `acknowledge` answer; `token` is for the page."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from appliance.cli.client import ask, written_token
from appliance.cli.configuration import config_option, load
from appliance.config import Loaded
from appliance.core.clock import SECOND
from appliance.core.conditions import duration_ns
from appliance.core.overrides import LONGEST_NS
from appliance.errors import ProfileError


@click.command()
@click.argument("appliance")
@click.argument("action")
@click.option(
    "--for",
    "span",
    metavar="DURATION",
    help='How long, as "30 min" or "2 h", a day at most. By default as the profile says.',
)
@click.option(
    "--until",
    metavar="END",
    help='A time of day, as "07:00"; or a condition, as "pm2_5 < 5" or "the air is clean": a day at most.',
)
@click.option("--until-told", is_flag=True, help="Until you say otherwise.")
@config_option
def override(
    appliance: str, action: str, span: str | None, until: str | None, path: Path | None, *, until_told: bool
) -> None:
    """Make APPLIANCE do ACTION for a while, whatever the rules say; ACTION "auto-control" gives it back to them."""
    if sum((span is not None, until is not None, until_told)) > 1:
        raise click.UsageError("--for, --until and --until-told exclude each other: choose one")
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
    if for_s is not None and not 1 <= for_s <= LONGEST_NS // SECOND:
        raise click.UsageError(f"--for: {span} is out of bounds: give 1 s to 24 h, or --until-told")
    body: dict[str, object] = {"action": action, "by": "cli", "open_ended": until_told}
    if for_s is not None:
        body["for_s"] = for_s
    if until is not None:
        body["until"] = until
    answer = ask(loaded, "PUT", where, body=body)
    click.echo(f"{appliance}: {answer['action']} until {_ending(loaded, answer)}")


@click.command()
@click.argument("appliance")
@click.argument("rule", required=False)
@config_option
def accept(appliance: str, rule: str | None, path: Path | None) -> None:
    """Accept what RULE of APPLIANCE recommends, or all of it: it is done, as an override."""
    _answer(load(path), appliance, rule, "accept")


@click.command()
@click.argument("appliance")
@click.argument("rule", required=False)
@config_option
def dismiss(appliance: str, rule: str | None, path: Path | None) -> None:
    """Dismiss what RULE of APPLIANCE recommends, or all of it: it is not said again while its reason lasts."""
    _answer(load(path), appliance, rule, "dismiss")


@click.command()
@click.argument("appliance")
@click.argument("rule", required=False)
@config_option
def acknowledge(appliance: str, rule: str | None, path: Path | None) -> None:
    """Acknowledge the alarm of RULE of APPLIANCE, or all alarms: it ends once its cause is gone."""
    where = f"/v1/appliances/{appliance}/alarms"
    count = ask(load(path), "POST", where, body={"rule": rule, "by": "cli"})["count"]
    click.echo(f"{appliance}: {count} acknowledged")


def _ending(loaded: Loaded, answer: dict[str, str | None]) -> str:
    """Return what ends an override, in words: its time on the home's own clock, a day ahead at most."""
    if answer["until"] is None:
        return "you say otherwise"
    zone = ZoneInfo(loaded.settings.home.timezone)
    clock = f"{datetime.fromisoformat(answer['until']).astimezone(zone):%A %H:%M}"
    return clock if answer["ends"] is None else f"{answer['ends']}, {clock} at the latest"


def _answer(loaded: Loaded, appliance: str, rule: str | None, answer: str) -> None:
    where = f"/v1/appliances/{appliance}/advice"
    ask(loaded, "POST", where, body={"answer": answer, "source": rule, "by": "cli"})
    click.echo(f"{appliance}: {'accepted' if answer == 'accept' else 'dismissed'}")


@click.command()
@config_option
def token(path: Path | None) -> None:
    """Print the token that writing over HTTP and on the page needs."""
    click.echo(written_token(load(path)))
