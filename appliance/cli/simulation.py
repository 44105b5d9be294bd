"""`appliance simulate`: a home that is not there, at a real broker."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from appliance.adapters.clock import SystemClock
from appliance.adapters.mqtt import Address
from appliance.cli.configuration import config_option
from appliance.cli.logs import set_up_logs
from appliance.config import Settings, load_settings
from appliance.daemon.pretending import press, pretend
from appliance.errors import BrokerError
from appliance.simulate import Home, record

ACTIONS = ("off", "low", "medium", "high", "turbo", "auto")


@click.command()
@config_option
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed gives the same home."
)
@click.option(
    "--start",
    metavar="TIME",
    help="The home's time of day at the start, as 2026-01-12T17:00; by default now.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 1000),
    default=1.0,
    show_default=True,
    help="How much faster than real time.",
)
@click.option(
    "--hand",
    type=click.Choice(ACTIONS),
    help="Turn the purifier of the home that runs already, by hand, and end.",
)
@click.option(
    "--record",
    "seconds",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="Print what it would say in so long, with no broker, and end.",
)
def simulate(
    path: Path | None, seed: int, start: str | None, speed: float, hand: str | None, seconds: float | None
) -> None:
    """Be a home with a purifier, its sensors and its people, as zigbee2mqtt would tell of it."""
    began = datetime.now(UTC) if start is None else _time(start)
    if seconds is not None:
        for line in record(Home(seed, start=began), seconds):
            click.echo(line)
        return
    mqtt = (Settings() if path is None else load_settings(path).settings).mqtt
    set_up_logs("warning", sys.stderr)
    clock = SystemClock(speed=speed)
    address = Address(mqtt.host, mqtt.port, f"simulated-{'hand' if hand else 'home'}-{seed}", mqtt.username)
    if hand is not None:
        try:
            asyncio.run(press(hand, address, clock))
        except TimeoutError:
            raise BrokerError(
                f"no broker at {mqtt.host}:{mqtt.port}", hint="start one, or give --config"
            ) from None
        click.echo(f"a hand turned the purifier to {hand}")
        return
    click.echo(f"a home (seed {seed}) at {mqtt.host}:{mqtt.port}; Ctrl-C ends it", err=True)
    asyncio.run(pretend(Home(seed, start=began), address, clock))


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise click.UsageError(f"--start {text!r} is no time; write 2026-01-12T17:00") from None
