"""`appliance replay`: a recording through the rules of a config, with no network."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

import click

from appliance.cli.configuration import config_option, load
from appliance.config import appliances, dialects
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller, Home
from appliance.core.events import Decision, Record
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.daemon.models import load_models
from appliance.errors import Malformed
from appliance.replay import moments, replay as run_replay

START_WALL_NS = 1_767_225_600 * SECOND
"""2026-01-01T00:00Z, where a recording says no other start: replay must not read a clock."""


@click.command()
@click.argument("recording", type=click.File("r", encoding="utf-8"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every voice and input.")
@config_option
def replay(recording: TextIO, path: Path | None, *, as_json: bool) -> None:
    """Run RECORDING, lines {"at": seconds, "topic", "payload", "retain"}, and print the decisions that follow."""
    loaded = load(path)
    specs = appliances(loaded)
    classifiers, missing = load_models(specs)
    for model, why in missing.items():
        click.echo(f"without the model {model}: {why}", err=True)
    start = Instant("recording", 0, START_WALL_NS)
    home = Home(specs, classifiers, ZoneInfo(loaded.settings.home.timezone))
    controller = Controller(home, home.at_start({}, start))
    intake = Intake(Decoder(dialects(loaded.settings)))
    said: dict[str, tuple[str | None, str]] = {}
    for _, effect in run_replay(moments(_read(recording, start), intake), controller):
        if isinstance(effect, Record):
            decision = effect.decision
            before = said.get(decision.appliance)
            said[decision.appliance] = (decision.action, decision.because)
            if not as_json and before == said[decision.appliance]:
                # Only an input's standing changed: a row of its own in the history, nothing new to a reader.
                continue
            click.echo(_line(effect.decision, start, as_json=as_json))
    for reason, count in sorted(intake.dropped.items()):
        click.echo(f"gave no reading: {count} × {reason}", err=True)


def _read(recording: TextIO, start: Instant) -> Iterator[tuple[Instant, Message]]:
    for number, text in enumerate(recording, 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            payload = line["payload"]
            at = start.plus(round(float(line["at"]) * SECOND))
            raw = payload if isinstance(payload, str) else json.dumps(payload)
            message = Message(str(line["topic"]), raw.encode(), bool(line.get("retain", False)))
        except (ValueError, KeyError, TypeError, OverflowError) as broken:
            raise Malformed(
                f"line {number} of the recording: {broken!r}",
                hint='write {"at": 0.0, "topic": .., "payload": ..}',
            ) from None
        yield at, message


def _line(decision: Decision, start: Instant, *, as_json: bool) -> str:
    seconds = (decision.at.boottime_ns - start.boottime_ns) / SECOND
    if as_json:
        return json.dumps(
            {
                "at": seconds,
                "appliance": decision.appliance,
                "action": decision.action,
                "because": decision.because,
                "authority": decision.authority.name,
                "source": decision.source,
                "voices": [
                    [voice.source, voice.at_least, voice.at_most, voice.limited_by]
                    for voice in decision.voices
                ],
            },
            ensure_ascii=False,
        )
    return f"{seconds:10.1f} s  {decision.appliance:<12} {decision.action or '–':<7} {decision.because}  [{decision.source}]"
