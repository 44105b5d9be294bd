"""`appliance demo`: a simulated home, a broker, the daemon and the page, in one command that leaves nothing behind."""

import asyncio
import json
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from appliance.adapters.clock import SystemClock
from appliance.adapters.mqtt import Address, embedded, mosquitto
from appliance.cli.logs import set_up_logs
from appliance.config import load_settings
from appliance.core.events import Decision
from appliance.core.explain import sentence
from appliance.daemon import run
from appliance.daemon.pretending import pretend
from appliance.errors import ApplianceError
from appliance.simulate import Home

START = "2026-01-12T17:15"
"""A Monday evening in January: people come home, and somebody cooks."""

CONFIG = """\
[mqtt]
port = {port}
[http]
port = {http}
[store]
folder = "state"
[appliances.purifier]
profile = "air_purifier"
device = "zigbee2mqtt/purifier"
title = "Living room purifier"
[appliances.purifier.channels]
pm2_5 = "zigbee2mqtt/living_air"
co2 = "zigbee2mqtt/living_co2"
temperature = "zigbee2mqtt/living_co2"
humidity = "zigbee2mqtt/living_co2"
"""


@click.command()
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 120),
    default=60.0,
    show_default=True,
    help="How much faster than real time.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=3, show_default=True, help="The same seed gives the same home."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="Of the page; 0 lets the system choose.",
)
@click.option("--edge", metavar="URL", help="Offer hard cases to this edge server, as http://127.0.0.1:8478.")
@click.option("--seconds", type=click.FloatRange(1), help="End by itself after so long.")
def demo(speed: float, seed: int, port: int, edge: str | None, seconds: float | None) -> None:
    """Show the whole on a simulated home: what is measured, what is decided, and why."""
    set_up_logs("warning", sys.stderr)
    with tempfile.TemporaryDirectory(prefix="appliance-demo-") as folder:
        broker = mosquitto() or embedded()
        try:
            config = Path(folder) / "demo.toml"
            text = CONFIG.format(port=broker.port, http=port)
            config.write_text(text if edge is None else f"{text}[edge]\nurl = {json.dumps(edge)}\n", "utf-8")
            asyncio.run(_show(config, broker.port, speed, seed, seconds))
        finally:
            broker.stop()
    click.echo("ended; nothing is left running")


async def _show(config: Path, broker_port: int, speed: float, seed: int, seconds: float | None) -> None:
    start = datetime.fromisoformat(START).replace(tzinfo=UTC)
    clock = SystemClock(speed=speed, wall_ns=int(start.timestamp()) * 1_000_000_000)
    home = Home(seed, start=start)
    early: list[str] | None = []

    said: tuple[str | None, str] | None = None

    def told(decision: Decision) -> None:
        nonlocal said
        # A row of its own where only an input's standing changed; nothing new to a reader.
        if said == (said := (decision.action, sentence(decision))):
            return
        text = f"{decision.at.isoformat()[11:16]}  {home.truth.pm2_5:5.1f} µg/m³, {home.truth.people_home} home | {sentence(decision)}"
        # The address comes first, also where a decision was quicker than the web server.
        if early is None:
            click.echo(text)
        else:
            early.append(text)

    def serving(url: str, token: str) -> None:
        nonlocal early
        click.echo(f"the page: {url}#token={token}")
        click.echo(f"(a simulated evening at {speed:g} times its speed; Ctrl-C ends it)")
        for text in early or ():
            click.echo(text)
        early = None

    try:
        async with asyncio.TaskGroup() as group:
            pretending = group.create_task(
                pretend(home, Address("127.0.0.1", broker_port, "simulated-home"), clock)
            )
            daemon = group.create_task(
                run(load_settings(config, {}), clock=clock, observers=[told], on_url=serving)
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.shield(asyncio.wait([daemon]))
            daemon.cancel()
            pretending.cancel()
    except* ApplianceError as failed:
        raise failed.exceptions[0] from None
