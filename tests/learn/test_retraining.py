"""A model trained anew on a home's own store: watched, promoted, loaded by the daemon and rolled back; and refused where it rests on too little."""

import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from appliance.bundle import Bundle, Shelf, load_bundle, shipped
from appliance.cli import cli
from appliance.core.features import FeatureSpec
from appliance.core.trust.fitting import conformal_thresholds
from appliance.daemon.models import OWN
from appliance.errors import LearnError
from appliance.learn.cycle import Cycle
from appliance.learn.days import for_a_new_day
from appliance.learn.lessons import JUDGE, LEARN, Lessons
from appliance.learn.recipe import load_recipe
from appliance.learn.retraining import HOME_DAY, MOST, retrain, with_home
from appliance.refit import Material
from tests.adapters.conftest import Broker, silent_broker  # noqa: F401  a fixture
from tests.daemon.conftest import Daemon
from tests.daemon.living import in_home, live, stretch

pytestmark = pytest.mark.timeout(600)
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
every = 3
[rooms]
imitated = 1
judged = 1
every = 8
[split]
folds = 4
[teacher]
kinds = ["linear", "extra_trees"]
[students]
architectures = ["mlp"]
sizes = 3
seeds = 1
steps = 1200
"""


@pytest.fixture(scope="module")
def lived(tmp_path_factory, data):
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
    print(done.output)
    assert done.exit_code == 0, done.exception
    assert "NOT " not in done.output
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
    assert card.sets.alphas[-1] == 0.1, "so few days promise no less of a new one"
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
    request = urllib.request.Request(
        daemon.url + "/metrics", headers={"Authorization": f"Bearer {daemon.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read(), "utf-8")


@pytest.fixture(scope="module")
def base() -> Bundle:
    return load_bundle(shipped("presence"))


def told(base: Bundle, days: int, *, a_day: int = 40, label=lambda day, row: row % 2) -> Material:
    """Rows of a home of so many days; they say nothing: who refuses them has not looked at more than their labels, or at what never moves."""
    count = len(base.card.features.features)
    rows = np.random.default_rng(0).normal(size=(days * a_day, count)).astype(np.float32)
    numbers = np.repeat(np.arange(days), a_day)
    labels = np.array([label(at // a_day, at % a_day) for at in range(days * a_day)], dtype=np.int64)
    said = np.full((len(rows), 2), 0.5)
    return Material(rows, said, labels, numbers, rows, numbers)


def refused(base: Bundle, home: Material, alpha: float = 0.1) -> list[str]:
    cycle = Cycle(*load_recipe("presence"), Path("nowhere"), Path("nowhere"))
    made = retrain(cycle, base, base.card, home, at="now", alpha=alpha, tell=lambda *_: None)
    assert made.outcome.card is None
    return [f"{check.asked}: {check.found}" for check in made.outcome.checks if not check.holds]


def test_too_few_labelled_days_for_the_guarantee_are_refused_with_the_number_needed(base) -> None:
    few = refused(base, told(base, 8))
    assert len(few) == 2
    assert "“somebody” on 9 days: what the error level 0.1 needs to be promised of a new day: 8" in few
    assert any("on 19 days" in one for one in refused(base, told(base, 12), alpha=0.05))
    rare = refused(base, told(base, 12, label=lambda day, row: int(day < 5 and row < 20)))
    assert rare == ["“somebody” on 9 days: what the error level 0.1 needs to be promised of a new day: 5"]


def test_one_label_alone_and_a_feature_that_stands_still_are_refused(base) -> None:
    one = refused(base, told(base, 12, label=lambda day, row: 1))
    assert any(line.startswith("“nobody” in 9 rows of 2 days: 0 of 0") for line in one)
    still = told(base, 12)
    still.rows[:, 3] = 7.0
    name = base.card.features.features[3].name
    assert refused(base, still) == [f"each feature moves in the labelled rows: still: {name}"]


def lessons_of(base: Bundle, weights: float) -> Lessons:
    rows = np.zeros((200, len(base.card.features.features)), np.float32)
    numbers = np.arange(200) // 50
    labels = (np.arange(200) % 2).astype(np.int64)
    uses = np.full(200, LEARN | JUDGE)
    zero = np.zeros(200, np.int64)
    return Lessons(
        base.card.features, rows, labels, numbers, numbers % 2, zero, uses, np.full(200, weights), ("as recorded",), 1.0
    )  # fmt: skip


def test_a_day_of_the_home_weighs_as_two_of_the_recipe_s_and_all_of_them_never_more_than_half(base) -> None:
    three = told(base, 3)
    joined, share = with_home(lessons_of(base, 1.0), base.card, three, 10)
    own = joined.weights[200:]
    # Four blocks of 50 rows: a day of the recipe weighs 50; three days of this home as two each would be more than the rest.
    assert own.sum() == pytest.approx(min(3 * HOME_DAY * 50, MOST * 200))
    assert share == pytest.approx(0.5)
    assert len(np.unique(joined.block)) == 4 + 3
    assert set(joined.fold[200:].tolist()) == {0, 1, 2}
    loud = told(base, 3, a_day=400)
    _, again = with_home(lessons_of(base, 1.0), base.card, loud, 10)
    assert again == share, "who labels all day long weighs no more"
    few, days = three.rows[:12], np.repeat([0, 1, 2], 4)
    thin = Material(few, three.probabilities[:12], three.labels[:12], days, few, days)
    _, less = with_home(lessons_of(base, 1.0), base.card, thin, 10)
    assert less == pytest.approx(50 / 250), "four looks a day are a sixth of a day"


def test_a_recipe_that_does_not_offer_what_the_shipped_model_looks_at_is_refused(base) -> None:
    lessons = lessons_of(base, 1.0)
    lessons.spec = FeatureSpec(lessons.spec.features[1:])
    with pytest.raises(LearnError, match=base.card.features.features[0].name):
        with_home(lessons, base.card, told(base, 9), 10)


def test_thresholds_for_a_new_day_cover_days_that_they_did_not_see() -> None:
    """Rows of a day go together: the quantile over all rows misses whole days, the one over days with the day to come in it does not."""
    rng = np.random.default_rng(1)

    def lived_days(count: int):
        days = np.repeat(np.arange(count), 60)
        labels = (np.arange(60 * count) % 2).astype(np.int64)
        hard = rng.normal(0, 1.5, count)[days] + rng.normal(0, 0.3, 60 * count)
        right = 1 / (1 + np.exp(-(2.0 + hard)))
        said = np.empty((len(days), 2))
        said[np.arange(len(days)), labels] = right
        said[np.arange(len(days)), 1 - labels] = 1 - right
        return said, labels, days

    covered, by_rows = [], []
    for _ in range(200):
        said, labels, days = lived_days(9)
        new, truth, _ = lived_days(20)
        hit = new[np.arange(len(truth)), truth]
        sets = for_a_new_day(said, labels, days, (0.1,))
        covered.append(np.mean(hit >= np.array(sets.at(0.1))[truth]))
        by_rows.append(np.mean(hit >= np.array(conformal_thresholds(said, labels, (0.1,)).at(0.1))[truth]))
    print(
        f"nine days: covered {np.mean(covered):.3f} of a new day's rows; by the quantile over rows {np.mean(by_rows):.3f}"
    )
    assert np.mean(covered) >= 0.9 - 0.01
    assert np.mean(by_rows) < np.mean(covered)
    with pytest.raises(LearnError, match=r"told on 5 days: an error level of 0\.1 for a new day needs 9"):
        for_a_new_day(*(column[:300] for column in (said, labels, days)), (0.1,))
