"""Devices that speak no dialect: what is declared is read, and nothing is guessed."""

import json

import pytest

from appliance.core.payloads import Decoder
from appliance.core.payloads.lines import decode_line
from appliance.core.payloads.message import Catalogue, Message
from appliance.core.payloads.plain import Plain, PlainField, PlainSource, PlainTarget
from appliance.errors import ConfigError, UnknownFormat


def said(source: PlainSource, topic: str, payload: str) -> dict:
    line = json.dumps({"topic": topic, "payload": payload, "retain": False})
    return decode_line(line, Decoder([Plain((source,))]), Catalogue())[0]


def values(source: PlainSource, topic: str, payload: str) -> dict:
    return {reading["metric"]: reading["value"] for reading in said(source, topic, payload)["readings"]}


BARE = PlainSource("room", "room/pm", (PlainField("pm2_5", "", "ug/m3"),))


@pytest.mark.parametrize("payload", ["nan", "NaN", "inf", "-inf", "Infinity", "1e400", "1_000", "١٢", "unavailable", "Unknown", "", "true", "0x10", "12,5", "9" * 100, "-1", "65535"])  # fmt: skip
def test_what_is_no_number_or_a_sentinel_gives_no_reading(payload) -> None:
    told = said(BARE, "room/pm", payload)
    assert told["readings"] == []
    assert sum(told["dropped"].values()) == 1


@pytest.mark.parametrize(("payload", "value"), [("14", 14), (" 12.4\n", 12.4), ("1.2e1", 12.0), ("0", 0)])
def test_a_bare_number_is_read_as_it_stands(payload, value) -> None:
    told = values(BARE, "room/pm", payload)["pm2_5"]
    assert (told, type(told)) == (value, type(value))


def test_a_key_with_a_dot_is_reached_by_a_json_pointer() -> None:
    source = PlainSource(
        "v", "v", (PlainField("pm2_5", "/VINDRIKTNING/PM2.5", "µg/m³"), PlainField("co2", "/a~1b/0", "ppm"))
    )
    assert values(source, "v", '{"VINDRIKTNING":{"PM2.5":17},"a/b":["612"]}') == {"pm2_5": 17, "co2": 612}


def test_a_unit_in_another_spelling_or_size_becomes_the_quantity_s_own() -> None:
    source = PlainSource("x", "x", (PlainField("pressure", "p", "Pa"), PlainField("energy", "e", "Wh")))
    assert values(source, "x", '{"p":100613.25,"e":1234.5}') == {"pressure": 1006.13, "energy": 1.2345}


def test_a_sentinel_in_another_unit_is_one_too() -> None:
    source = PlainSource("x", "x", (PlainField("temperature", "t", "°F"),))
    assert said(source, "x", '{"t":-196.6}')["dropped"] == {"sentinel": 1}


def test_two_topics_of_one_device_keep_their_own_fields() -> None:
    decoder = Decoder(
        [
            Plain(
                (
                    PlainSource("one", "one/in", (PlainField("temperature", "t", "°C"),)),
                    PlainSource("one", "one/out", (PlainField("temperature", "x.t", "°F"),)),
                )
            )
        ]
    )
    inside = decoder.decode(Message("one/in", b'{"t":21}'), Catalogue())
    outside = decoder.decode(Message("one/out", b'{"x":{"t":71.8}}'), Catalogue())
    assert (inside.readings[0].value, outside.readings[0].value) == (21, 22.11)
    assert inside.device == outside.device == "plain/one"


def test_a_bare_word_is_a_state() -> None:
    source = PlainSource("fan", "+/fan/state", (), (("fan_state", ""),))
    assert values(source, "attic/fan/state", "ON") == {"fan_state": "on"}
    assert said(source, "attic/fan/state", "ON")["device"] == "plain/attic"
    for payload in ("", "unavailable", "x" * 65, "\x07", "\ud800"):
        assert said(source, "attic/fan/state", payload)["readings"] == []


def test_a_state_that_is_a_number_with_no_end_is_none() -> None:
    source = PlainSource("x", "x", (), (("fan_speed", "s"),))
    assert said(source, "x", '{"s":1e400}')["readings"] == []
    assert values(source, "x", '{"s":3}') == {"fan_speed": 3}


@pytest.mark.parametrize(
    "field",
    [
        PlainField("loudness", "x", None),
        PlainField("co2", "x", "°C"),
        PlainField("temperature", "x", "kelvins"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_at_once(field) -> None:
    with pytest.raises(ConfigError):
        Plain((PlainSource("x", "x", (field,)),))


@pytest.mark.parametrize("topic", ["a/+/+", "a/#"])
def test_a_filter_that_leaves_the_device_open_is_refused(topic) -> None:
    with pytest.raises(ConfigError):
        Plain((PlainSource("x", topic, ()),))


TARGETS = (
    PlainTarget("all", "appliance/{device}/command", '{"fan":"{action}","n":{level}}'),
    PlainTarget("special", "special/{action}", "go"),
)


def test_a_command_is_filled_in() -> None:
    sent = Plain((), TARGETS).encode("plain/dev1", {"action": "high", "level": 3})
    assert sent == (Message("appliance/dev1/command", b'{"fan":"high","n":3}'),)


def test_a_placeholder_is_never_sent_as_it_stands() -> None:
    with pytest.raises(ConfigError, match="level"):
        Plain((), TARGETS).encode("plain/dev1", {"action": "high"})


@pytest.mark.parametrize("action", ["a+b", "#", "a/b", "", "\u2028"])
def test_a_command_s_word_cannot_widen_the_topic(action) -> None:
    plain = Plain((), TARGETS)
    if action == "a/b":
        assert plain.encode("plain/special", {"action": action})[0].topic == "special/a/b"
        return
    with pytest.raises(ConfigError):
        plain.encode("plain/special", {"action": action})


@pytest.mark.parametrize("topic", ["x" * 300, "room/\u2028", "room/\npm", "room/\x00", "room/\ud800"])
def test_a_topic_that_could_name_no_device_is_not_listened_to(topic) -> None:
    decoder = Decoder(
        [Plain((PlainSource("x", "room/+", (PlainField("co2", "", "ppm"),)), PlainSource("y", "+", ())))]
    )
    with pytest.raises(UnknownFormat):
        decoder.decode(Message(topic, b"612"), Catalogue())
