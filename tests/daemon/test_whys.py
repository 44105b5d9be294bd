"""Why and why not of a home with a real store: the decision in force at a moment, on disk or only in memory yet."""

import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from appliance.adapters.clock import SystemClock
from appliance.adapters.store import Limits, Store
from appliance.core.clock import SECOND, Instant
from appliance.core.controller import Controller
from appliance.core.events import Decision, LinkChanged
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt
from appliance.daemon.control import Control
from appliance.daemon.hearing import Hearing
from appliance.daemon.past import Past
from appliance.daemon.people import People
from appliance.daemon.performing import Performer
from appliance.daemon.whys import REBUILT, RECORDED, Whys
from appliance.errors import Malformed
from appliance.replay import checkpoint
from appliance.replay.rebuilding import MISSING
from tests.core.home import PROFILE, RULE, START, appliance_of


class Clock(SystemClock):
    """A clock that the test turns."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START

    def __call__(self) -> Instant:
        return self.now


class Running:
    """A home in control with a store on disk, and no network. Seconds since its start."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.store = Store(folder, self.clock, Limits(), batch_s=3600.0)
        self.store.start()
        home = Home([appliance_of(PROFILE + RULE)], {}, ZoneInfo("UTC"))
        performer = Performer(lambda topic, payload: True, [Zigbee2mqtt()], self.store, home.reporters)
        self.intake = Intake(Decoder([Zigbee2mqtt()]))
        hearing = Hearing("appliance", People(home.appliances))
        controller = Controller(home, home.at_start({}, START))
        self.control = Control(controller, self.intake, performer, self.clock, hearing)
        self.whys = Whys(self.control, self.store, Past(folder))
        self.store.checkpoint(partial(checkpoint.pack, home, controller.state), START)
        self.control.turn([LinkChanged(True)], START)

    def say(self, at: float, dust: float) -> None:
        self.clock.now = START.plus(round(at * SECOND))
        payload = msgspec.json.encode({"pm25": dust})
        self.control.turn(self.intake.events([Message("zigbee2mqtt/air", payload, False)]), self.clock.now)

    def flush(self) -> None:
        told = threading.Event()
        self.store.flush(lambda error: told.set())
        assert told.wait(20)

    @property
    def last(self) -> Decision:
        last = self.control.controller.state.appliances["fan"].last
        assert last is not None
        return last


@pytest.fixture
async def home(tmp_path) -> AsyncIterator[Running]:
    running = Running(tmp_path)
    for minute in range(10):
        running.say(60 * minute + 5, 50 if minute % 4 >= 2 else 8)
    running.clock.now = START.plus(3600 * SECOND)
    yield running
    running.store.close()


def at(seconds: float) -> str:
    return START.plus(round(seconds * SECOND)).isoformat()


@pytest.mark.parametrize("restarted", [False, True], ids=["in memory", "on disk"])
async def test_the_decision_in_force_is_found_on_both_sides_of_its_first_instant(
    home, tmp_path, restarted
) -> None:
    if restarted:
        home.store.close()
        home.store = Store(tmp_path, home.clock, Limits(), batch_s=3600.0)
        home.store.start()
        home.whys = Whys(home.control, home.store, Past(tmp_path))
    # Dusty from 125 s to 245 s, and again from 365 s.
    for seconds, action in (
        (124.999, "off"),
        (125, "high"),
        (244.999, "high"),
        (245, "off"),
        (365, "high"),
        (2000, "off"),
    ):
        told = await home.whys.why("fan", at(seconds), flip=False)
        assert told is not None
        assert told.decision.decision.action == action, seconds
        assert told.sentence.startswith(action)
    assert await home.whys.why("fan", "2025-12-31", flip=False) is None


async def test_a_decision_is_found_by_its_number_and_only_under_its_own_appliance(home) -> None:
    number = home.last.id
    told = await home.whys.why("fan", f"#{number}", flip=False)
    assert told is not None
    assert told.decision.decision == home.last
    assert await home.whys.why("fan", f"#{number + 1}", flip=False) is None


async def test_a_gap_in_which_nobody_decided_is_told(home) -> None:
    quiet = await home.whys.why("fan", at(3000), flip=False)
    assert "nobody decided from then" in quiet.lines[-1]
    busy = await home.whys.why("fan", at(550), flip=False)
    assert "nobody decided" not in busy.lines[-1]


async def test_why_not_of_the_past_tells_the_values_of_then(home) -> None:
    told = await home.whys.why_not("fan", "high", at(60))
    assert told.sentence == (
        "not high, because nobody asks for more than off: dusty needs pm2_5 above 35 µg/m³, it is 8 µg/m³."
    )


async def test_the_flip_of_the_past_rests_on_the_record_where_no_state_was_kept(home) -> None:
    told = await home.whys.why("fan", at(130), flip=True)
    assert told.flips.basis == f"{RECORDED} ({MISSING})"
    assert (told.flips.nearest.value, told.flips.nearest.action) == (19.9, "off")


async def test_the_flip_of_the_past_is_that_of_the_very_state_of_then(home) -> None:
    home.flush()
    told = await home.whys.why("fan", at(130), flip=True)
    assert told.flips.basis == REBUILT
    # The hold came into being by that reading: before it, any value up to the limit would have left it off.
    assert (told.flips.nearest.value, told.flips.nearest.action) == (35.0, "off")
    assert REBUILT in (await home.whys.why_not("fan", "off", at(130))).lines[-1]


async def test_the_flip_of_now_is_what_the_controller_then_does(home) -> None:
    home.clock.now = START.plus(546 * SECOND)
    told = await home.whys.why("fan", None, flip=True)
    nearest = told.flips.nearest
    before = home.last.action
    home.say(560, nearest.value + (0.1 if nearest.value < nearest.was else -0.1))
    assert home.last.action == before
    home.say(575, nearest.value)
    assert home.last.action == nearest.action != before


async def test_without_a_disk_the_newest_are_told_from_memory(tmp_path) -> None:
    folder = tmp_path / "gone"
    folder.write_text("a file where a folder should be")
    running = Running(folder)
    try:
        running.say(5, 50)
        told = await running.whys.why("fan", at(5), flip=False)
        assert told.decision.decision.action == "high"
        assert not told.decision.recorded
        assert await running.whys.why("fan", "2025-12-31", flip=False) is None
    finally:
        running.store.close()


async def test_what_names_no_moment_is_refused(home) -> None:
    with pytest.raises(Malformed):
        await home.whys.why("fan", "soon", flip=False)
    with pytest.raises(Malformed):
        await home.whys.why_not("fan", "high", "2999-01-01")
