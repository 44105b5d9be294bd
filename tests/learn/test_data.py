"""Only the very files are taken, however they are packed, and an error says where to get them."""

import gzip
from itertools import pairwise

import pytest

from appliance.errors import LearnError
from appliance.learn import data as source


@pytest.fixture
def copied(data, tmp_path, monkeypatch):
    """A folder with plain copies under the names that the repository of the authors has."""
    for name in source.DIGESTS:
        if source.find(name):
            (tmp_path / name).write_bytes(source.read(name))
    monkeypatch.setenv(source.VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("given", [None, "/nowhere/at/all"])
def test_without_a_folder_it_says_what_to_set_and_where_to_get_the_files(monkeypatch, given) -> None:
    monkeypatch.delenv(source.VARIABLE, raising=False)
    if given:
        monkeypatch.setenv(source.VARIABLE, given)
    with pytest.raises(LearnError) as refused:
        source.fetch()
    assert source.VARIABLE in refused.value.message
    assert "10.24432/C5X01N" in refused.value.hint
    assert source.TRAINING in refused.value.hint


def test_plain_and_gzipped_texts_serve_alike(copied) -> None:
    sizes = source.fetch()
    plain = copied / source.TRAINING
    (copied / f"{source.TRAINING}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert source.fetch() == sizes


def test_an_altered_value_is_noticed(copied) -> None:
    path = copied / source.TRAINING
    path.write_bytes(path.read_bytes().replace(b"23.18", b"23.19", 1))
    with pytest.raises(LearnError, match="another digest") as refused:
        source.rows(source.TRAINING)
    assert str(path) in refused.value.message


def test_a_missing_file_is_named(copied) -> None:
    (copied / source.TESTS["test 2"]).unlink()
    with pytest.raises(LearnError, match="datatest2"):
        source.fetch()


def test_a_broken_gzip_is_a_learn_error(copied) -> None:
    plain = copied / source.TRAINING
    (copied / f"{source.TRAINING}.gz").write_bytes(gzip.compress(plain.read_bytes())[:5000])
    plain.unlink()
    with pytest.raises(LearnError, match="datatraining"):
        source.fetch()


def test_without_the_published_numbers_all_else_works(copied) -> None:
    (copied / source.PUBLISHED).unlink(missing_ok=True)
    assert source.PUBLISHED not in source.fetch()
    assert source.published() == []


def test_rows_are_minutes_of_a_room_in_order_and_hold_no_light(data) -> None:
    rows = source.rows(source.TRAINING)
    assert len(rows) == 8143
    steps = {later.at_ns - row.at_ns for row, later in pairwise(rows)}
    assert steps <= {59 * source.SECOND, 60 * source.SECOND, 61 * source.SECOND}
    assert len({row.day for row in rows}) == 7
    assert "light" not in {name.lower() for name in source.Row.__struct_fields__}
    assert all(10 < row.temperature < 35 and 300 < row.co2 < 5000 and 5 < row.humidity < 95 for row in rows)


def test_published_models_on_light_are_told_from_those_without(data) -> None:
    found = {one.model: one for one in source.published()}
    assert found["ModelLDA_ALL"].uses_light
    assert not found["ModelLDA_noLight"].uses_light
    assert found["ModelCART_NO_LIGHT_b"].uses_time
