"""Labels told on the command line to the real daemon; and a refit from a real store, watched, promoted and rolled back."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from appliance.adapters.store import Queries, Store
from appliance.bundle import Shelf
from appliance.cli import cli
from appliance.cli.histories import home_of
from appliance.config import load_settings
from appliance.core.clock import SECOND, Instant
from appliance.daemon.models import OWN
from appliance.daemon.refitting import refit_here
from appliance.errors import ApplianceError, ConfigError
from tests.adapters.conftest import ROOT, Broker, until_sync
from tests.daemon.conftest import Daemon
from tests.daemon.living import in_home, live, stretch

START = datetime(2026, 2, 2, tzinfo=UTC)
DAYS = 8


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Eight days of a simulated room in a store, and what somebody told of it twice a day."""
    rng = np.random.default_rng(5)

    def told(home_at, day):
        return [stretch(home_at, day * 1440 + int(rng.integers(360, 1320)), 100) for _ in range(2)]

    return live(in_home(Daemon(tmp_path_factory.mktemp("lived"), 1)), START, DAYS, told)


def asked(lived, number=None):
    loaded = load_settings(lived.config)
    home = home_of(loaded)
    shelf = Shelf(lived.folder / "state" / OWN, "presence")
    return refit_here(
        lived.folder / "state",
        shelf,
        home,
        home.appliances["fan"],
        "presence",
        0,
        "2026-02-10T00:00:00+00:00",
    )


def command(lived, *words: str):
    return CliRunner().invoke(cli, ["models", *words, "--config", str(lived.config)])


def test_labels_of_a_week_make_a_version_that_is_watched_promoted_and_rolled_back(lived) -> None:
    report = asked(lived)
    assert report.number == 1, report.outcome.checks
    assert report.rows > 100
    assert report.refit_s > 0
    shown = command(lived, "show", "presence").output
    assert "decides here      the shipped version" in shown
    assert "watched           this home's version 1" in shown
    assert "this home's version 1 decides" in command(lived, "promote", "presence").output
    shown = command(lived, "show", "presence").output
    assert f"refit             the 1., 2026-02-10T00:00:00+00:00: {report.rows} rows of {DAYS} days" in shown
    assert "sets              on" in shown
    again = asked(lived)
    assert again.number is None, "nothing was told since it was made"
    assert "the shipped version decides" in command(lived, "rollback", "presence").output
    assert isinstance(command(lived, "rollback", "presence").exception, ApplianceError)


def test_the_card_s_schema_is_printed_and_holds_the_fields(lived) -> None:
    schema = json.loads(CliRunner().invoke(cli, ["models", "schema"]).output)
    assert {"sets", "novelty", "guarantees", "refit", "labels"} <= set(schema["$defs"]["Card"]["properties"])


def test_nothing_is_refitted_where_nothing_was_told(tmp_path) -> None:
    daemon = in_home(Daemon(tmp_path, 1))
    store = Store(tmp_path / "state", lambda: Instant("x", 1, 1))
    store.start()
    store.close()
    said = command(daemon, "refit", "presence").exception
    assert isinstance(said, ConfigError)
    assert "appliance learn label fan presence somebody" in said.hint


def label(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appliance", "learn", "label", *words, "--config", str(daemon.config)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_labels_of_the_command_line_are_committed_and_a_sensor_may_tell_them(
    tmp_path, silent_broker: Broker
) -> None:
    silent_broker.start()
    daemon = in_home(Daemon(tmp_path, silent_broker.port))
    daemon.start()
    try:
        told = label(daemon, "fan", "presence", "somebody", "--from", "2 h ago", "--to", "1 h ago")
        assert (told.returncode, told.stdout) == (0, "fan: presence was somebody 1 time\n"), told.stderr
        (kept,) = Queries(tmp_path / "state").labels("fan", "presence")
        assert (kept.label, kept.by) == ("somebody", "cli")
        assert kept.until_ns - kept.since_ns == 3600 * SECOND
        for wrong in (
            ["fan", "presence", "elephant"],
            ["fan", "co2", "somebody"],
            ["attic", "presence", "nobody"],
        ):
            assert label(daemon, *wrong).returncode == 1
        for contact in ("false", "true"):
            silent_broker.publish("zigbee2mqtt/door", f'{{"contact": {contact}}}')
            value = "open" if contact == "false" else "closed"
            until_sync(
                lambda value=value: any(
                    one["channel"] == "door" and one["value"] == value
                    for one in daemon.ask("/v1/appliances/fan")["channels"]
                )
            )
        until_sync(
            lambda: (
                " 1 time"
                in label(daemon, "fan", "presence", "somebody", "--while", "door=open", "--days", "1").stdout
            )
        )
        assert label(daemon, "fan", "presence", "nobody", "--while", "door=ajar").returncode == 78
        assert len(Queries(tmp_path / "state").labels("fan", "presence")) >= 2
        assert daemon.ask("/v1/appliances/fan")["learned"] == {"presence": ["nobody", "somebody"]}
    finally:
        daemon.stop()
