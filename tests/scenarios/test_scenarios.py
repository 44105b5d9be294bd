"""Household situations, each in a folder of its own, with the decision that an owner would expect. Read them as stories."""

from functools import cache

import msgspec
import pytest

from appliance.core.controller import Controller
from appliance.replay import replay
from tests.adapters.conftest import silent_broker  # noqa: F401  a fixture
from tests.scenarios import story
from tests.scenarios.course import Course
from tests.scenarios.stage import Stage

PLAYED = [name for name in story.names() if story.written(name).get("broker")]


@cache
def run(name: str) -> Course:
    """Return the course of a scenario, run once."""
    course = Course(story.read(name))
    course.run()
    return course


@pytest.mark.parametrize("name", story.names())
def test_the_owner_gets_what_an_owner_would_expect(name) -> None:
    course = run(name)
    assert not course.wrong, f"{course.story.title}\n" + "\n".join(course.wrong)


@pytest.mark.parametrize("name", story.names())
def test_the_same_history_gives_the_same_decisions_in_replay(name) -> None:
    course = run(name)
    for model in course.models.values():
        model.repeat()
    for stretch in course.stretches:
        again = list(replay(stretch.moments, Controller(course.home, stretch.start)))
        assert again == stretch.effects


@pytest.mark.parametrize("name", PLAYED)
def test_it_goes_the_same_way_with_the_real_daemon_at_a_real_broker(name, silent_broker, tmp_path) -> None:  # noqa: F811
    told = story.read(name)
    stage = Stage(told, silent_broker, tmp_path)
    stage.play()
    log = (tmp_path / "log").read_text("utf-8", "replace")
    assert not stage.wrong, f"{told.title}\n" + "\n".join(stage.wrong) + f"\n{log[-2000:]}"
    assert "Traceback" not in log


def test_enough_of_them_are_played_at_a_real_broker_and_there_are_enough() -> None:
    assert len(story.names()) >= 32
    assert len(PLAYED) >= 4


def test_a_story_that_expects_the_wrong_thing_fails(tmp_path) -> None:
    text = (story.FOLDER / "smoke_at_night" / "scenario.toml").read_text("utf-8")
    for good, bad in (
        ('action = "turbo", by = "rule smoke"', 'action = "high", by = "rule smoke"'),
        ('doing = "turbo"', 'doing = "off"'),
        ('because = "smoke"', 'because = "steam"'),
        ("commands = [] }", 'commands = ["low"] }'),
    ):
        assert good in text
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad" / "scenario.toml").write_text(text.replace(good, bad), "utf-8")
        course = Course(story.read("bad", tmp_path))
        course.run()
        assert len(course.wrong) == 1, (good, course.wrong)


def test_a_word_that_no_story_knows_is_refused(tmp_path) -> None:
    text = (story.FOLDER / "smoke_at_night" / "scenario.toml").read_text("utf-8")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "scenario.toml").write_text(text.replace("commands = []", "comands = []"), "utf-8")
    with pytest.raises(msgspec.ValidationError, match="comands"):
        story.read("bad", tmp_path)
