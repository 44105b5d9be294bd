"""Lines of the log: one an event, short, and nothing in them that a terminal or a log reader would obey."""

import io
import json
import logging
import re
import sys

import pytest
from hypothesis import given, strategies as st

from appliance.cli.logs import MAX_LINE, JsonLines, PlainLines, set_up_logs

HOSTILE = [
    'a name\n{"at":"2026-01-01","level":"error","text":"forged"}',
    "CR\rLF\r\nNEL\x85LS\u2028PS\u2029VT\x0bFF\x0c",
    "\x1b[2J\x1b]0;title\x07\x9b31m",
    "\u202eright to left\u2066",
    "\ud800 alone",
    "a megabyte " * 100_000,
    "😀" * 100_000,
    "\x00" * 100_000,
    "%s %d %(name)s {0}",
    "",
]


def record(text: str, *, broken: bool = False) -> logging.LogRecord:
    trace = None
    if broken:
        try:
            raise ValueError(text)
        except ValueError:
            trace = sys.exc_info()
    return logging.LogRecord("appliance.test", logging.WARNING, "x.py", 1, "a device %s", (text,), trace)


@pytest.mark.parametrize("broken", [False, True], ids=["plain", "with a trace"])
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_whatever_a_name_holds_it_is_one_short_line_of_json(text, broken):
    line = JsonLines().format(record(text, broken=broken))
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= MAX_LINE
    told = json.loads(line)
    assert f"a device {text}".startswith(told["text"])
    if broken:
        assert "Error" in told["trace"] or len(text) > MAX_LINE // 20


@given(st.text(st.characters(codec=None), max_size=5000), st.booleans())
def test_no_text_makes_a_line_too_long_or_two_lines(text, broken):
    line = JsonLines().format(record(text, broken=broken))
    assert len(line) <= MAX_LINE
    assert len(line.splitlines()) == 1
    assert set(json.loads(line)) - {"trace"} == {"at", "level", "where", "text"}


def test_a_trace_keeps_its_end_which_says_what_broke():
    told = json.loads(JsonLines().format(record("x" * 300, broken=True)))
    assert told["trace"].endswith("x" * 300)
    assert told["text"] == "a device " + "x" * 300


@pytest.mark.parametrize("broken", [False, True], ids=["plain", "with a trace"])
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_a_terminal_is_given_nothing_to_obey(text, broken):
    shown = PlainLines().format(record(text, broken=broken))
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in shown if sign not in "\t\n")
    assert broken or "\n" not in shown
    assert len(shown) < 20 * MAX_LINE
    shown.encode()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)


def test_on_a_terminal_too_the_escape_does_not_come_through(root_logger):
    terminal = Terminal()
    set_up_logs("info", terminal)
    root_logger.warning("a device %s", "[red]\x1b]0;title\x07\x1b[2J")
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert "\x1b" not in without_colours
    assert r"[red]\x1b]0;title\x07\x1b[2J" in without_colours


@pytest.mark.parametrize("level", ["debug", "info", "error"])
def test_what_asks_the_edge_does_not_write_a_line_for_each_question(level, root_logger):
    stream = io.StringIO()
    set_up_logs(level, stream)
    logging.getLogger("httpx").info("HTTP Request: POST http://nas/v2/models/x/infer")
    logging.getLogger("httpcore.http11").debug("receive_response_headers.complete")
    assert stream.getvalue() == ""
    logging.getLogger("httpx").error("what matters")
    assert "what matters" in stream.getvalue()
