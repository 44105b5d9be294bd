"""A table of one's own: other channels, units and intervals are read; what cannot be read for sure is refused with its line."""

import numpy as np
import pytest

from appliance.errors import LearnError
from appliance.learn.recipe import load_recipe, recipes
from appliance.learn.sources import training
from tests.learn.recording import RECIPE, as_csv, room


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "used.toml").write_text(RECIPE, "utf-8")
    (tmp_path / "mine.csv").write_text(as_csv([room(), room(seed=2, group="other")]), "utf-8")
    return tmp_path


def read(folder):
    recipe, beside = load_recipe(str(folder / "used.toml"))
    return training(recipe, beside, None)


def test_groups_units_and_times_come_out_as_they_were_meant(folder) -> None:
    one, other = read(folder)
    expected = room()
    assert (one.group, other.group) == ("room", "other")
    assert (one.at_ns == expected.at_ns).all()
    assert one.values["pm2_5"] == pytest.approx(expected.values["pm2_5"], abs=0.05)
    assert (one.labels == expected.labels).all()
    assert one.interval_s == 300


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("when,", "moment,", "no column 'when'"),
        ("2025-06-16T00:20:00", "yesterday", r"mine.csv:6: 'yesterday' is no time"),
        (",room,0.0", ",room,,0.0", "6 cells, 5 columns"),
        (",0\n", ",perhaps\n", "the truth is 'perhaps'"),
        (",0\n", ",nan\n", "the truth is empty"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(folder, old, new, told) -> None:
    path = folder / "mine.csv"
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(LearnError, match=told):
        read(folder)


@pytest.mark.parametrize("cell", ["", "NaN", "-3", "65535"])
def test_a_cell_that_is_empty_or_impossible_is_refused_unless_it_may_be_unheard(folder, cell) -> None:
    path = folder / "mine.csv"
    lines = path.read_text("utf-8").splitlines()
    cells = lines[9].split(",")
    lines[9] = ",".join([*cells[:3], cell, cells[4]])
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(LearnError, match=r"mine.csv:10: voc_index"):
        read(folder)
    recipe = folder / "used.toml"
    recipe.write_text(recipe.read_text("utf-8").replace("[data]", '[data]\ngaps = "unheard"', 1), "utf-8")
    assert np.isnan(read(folder)[0].values["voc_index"]).sum() == 1


def test_a_unit_that_is_none_of_the_quantity_is_refused(folder) -> None:
    recipe = folder / "used.toml"
    recipe.write_text(recipe.read_text("utf-8").replace("mg/m³", "ppm"), "utf-8")
    with pytest.raises(LearnError, match="can't be converted from 'ppm'"):
        read(folder)


def test_other_data_than_the_recipe_names_are_refused(folder) -> None:
    recipe = folder / "used.toml"
    recipe.write_text(recipe.read_text("utf-8") + '\n[data.sha256]\n"mine.csv" = "00"\n', "utf-8")
    with pytest.raises(LearnError, match="another digest"):
        read(folder)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[rooms]", "[rooms]\nimagined = 3", "imagined"),
        ('"empty", "used"', '"used"', "labels"),
        ("channels.voc_index", "channels.smell", "'smell' is no quantity"),
        ('training = ["mine.csv"]', "training = []", "needs `training`"),
        ("0.10, 0.05", "0.9", "error levels"),
        ("[data]", "[data", "used.toml"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(folder, old, new, told) -> None:
    recipe = folder / "used.toml"
    recipe.write_text(recipe.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(LearnError, match=told):
        load_recipe(str(recipe))


def test_recipes_of_the_release_load_and_one_that_nobody_wrote_is_named() -> None:
    assert "presence" in recipes()
    for name in recipes():
        assert load_recipe(name)[0].name == name
    with pytest.raises(LearnError, match="absence"):
        load_recipe("absence")
    with pytest.raises(LearnError, match="no recipe"):
        load_recipe("../presence")
