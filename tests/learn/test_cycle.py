"""From a table of one's own to a bundle that the daemon loads: other channels, another interval, one command; resumed, seeded, refused."""

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped, write_bundle
from appliance.cli import cli
from appliance.errors import BudgetError, LearnError, ModelError
from appliance.learn import choosing, edge
from appliance.learn.cycle import Cycle
from appliance.learn.features import matrix
from appliance.learn.ledger import Opening, Result, counted, enter, openings
from appliance.learn.recipe import load_recipe
from appliance.learn.reporting import make_report
from tests.learn.recording import RECIPE, as_csv, room

pytestmark = pytest.mark.timeout(600)


def folder_with(path, recipe=RECIPE, rooms=None):
    (path / "used.toml").write_text(recipe, "utf-8")
    (path / "mine.csv").write_text(as_csv(rooms or [room(), room(seed=2, group="other")]), "utf-8")
    return path


def cycle_in(folder, work="work"):
    recipe, beside = load_recipe(str(folder / "used.toml"))
    return Cycle(recipe, beside, folder / "models" / recipe.name, folder / work, jobs=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    cycle = cycle_in(folder_with(tmp_path_factory.mktemp("used")))
    cycle.run("calibrate")
    return cycle


def test_a_table_of_voc_and_particles_each_five_minutes_becomes_a_bundle(trained) -> None:
    bundle = load_bundle(trained.folder)
    classifier = OnnxClassifier(bundle)
    assert bundle.card.features.channels <= {"voc_index", "pm2_5"}
    later = room(seed=9)
    said = classifier.predict(matrix(later, bundle.card.features))
    known = np.isfinite(said).all(axis=1)
    assert known.mean() > 0.9
    assert (said[known].argmax(axis=1) == later.labels[known]).mean() > 0.85
    assert bundle.card.sizes["bytes"] == len(bundle.model) <= 4096
    assert len(bundle.card.steps) == len(bundle.card.features.features)
    assert bundle.card.sets.alphas == (0.10, 0.05)


def test_the_same_recipe_gives_the_same_bytes_and_a_stage_is_not_done_twice(
    trained, tmp_path, monkeypatch
) -> None:
    again = cycle_in(folder_with(tmp_path))
    again.run("calibrate")
    assert again.calibrated.manifest == trained.calibrated.manifest
    resumed = cycle_in(trained.beside)
    monkeypatch.setattr(choosing, "choose_teacher", lambda *_: pytest.fail("it was done already"))
    resumed.run("calibrate")
    assert resumed.calibrated.manifest == trained.calibrated.manifest


def test_the_teacher_becomes_a_bundle_of_its_own_and_is_not_made_twice(trained, monkeypatch) -> None:
    manifest = trained.calibrated.manifest
    trained.run("teach")
    with pytest.raises(ModelError, match="is a teacher"):
        load_bundle(trained.teacher_folder)
    bundle = load_bundle(trained.teacher_folder, allowed=TEACHER_OPERATORS)
    card, student = bundle.card, load_bundle(trained.folder).card
    assert (card.name, card.labels) == ("used-teacher", student.labels)
    assert {name: one.rows for name, one in card.held_out.items()} == {
        name: one.rows for name, one in student.held_out.items()
    }
    assert card.features.features == tuple(
        choosing.features_of(trained.lessons, trained.taught.chosen.features)
    )
    beside, local = card.against, load_bundle(trained.folder)
    assert (beside.model, beside.version, beside.digest) == ("used", local.card.version, local.digest)
    assert beside.everywhere.rows == sum(one.rows for one in student.held_out.values())
    assert beside.everywhere.days == len(np.unique(trained.lessons.block))
    assert beside.hard is None or beside.hard.rows < beside.everywhere.rows
    later = room(seed=9)
    said = OnnxClassifier(bundle).predict(matrix(later, card.features))
    known = np.isfinite(said).all(axis=1)
    assert (said[known].argmax(axis=1) == later.labels[known]).mean() > 0.85
    resumed = cycle_in(trained.beside)
    monkeypatch.setattr(edge, "teacher_bundle", lambda *_: pytest.fail("it was done already"))
    resumed.run("teach")
    assert resumed.teaching == trained.teaching
    assert resumed.calibrated.manifest == manifest


def test_a_teacher_is_not_compared_with_a_student_of_another_training(trained, tmp_path) -> None:
    """The comparison would stand on the card of a model that nobody compared it with."""
    trained.run("calibrate")
    local = load_bundle(trained.folder)
    sets = msgspec.structs.replace(
        local.card.sets, thresholds=tuple((one / 2, two) for one, two in local.card.sets.thresholds)
    )
    card = msgspec.structs.replace(local.card, sets=sets)
    folder = tmp_path / "used"
    write_bundle(folder, local.model, card, local.golden_rows, local.golden_probabilities)
    cycle = cycle_in(trained.beside)
    assert cycle.calibrated.manifest == trained.calibrated.manifest
    cycle.folder = folder
    with pytest.raises(LearnError, match="another student"):
        edge.teacher_bundle(cycle)


def test_a_stage_that_was_cut_off_is_done_anew(trained, tmp_path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for path in trained._work.iterdir():
        (work / path.name).write_bytes(path.read_bytes()[: 100 if "-train-" in path.name else None])
    cycle = cycle_in(folder_with(tmp_path))
    cycle.run("calibrate")
    assert cycle.calibrated.manifest == trained.calibrated.manifest


def test_a_row_is_never_judged_by_a_model_that_saw_its_day(trained, monkeypatch) -> None:
    seen = []
    fit = choosing.fit_student

    def watched(lessons, kind, size, columns, learn, soft, seed, steps):
        seen.append(set(lessons.block[learn].tolist()))
        return fit(lessons, kind, size, columns, learn, soft, seed, 5)

    monkeypatch.setattr(choosing, "fit_student", watched)
    lessons = trained.lessons
    outcome = choosing.Trial(lessons, "linear", 0, (0, 1), 0).done()
    folds = np.unique(lessons.fold[lessons.fold >= 0])
    assert len(seen) == len(folds) > 2
    for fold, blocks in zip(folds, seen, strict=True):
        assert not blocks & set(lessons.block[lessons.fold == fold].tolist())
    judged = (lessons.uses & 2) > 0
    assert np.isfinite(outcome.probabilities[judged]).all()
    assert np.isnan(outcome.probabilities[~judged]).all()


@pytest.mark.parametrize(
    ("budget", "told"), [("bytes = 100", "bytes"), ("distil = -0.5", "distilling costs")]
)
def test_a_budget_that_is_passed_stops_with_the_numbers(trained, budget, told) -> None:
    recipe = RECIPE.replace("distil = 0.2", budget if "distil" in budget else f"distil = 0.2\n{budget}")
    (trained.beside / "tight.toml").write_text(recipe, "utf-8")
    loaded, beside = load_recipe(str(trained.beside / "tight.toml"))
    cycle = Cycle(loaded, beside, trained.folder, trained.beside / "work", jobs=1)
    # The same lessons and teachers serve: they do not depend on the budget.
    cycle.__dict__.update(lessons=trained.lessons, taught=trained.taught, soft=trained.soft)
    with pytest.raises(BudgetError, match=told) as stopped:
        cycle.run("prune")
    assert any(character.isdigit() for character in stopped.value.message)


def test_fewer_rows_than_the_guarantee_needs_are_refused_with_the_number(tmp_path) -> None:
    recipe = RECIPE.replace("0.10, 0.05", "0.0001")
    with pytest.raises(LearnError, match="needs 9999"):
        cycle_in(folder_with(tmp_path, recipe)).run("fetch")


def test_a_test_that_shares_a_day_with_training_is_refused(trained) -> None:
    leaked = room().part(np.arange(len(room().at_ns)) > 600)
    (trained.beside / "leaked.csv").write_text(as_csv([leaked]), "utf-8")
    (trained.beside / "leaky.toml").write_text(
        RECIPE.replace("[rooms]", '[data.tests]\n"later" = "leaked.csv"\n\n[rooms]'), "utf-8"
    )
    recipe, beside = load_recipe(str(trained.beside / "leaky.toml"))
    with pytest.raises(LearnError, match="lies in 'training' and in 'later'"):
        Cycle(recipe, beside, trained.folder, trained.beside / "work", jobs=1).run("fetch")


def test_the_report_counts_openings_and_its_majority_line_is_what_counting_gives(trained) -> None:
    later = [room(seed=7, group="later"), room(seed=8, group="later still")]
    (trained.beside / "later.csv").write_text(as_csv(later), "utf-8")
    recipe = RECIPE.replace("[rooms]", '[data.tests]\n"later" = "later.csv"\n\n[rooms]')
    (trained.beside / "tested.toml").write_text(recipe, "utf-8")
    loaded, beside = load_recipe(str(trained.beside / "tested.toml"))
    cycle = Cycle(loaded, beside, trained.folder, trained.beside / "work", jobs=1)
    cycle.__dict__.update(
        lessons=trained.lessons, taught=trained.taught, soft=trained.soft, pruned=trained.pruned
    )
    bundle = load_bundle(trained.folder)
    for count in (1, 2):
        made, shown = make_report(cycle, bundle, OnnxClassifier(bundle), dict, dict)
        assert len(made.openings) == count
    labels = shown["later"].labels
    (majority,) = (line for line in made.lines if "majority" in line.model)
    assert majority.scores["later"].accuracy == pytest.approx(
        max(np.bincount(labels)) / len(labels), abs=1e-4
    )
    assert sum(map(sum, made.confusion["later"])) == len(labels)
    assert {one.alpha for one in made.coverage} == {0.05, 0.10}
    assert made.lines[0].scores["later"].accuracy > majority.scores["later"].accuracy


def test_one_command_does_all_of_it_and_its_pages_stand_alone(tmp_path) -> None:
    folder_with(tmp_path)
    arguments = [
        "learn",
        "run",
        str(tmp_path / "used.toml"),
        "--models",
        str(tmp_path / "models"),
        "--jobs",
        "1",
    ]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "models/used/report.html").read_text("utf-8")
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    told = (tmp_path / "models/used/report.md").read_text("utf-8")
    assert "Is the room in use?" in told
    assert "| stuck | 120 min | voc_index |" in told
    pages = {
        one: (tmp_path / "models/used" / one).read_bytes()
        for one in ("report.md", "report.html", "report.json")
    }
    (tmp_path / "models/used/report.md").write_text(told.replace("| stuck |", "| vanished |"), "utf-8")
    done = CliRunner().invoke(cli, ["learn", "faults", *arguments[2:]], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert {one: (tmp_path / "models/used" / one).read_bytes() for one in pages} == pages, (
        "its section alone, and no opening"
    )
    assert load_bundle(tmp_path / "models/used-teacher", allowed=TEACHER_OPERATORS).is_teacher
    refused = CliRunner().invoke(cli, ["learn", "train", "absence"])
    assert "absence" in str(refused.exception)


def test_a_recipe_that_judges_days_and_groups_ends_in_a_bundle_of_one_set_that_says_what_it_measured(
    tmp_path,
) -> None:
    groups = '[features]\ngroups = ["baseline", "time_of_day"]\ntime_of_day = true'
    recipe = RECIPE.replace("[features]", groups).replace("[split]", '[split]\njudged = "days"')
    recipe = recipe.replace("[rooms]", '[rooms]\nrhythm = "kept"')
    recipe += '[calibration]\nways = ["rows", "worst_day"]\n'
    cycle = cycle_in(folder_with(tmp_path, recipe))
    cycle.run("calibrate")
    sets = {one.features for one in cycle.taught.sets}
    assert len(sets) == 3 * 2
    assert cycle.taught.features in sets
    bundle = load_bundle(cycle.folder)
    OnnxClassifier(bundle)
    assert {one.name for one in bundle.card.features.features} <= set(cycle.taught.features)
    assert len(cycle.pruned.chosen.judged.days) == 8
    assert [one.name for one in cycle.calibrated.ways] == ["rows", "worst_day"]
    assert "nothing is promised of a new day" in bundle.card.guarantees


def test_an_opening_by_somebody_else_is_counted_on_all_pages(tmp_path) -> None:
    """Test files that a benchmark opens would else be looked at without being counted."""
    for name in ("report.json", "report.md", "report.html"):
        (tmp_path / name).write_bytes((shipped("presence") / name).read_bytes())
    before = openings(tmp_path / "report.json")
    more = Opening(
        "2026-01-01T00:00:00+00:00", 4, "d" * 64, {"test 1": Result(0.5, 0.25)}, "asking & waiting"
    )
    for count in (1, 2):
        enter(tmp_path, more, ["test 1", "test 2"])
        assert openings(tmp_path / "report.json") == (*before, *[more] * count)
        told = counted(len(before) + count)
        for name, sign in (("report.md", "asking & waiting"), ("report.html", "asking &amp; waiting")):
            page = (tmp_path / name).read_text("utf-8")
            assert page.count(told) == 1
            assert page.split(told)[1].count(sign) == count
    rows = (tmp_path / "report.md").read_text("utf-8").split(told)[1].strip().splitlines()
    assert len(rows) == 2 + len(before) + 2
    assert rows[-1] == f"| {more.at} | 4 | `dddddddddddd`, asking & waiting | 0.500 | 0.250 | – | – |"
    (tmp_path / "report.md").write_text("nothing", "utf-8")
    with pytest.raises(LearnError, match="no table of openings"):
        enter(tmp_path, more, [])
    assert len(openings(tmp_path / "report.json")) == len(before) + 2
