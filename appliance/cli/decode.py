"""`appliance decode`: try a message of one's own."""

import json
from pathlib import Path
from typing import BinaryIO

import click

from appliance.cli.configuration import config_option
from appliance.config import Settings, dialects, load_settings
from appliance.core.payloads import Decoder
from appliance.core.payloads.lines import decode_line
from appliance.core.payloads.message import Catalogue


@click.command()
@click.argument("source", type=click.File("rb"), default="-")
@click.option(
    "--catalogue",
    type=click.File("rb"),
    help="Lines of the same form that declare, as zigbee2mqtt/bridge/devices does.",
)
@config_option
def decode(source: BinaryIO, catalogue: BinaryIO | None, path: Path | None) -> None:
    """Read lines {"topic", "payload", "retain"} and print what each says, one JSON object a line.

    Without --config zigbee2mqtt and Tasmota are understood as they come; with it also the plain sources declared there.
    """
    settings = Settings() if path is None else load_settings(path).settings
    decoder = Decoder(dialects(settings))
    known = Catalogue()
    for declaring in catalogue or ():
        _, known = decode_line(declaring, decoder, known)
    for text in source:
        if text.strip():
            said, known = decode_line(text, decoder, known)
            click.echo(json.dumps(said, ensure_ascii=False))
