"""What every dialect promises, run on each because its file exists."""

import pytest

from appliance.core import guards, payloads
from appliance.core.guards import Guard
from appliance.core.payloads.message import Catalogue, Message
from appliance.core.payloads.plain import Plain, PlainTarget
from appliance.core.registry import discover
from appliance.errors import ConfigError

DIALECTS = {name: module.DIALECT() for name, module in discover(payloads, "DIALECT").items()}
DIALECTS["plain"] = Plain((), (PlainTarget("x", "cmd/{device}", "{POWER}"),))


def test_the_three_dialects_are_found() -> None:
    assert set(DIALECTS) == {"zigbee2mqtt", "tasmota", "plain"}


@pytest.mark.parametrize("name", DIALECTS)
def test_its_name_is_its_file_s_and_prefixes_its_devices(name) -> None:
    assert DIALECTS[name].name == name


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("topic", ["", "/", "a", "somebody/else/7", "\u2028", "x" * 300])
def test_a_topic_of_others_is_not_claimed(name, topic) -> None:
    assert DIALECTS[name].decode(Message(topic, b"{}"), Catalogue()) is None


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("device", ["a+b", "a#", "\x00", "a\u2028", "", "x" * 200, "a\nb"])
def test_a_name_that_is_no_topic_is_refused(name, device) -> None:
    with pytest.raises(ConfigError):
        DIALECTS[name].encode(f"{name}/{device}", {"POWER": "ON"})


@pytest.mark.parametrize("name", DIALECTS)
def test_a_command_never_goes_to_a_topic_that_it_would_hear_as_a_reading(name) -> None:
    for message in (
        *DIALECTS[name].encode(f"{name}/x", {"POWER": "ON"}),
        *DIALECTS[name].ask(f"{name}/x", ("POWER",)),
    ):
        decoded = DIALECTS[name].decode(message, Catalogue())
        assert decoded is None or not (decoded.readings or decoded.states)


def test_every_guard_has_a_plug_of_its_file_s_name() -> None:
    found = discover(guards, "GUARD")
    assert set(found) == {
        "dwell",
        "exclusion",
        "feedback",
        "longest_run",
        "minimum_off",
        "minimum_on",
        "switches",
    }
    for name, module in found.items():
        assert module.GUARD.name == name
        assert {"from_table", "propose", "fault", "wakes_ns"} <= set(dir(module.GUARD))
        assert Guard
