"""A model trained anew on a home's own store: watched, promoted, loaded by the daemon and rolled back; and refused where it rests on too little."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from appliance.bundle import Shelf, load_bundle, shipped
from appliance.cli import cli
from appliance.daemon.models import OWN
from appliance.errors import LearnError
from appliance.learn.cycle import Cycle
from appliance.learn.recipe import load_recipe
from appliance.learn.retraining import HOME_DAY, MOST, retrain, with_home
from appliance.refit import Material
from tests.adapters.conftest import Broker, silent_broker, until_sync  # noqa: F401  a fixture
from tests.daemon.conftest import Daemon
from tests.daemon.living import in_home, live, stretch

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("data")]
DAYS = 16
RECIPE = """
name = "presence"
title = "Is somebody in the room?"
labels = ["nobody", "somebody"]
[data]
kind = "uci_occupancy"
[features]
groups = ["baseline", "slope", "spread", "time_of_day"]
time_of_day = true
most = 17
every = 4
[rooms]
imitated = 1
judged = 1
every = 8
[split]
folds = 4
[teacher]
kinds = ["linear"]
[students]
architectures = ["mlp"]
sizes = 2
seeds = 1
steps = 400
[budgets]
distil = 0.2
"""


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Sixteen days of a simulated room up to now, of each of which somebody told an hour or two of either kind."""
    rng = np.random.default_rng(5)

    def told(home_at, day):
        today = np.array(home_at[day * 1440 : (day + 1) * 1440])
        for word in (False, True):
            at = np.flatnonzero(today == word)
            if len(at):
                yield stretch(home_at, day * 1440 + int(rng.choice(at)), 150)

    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    daemon = live(in_home(Daemon(tmp_path_factory.mktemp("lived"), 1)), start, DAYS, told)
    (daemon.folder / "recipe.toml").write_text(RECIPE, "utf-8")
    return daemon


def run(lived: Daemon, *words: str):
    return CliRunner().invoke(cli, [*words, "--config", str(lived.config)])


def train(lived: Daemon, *words: str):
    given = [str(lived.folder / "recipe.toml"), "--work", str(lived.folder / "work"), "--jobs", "1"]
    return run(lived, "learn", "run", *given, "--from-store", *words)


def test_a_home_s_own_days_become_a_version_that_is_watched_promoted_and_rolled_back(
    lived,
    silent_broker: Broker,  # noqa: F811  the fixture
) -> None:
    done = train(lived)
    print(done.output); assert done.exit_code == 0, done.exception
    assert "this home's version 1 is watched" in done.output
    shelf = Shelf(lived.folder / "state" / OWN, "presence")
    base, own = shelf.bundle(0), shelf.bundle(1)
    assert own.model != base.model
    assert own.digest != base.digest
    card = own.card
    assert card.refit is None
    assert card.retrained.base == base.digest
    assert (card.version, card.features, card.labels) == (
        base.card.version,
        base.card.features,
        base.card.labels,
    )
    assert 0 < card.retrained.share <= MOST / (1 + MOST)
    assert card.trust.version > base.card.trust.version
    assert card.sets.alphas[-1] == 0.1, "twelve days promise no less of a new one"
    assert msgspec.json.decode(msgspec.json.encode(card), type=type(card)) == card
    again = train(lived)
    assert again.exit_code == 0, "it is only watched: what is in force has seen none of these days"
    lived.change("port = 1\n", f"port = {silent_broker.port}\n")
    silent_broker.start()
    lived.start()
    try:
        assert lived.part("model presence") is None, "it is ready"
        metrics = text(lived)
        assert 'appliance_model_watched_total{model="presence"}' in metrics
    finally:
        lived.stop()
    assert "this home's version 2 decides" in run(lived, "models", "promote", "presence").output
    shown = run(lived, "models", "show", "presence").output
    assert "trained here      the 1." in shown
    assert "decides here      this home's version 2" in shown
    refused = train(lived)
    assert refused.exit_code == 1
    assert (
        "NOT  3 labelled days, and more than one label, since the version in force was made" in refused.output
    )
    lived.start()
    try:
        assert lived.part("model presence") is None, "it is ready"
        assert "without version" not in lived.log
        assert 'appliance_model_watched_total{model="presence"}' not in text(lived)
    finally:
        lived.stop()
    refit = run(lived, "models", "refit", "presence", "--days", "60")
    assert "NOT  3 labelled days, and more than one label, since" in refit.output
    assert "the shipped version decides" in run(lived, "models", "rollback", "presence").output
    assert shelf.bundle(shelf.standing().current).digest == base.digest


def text(daemon: Daemon) -> str:
    import urllib.request

    request = urllib.request.Request(
        daemon.url + "/metrics", headers={"Authorization": f"Bearer {daemon.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read(), "utf-8")
