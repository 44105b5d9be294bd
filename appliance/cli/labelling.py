"""`appliance learn label`: tell what a model's channel should have read, or let a sensor that knows tell it."""

from datetime import UTC, datetime
from pathlib import Path

import click

from appliance.cli.client import ask
from appliance.cli.configuration import config_option, load
from appliance.cli.histories import span, span_options, stored, zone
from appliance.config import appliances
from appliance.core.clock import SECOND, Instant
from appliance.core.events import StateReported
from appliance.core.explain.moment import moment_ns
from appliance.core.profile import Appliance
from appliance.errors import ConfigError, Malformed
from appliance.replay import Moment, Opening

MOST = 200
"""So many labels go to the daemon at once."""
LONGEST_NS = 24 * 3600 * SECOND


@click.command()
@click.argument("appliance")
@click.argument("channel")
@click.argument("label")
@click.option(
    "--from", "begin", metavar="TIME", help='From when, as "9:00" or "yesterday 9:00". By default: --to.'
)
@click.option("--to", "end", metavar="TIME", help="Until when. By default now.")
@click.option(
    "--while",
    "sensor",
    metavar="CHANNEL=WORD",
    help="Whenever this channel of words (a door, motion) read WORD, in the history of --days, --since, --until.",
)
@span_options
@config_option
def label(
    appliance: str, channel: str, label: str, begin: str | None, end: str | None, sensor: str | None,
    days: float | None, since: str | None, until: str | None, path: Path | None,
) -> None:  # fmt: skip
    """Tell that CHANNEL of APPLIANCE should have read LABEL: for refits, and, of now, to make its model more careful at once."""
    loaded = load(path)
    where = zone(loaded)
    if sensor is None:
        if (days, since, until) != (None, None, None):
            raise click.UsageError("--days, --since and --until go with --while; else give --from and --to")
        now = Instant("", 0, round(datetime.now(UTC).timestamp()) * SECOND)
        try:
            times = {
                key: datetime.fromtimestamp(moment_ns(text, now, where) / SECOND, UTC).isoformat()
                for key, text in (("since", begin), ("until", end))
                if text is not None
            }
        except Malformed as wrong:
            raise click.UsageError(f"{wrong.message}: {wrong.hint}") from None
        labels = [{"label": label, **times}]
    else:
        if begin is not None or end is not None:
            raise click.UsageError("--from and --to go without --while; with it give --days, or --since")
        spec = next((one for one in appliances(loaded) if one.id == appliance), None)
        if spec is None:
            raise ConfigError(f"there is no appliance {appliance!r}", hint="see: appliance config check")
        first, last = span(loaded, where, days, since, until)
        found = _stretches(spec, sensor, stored(loaded, (first, last), as_it_was=True).history())
        labels = [
            {
                "label": label,
                "since": datetime.fromtimestamp(one / SECOND, UTC).isoformat(),
                "until": datetime.fromtimestamp(two / SECOND, UTC).isoformat(),
            }
            for one, two in found
        ]
    for at in range(0, len(labels), MOST):
        body = {"appliance": appliance, "channel": channel, "labels": labels[at : at + MOST], "by": "cli"}
        ask(loaded, "POST", "/v1/labels", body=body)
    click.echo(f"{appliance}: {channel} was {label} {len(labels)} time{'' if len(labels) == 1 else 's'}")


def _stretches(spec: Appliance, sensor: str, history: "object") -> list[tuple[int, int]]:
    """Return from when to when the channel read the word of `sensor`, "channel=word", a day at most each."""
    channel, _, word = sensor.partition("=")
    words = spec.worded.get(channel)
    if words is None or word not in words.words:
        known = ", ".join(f"{name}={one}" for name, said in spec.worded.items() for one in said.words)
        raise ConfigError(
            f"{spec.id} has no channel that reads {sensor!r}",
            hint=f"it has: {known}"
            if known
            else "only a channel of words, as a door or motion sensor, can tell",
        )
    sources = {(device, metric) for device, metric, to in spec.sources if to == channel}
    found: list[tuple[int, int]] = []
    began: int | None = None
    last = 0
    for moment in history:  # type: ignore[attr-defined]
        if isinstance(moment, Opening):
            # Nobody knows what was between.
            if began is not None and last > began:
                found.append((began, last))
            began = None
            continue
        assert isinstance(moment, Moment)
        last = moment.at.wall_ns
        for event in moment.events:
            if not isinstance(event, StateReported):
                continue
            for state in event.states:
                if (event.device, state.metric) in sources:
                    reads = words.understand(state.value) == word
                    if reads and began is None:
                        began = last
                    elif not reads and began is not None:
                        found.append((began, last))
                        began = None
        if began is not None and last - began >= LONGEST_NS:
            found.append((began, began + LONGEST_NS))
            began = last
    if began is not None and last > began:
        found.append((began, last))
    return found
