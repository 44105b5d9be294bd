"""What protects the device and whoever is near it: words of sensors, leases, meters, long runs, and others' turns."""

import tomllib
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from appliance.core.assembly import assemble
from appliance.core.clock import SECOND
from appliance.core.controller import Controller
from appliance.core.events import LinkChanged, PersonSpoke, Reading, SendCommand, StateReported, Tick
from appliance.core.guards.exclusion import Exclusion
from appliance.core.home import Home
from appliance.core.profile import Binding, read_profile
from appliance.errors import ProfileError
from tests.core.home import GUARDS, PROFILE, RULE, START, House

WINDOW = """
[channels.window]
metric = "contact"
max_age = "2 h"
words = { open = [false, "open"], closed = [true, "closed"] }
[[rules]]
id = "window"
when = "window is open"
at_most = "low"
because = "the window is {window}"
[[rules]]
id = "unseen"
when = "window is unknown and pm2_5 > 100"
exactly = "low"
because = "nobody knows the window"
"""
BOUND = {
    "pm2_5": (("zigbee2mqtt/air", None),),
    "window": (("zigbee2mqtt/left", None), ("zigbee2mqtt/right", None)),
}


def test_one_open_window_is_open_and_one_unheard_window_is_unknown() -> None:
    house = House(PROFILE + RULE + WINDOW, channels=BOUND)
    house.report(0, "off")
    house.say(1, "air", pm25=50)
    assert house.last.action == "high"
    house.say(2, "left", contact=True)
    house.say(2.5, "air", pm25=120)
    assert house.last.action == "low"
    assert any(voice.source == "rule unseen" for voice in house.last.voices)
    house.say(2.7, "air", pm25=50)
    house.say(3, "right", contact=False)
    assert house.last.action == "low"
    assert any(voice.because == "the window is open" for voice in house.last.voices)
    house.say(4, "right", contact=True)
    assert house.last.action == "high"


@pytest.mark.parametrize("said", [{"contact": 1}, {"contact": "ajar"}, {"contact": None}])
def test_a_word_that_nobody_understands_is_none(said) -> None:
    house = House(PROFILE + RULE + WINDOW, channels={**BOUND, "window": (("zigbee2mqtt/left", None),)})
    house.report(0, "off")
    house.say(1, "left", **said)
    window = next(seen for seen in house.last.inputs if seen.channel == "window")
    assert window.value is None


def test_a_retained_word_is_of_unknown_age_and_an_old_one_ends() -> None:
    house = House(PROFILE + RULE + WINDOW, channels={**BOUND, "window": (("zigbee2mqtt/left", None),)})
    house.report(0, "off")
    house.say(1, "left", retain=True, contact=False)
    house.say(2, "air", pm25=50)
    assert house.last.action == "high"
    house.say(3, "left", contact=False)
    assert house.last.action == "low"
    for at in range(60, 7400, 60):
        house.say(at, "air", pm25=50 + at % 7)
    assert house.last.action == "high", "two hours later nobody knows the window"


# ---------------------------------------------------------------- leases

PLUG = """
name = "heater"
title = "A heater"
actions = ["off", "on"]
rest = "off"
safe = "off"
hold = "1 h"
[lease]
for = "10 min"
required = true
[channels.temperature]
max_age = "120 s"
[channels.power]
[[rules]]
id = "cold"
when = "temperature < 20"
until = "temperature > 21"
exactly = "on"
because = "it is {temperature}"
[[rules]]
id = "blind"
when = "temperature is unknown"
exactly = "off"
authority = "EQUIPMENT"
because = "nobody knows how warm it is"
[guards.feedback]
channel = "power"
on_above = "1 W"
off_below = "5 W"
[guards.longest_run]
for = "2 h"
rest = "30 min"
[guards.switches]
per_hour = 30
[fallback]
because = "nobody asks"
[commands.zigbee2mqtt]
off = { set = { state = "OFF" }, seen = { state = "off" } }
on = { set = { state = "ON" }, lease = { on_time = "seconds" }, seen = { state = "on" } }
"""
SENSOR = {"temperature": (("zigbee2mqtt/air", None),), "power": (("zigbee2mqtt/fan", None),)}


def heated() -> House:
    house = House(PLUG, channels=SENSOR)
    house.say(0, "fan", state="OFF")
    house.say(1, "air", temperature=18.0)
    house.say(2, "fan", state="ON")
    return house


def test_a_lease_is_given_with_the_command_and_renewed_before_the_device_ends_it() -> None:
    house = heated()
    for at in range(60, 1900, 60):
        house.say(at, "air", temperature=18.0 + at % 7 / 10)
    sent = [(at, effect.command) for at, effect in house.effects if isinstance(effect, SendCommand) and at]
    assert all(command == {"on_time": 600, "state": "ON"} for _, command in sent)
    times = [at for at, _ in sent]
    assert max(later - earlier for earlier, later in pairwise(times)) < 400
    assert len(house.memory.switches) == 2, "off at the start and on once: a renewed lease is no switch"


def test_a_lease_that_ran_out_is_nobody_s_hand_and_the_device_is_told_again() -> None:
    house = heated()
    house.events(3, LinkChanged(False))
    house.let_pass(602)
    house.events(602.5, LinkChanged(True))
    house.say(615, "air", temperature=18.0)
    house.say(620, "fan", state="OFF")
    assert house.memory.override is None
    house.say(640, "air", temperature=18.1)
    assert house.commands[-1][1] == "on"


def test_a_hand_between_two_renewals_is_a_hand() -> None:
    house = heated()
    for at in range(60, 420, 60):
        house.say(at, "air", temperature=18.0)
    house.say(421, "fan", state="OFF")
    assert house.last.source == "person by device"


def test_a_silent_sensor_ends_the_heating_within_its_age_and_control_comes_back_by_itself() -> None:
    house = heated()
    house.let_pass(400)
    at = next(at for at, action in house.commands if action == "off")
    assert at - 1 <= 122
    house.say(401, "fan", state="OFF")
    house.say(460, "air", temperature=18.0)
    assert house.commands[-1] == (460, "on")


def test_a_device_without_a_timer_is_refused_unless_the_owner_says_otherwise() -> None:
    bare = PLUG.replace(' lease = { on_time = "seconds" },', "")
    with pytest.raises(Exception, match="would go on"):
        House(bare, channels=SENSOR)
    assert House(bare, channels=SENSOR, without_lease=True).spec.actuator.lease_ns is None


# ---------------------------------------------------------------- meters and long runs


def test_what_is_off_and_draws_power_is_a_fault_and_what_is_on_and_draws_none_too() -> None:
    house = heated()
    house.say(60, "air", temperature=18.0)
    house.say(100, "fan", state="ON", power=0.0)
    assert any("on and draws 0 W" in text for text in house.notices)
    house.say(110, "air", temperature=25.0)
    house.say(111, "fan", state="OFF", power=800.0)
    assert not any("still draws" in text for text in house.notices), "within a minute of the change"
    house.say(200, "fan", state="OFF", power=800.0)
    assert any("still draws 800 W" in text for text in house.notices)
    assert house.last.source == "guard feedback"
    house.say(260, "fan", state="OFF", power=0.3)
    assert house.last.source != "guard feedback"


def test_a_long_run_ends_in_a_rest_and_a_short_one_owes_none() -> None:
    house = heated()
    for at in range(60, 7260, 60):
        house.say(at, "air", temperature=18.0 + at % 5 / 10)
    house.say(7203, "fan", state="OFF")
    stopped = next(at for at, action in house.commands if action == "off" and at)
    assert stopped == pytest.approx(7201, abs=31)
    for at in range(7260, 9600, 60):
        house.say(at, "air", temperature=18.0 + at % 5 / 10)
    again = next(at for at, action in house.commands if at > stopped and action == "on")
    assert again - stopped == pytest.approx(1800, abs=61)


# ---------------------------------------------------------------- several appliances

TWO = PROFILE + RULE


def both(*, watching: str = "") -> tuple[Controller, Home]:
    specs = []
    for name, other in (("heater", "dryer"), ("dryer", "heater")):
        higher, lower = ((), (other,)) if name == "heater" else ((other,), ())
        binding = Binding(
            name,
            f"zigbee2mqtt/{name}",
            channels={"pm2_5": ((f"zigbee2mqtt/{name}_air", None),)},
            excludes=(("fuse", higher, lower),),
            rules={}
            if not watching or name == "heater"
            else {"watch": {"when": watching, "at_least": "low", "because": "x"}},
        )
        specs.append(
            assemble(
                read_profile(tomllib.loads(TWO), where="p"),
                binding,
                GUARDS,
                where="p",
                others={other: ("off", "low", "high", "auto")},
            )
        )
    home = Home(specs, {}, ZoneInfo("UTC"))
    return Controller(home, home.at_start({}, START)), home


def drive(controller: Controller, at: float, *events: object) -> list[tuple[str, str]]:
    effects = controller.handle(list(events), START.plus(round(at * SECOND)))
    return [(effect.appliance, effect.action) for effect in effects if isinstance(effect, SendCommand)]


def reported(name: str, mode: str) -> StateReported:
    device = f"zigbee2mqtt/{name}"
    state = "off" if mode == "off" else "on"
    return StateReported(
        device, (Reading(device, "fan_mode", mode, None), Reading(device, "fan_state", state, None))
    )


def heard(name: str, value: float) -> object:
    from appliance.core.events import ReadingArrived

    device = f"zigbee2mqtt/{name}_air"
    return ReadingArrived(device, (Reading(device, "pm2_5", value, "µg/m³"),))


def test_who_goes_first_waits_until_the_other_has_stopped_and_both_never_run() -> None:
    controller, _ = both()
    drive(controller, 0, LinkChanged(True), reported("heater", "off"), reported("dryer", "off"))
    assert drive(controller, 1, heard("dryer", 50)) == [("dryer", "high")]
    drive(controller, 2, reported("dryer", "9"))
    # The heater wants to run: the dryer is stopped at once, the heater waits for its report.
    assert drive(controller, 60, heard("heater", 50)) == [("dryer", "off")]
    assert drive(controller, 61, Tick()) == []
    assert drive(controller, 62, reported("dryer", "off")) == [("heater", "high")]
    assert drive(controller, 90, heard("dryer", 60)) == []


def test_the_lower_one_stays_off_while_the_higher_one_is_not_known_to_be_off() -> None:
    controller, _ = both()
    drive(controller, 0, LinkChanged(True), reported("dryer", "off"))
    assert drive(controller, 1, heard("dryer", 50)) == []
    assert drive(controller, 2, reported("heater", "off")) == [("dryer", "high")]


def test_two_appliances_that_watch_each_other_come_to_rest_within_one_event() -> None:
    controller, home = both(watching="state of heater is off")
    assert "dryer" in home.watchers["heater"]
    drive(controller, 0, LinkChanged(True), reported("dryer", "off"))
    assert drive(controller, 1, reported("heater", "off")) == [("dryer", "low")]


def test_an_override_waits_for_another_appliance_only_where_its_doing_is_known() -> None:
    """Of one that nothing here looks at, nobody would ever say that it is off."""
    controller, _ = both()
    drive(controller, 0, LinkChanged(True), reported("dryer", "off"), reported("heater", "9"))
    until = "state of heater is off"
    assert drive(controller, 1, PersonSpoke("dryer", "low", "http", until=until)) == []
    assert controller.state.appliances["dryer"].memory.override is not None
    drive(controller, 60, reported("heater", "off"))
    assert controller.state.appliances["dryer"].memory.override is None
    alone = assemble(
        read_profile(tomllib.loads(TWO), where="p"),
        Binding("a", "zigbee2mqtt/a"),
        GUARDS,
        where="p",
        others={"heater": ("off", "on")},
    )
    with pytest.raises(ProfileError, match="no appliance 'heater'"):
        alone.ends.condition(until)


def test_an_exclusion_that_would_keep_from_safety_is_refused() -> None:
    vent = TWO.replace('safe = "off"', 'safe = "high"')
    with pytest.raises(Exception, match="safe action"):
        assemble(
            read_profile(tomllib.loads(vent), where="p"),
            Binding("a", "zigbee2mqtt/a", excludes=(("fuse", (), ("b",)),)),
            GUARDS,
            where="p",
        )
    assert Exclusion
