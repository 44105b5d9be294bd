"""A decision of last week: its nearest flip, checked by a replay of the history with that one reading altered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.adapters.store.recall import Recall
from appliance.cli.histories import home_of
from appliance.config import load_settings
from appliance.core.controller import Controller
from appliance.core.events import Decision, Event, LinkChanged, ReadingArrived
from appliance.core.explain.flip import Change, Flips, flips
from appliance.core.explain.what_if import Past as Question, Then
from appliance.core.home import Home
from appliance.core.readings import Quality
from appliance.daemon.past import Past
from appliance.replay import Moment, Opening, checkpoint
from appliance.replay.rebuilding import MISSING, NO_STATE, OTHERS, OTHERWISE, TOO_LONG, rebuild
from tests.replay.conftest import CONFIG, Lived, quick
from tests.replay.test_check import altered

FAR_NS = 1 << 62


def history(lived: Lived) -> Recall:
    return Recall(lived.folder, 0, FAR_NS, as_it_was=True)


def home(lived: Lived) -> Home:
    return home_of(load_settings(lived.config, {}))


def asked(lived: Lived) -> Iterator[tuple[Decision, Then, Flips]]:
    """Yield each decision of the history with what it rested on and its flips."""
    deciders = home(lived)
    past = Past(lived.folder)
    for decision in list(history(lived).decided(0)):
        then = past(deciders, decision)
        assert isinstance(then, Then), (decision, then)
        question = Question(deciders, then, decision.appliance, decision.at)
        assert question.decided() == decision.action, decision
        yield decision, then, flips(question, basis="")


def again(lived: Lived, decision: Decision, channel: str, value: float) -> str | None:
    """Return the action once the whole history until then is run with one reading altered: the one that led to `decision`."""
    deciders = home(lived)
    spec = deciders.appliances[decision.appliance]
    unit = spec.channels[channel].quantity.unit
    sources = {(device, metric) for device, metric, to in spec.sources if to == channel}
    controller: Controller | None = None
    at = decision.at.wall_ns
    for item in Recall(lived.folder, at, at + 1, as_it_was=True).history():
        if isinstance(item, Opening):
            assert item.checkpoint is not None
            controller = Controller(deciders, checkpoint.go_on(deciders, item.checkpoint, item.at))
        elif item.at != decision.at:
            controller.handle(item.events, item.at)
        else:
            for event in item.events:
                altered_event = other(event, sources, value, unit)
                controller.handle([altered_event], item.at)
                if altered_event is not event:
                    break  # what comes after it may be the device's answer to what was decided then
            else:
                raise AssertionError("no reading of that channel led to the decision")
            state = controller.state.appliances[decision.appliance]
            newest = state.senses[channel].newest()
            # How fast a value would have had to move is not judged by a flip.
            return state.last.action if newest.quality is Quality.GOOD else "not believed"
    raise AssertionError("the decision is not in the history")


def other(event: Event, sources: set[tuple[str, str]], value: float, unit: str) -> Event:
    """Return `event` with the reading of these sources altered; the very same where it has none."""
    if not isinstance(event, ReadingArrived):
        return event
    readings = tuple(
        replace(reading, value=value, unit=unit) if (event.device, reading.metric) in sources else reading
        for reading in event.readings
    )
    altered_now = any((event.device, reading.metric) in sources for reading in event.readings)
    return replace(event, readings=readings) if altered_now else event


def checked(lived: Lived, most: int, *, exact: bool = True) -> list[tuple[Decision, Change]]:
    """Assert of up to `most` flips (`exact`, or of a channel that a model looks at) that a replay flips at that value, and not a step
    before; return them.
    """
    done: list[tuple[Decision, Change]] = []
    deciders = home(lived)
    for decision, then, found in asked(lived):
        for change in found.changes:
            if change.channel not in then.before or not change.steps or change.exact is not exact:
                continue
            flipped = again(lived, decision, change.channel, change.value)
            if flipped == "not believed":
                continue
            step = deciders.appliances[decision.appliance].channels[change.channel].quantity.resolution
            less = round(change.value + (step if change.value < change.was else -step), 6)
            assert flipped == change.action != decision.action, (decision, change)
            assert again(lived, decision, change.channel, less) == decision.action, (decision, change)
            done.append((decision, change))
            if len(done) == most:
                return done
    return done


def test_the_nearest_flip_of_a_stored_decision_is_what_a_replay_with_that_reading_altered_decides(
    tmp_path: Path,
) -> None:
    lived = quick(tmp_path)
    lived.start()
    for _ in range(6):
        lived.live(2 * 3600)
        lived.checkpoint()
    lived.stop()
    done = checked(lived, 4)
    assert len(done) >= 3
    assert len({decision.action for decision, _ in done}) >= 2


def test_a_decision_that_rests_on_a_window_and_a_timer_is_rebuilt_with_both(tmp_path: Path) -> None:
    lived = quick(tmp_path)
    profile = tmp_path / "quick.toml"
    profile.write_text(profile.read_text("utf-8").replace("> 25 for 2 min", "> 12 for 2 min"), "utf-8")
    lived.start()
    lived.live(4 * 3600)
    lived.stop()
    by_mean = [then for decision, then, _ in asked(lived) if decision.source == "rule mean"]
    assert by_mean
    assert all(then.state.appliances["purifier"].memory.true_since for then in by_mean)


def test_a_flip_with_the_model_asks_it_as_a_replay_does(tmp_path: Path) -> None:
    lived = Lived(tmp_path, config=CONFIG)
    lived.start()
    lived.live(2.5 * 3600)
    lived.checkpoint()
    lived.live(0.4 * 3600)
    lived.stop()
    assert checked(lived, 2, exact=False)


@pytest.fixture
def short(tmp_path: Path) -> Lived:
    lived = quick(tmp_path)
    lived.start()
    lived.live(3600)
    lived.stop()
    return lived


def last(lived: Lived) -> Decision:
    return list(history(lived).decided(0))[-1]


def test_what_another_config_decided_is_not_asked_of_this_one(short: Lived) -> None:
    profile = short.config.with_name("quick.toml")
    profile.write_text(profile.read_text("utf-8").replace("pm2_5 > 10", "pm2_5 > 9"), "utf-8")
    assert Past(short.folder)(home(short), last(short)) == OTHERS


def test_a_history_that_leads_elsewhere_is_not_taken_for_that_of_then(short: Lived) -> None:
    decision = last(short)
    assert Past(short.folder)(home(short), replace(decision, because="of something else")) == OTHERWISE
    assert Past(short.folder)(home(short), replace(decision, at=decision.at.plus(1))) == MISSING


def test_without_a_checkpoint_nothing_is_guessed(short: Lived) -> None:
    altered(short, "DELETE FROM snapshots WHERE id > 1", "readings.sqlite3")
    assert Past(short.folder)(home(short), last(short)) == NO_STATE


def test_what_takes_too_long_is_given_up(short: Lived) -> None:
    recall = history(short)
    assert rebuild(recall.history(), home(short), last(short), lambda: recall.readings > 50) == TOO_LONG


def test_a_gap_without_a_state_after_it_ends_what_is_known(short: Lived) -> None:
    items = list(history(short).history())
    decision = last(short)
    where = next(index for index, item in enumerate(items) if item.at == decision.at)
    gap = Opening(items[where - 1].at, "what was heard before is lost")
    assert (
        rebuild([*items[: where - 1], gap, *items[where:]], home(short), decision, lambda: False) == NO_STATE
    )
    assert isinstance(items[where], Moment)
    assert LinkChanged(True) in items[1].events
