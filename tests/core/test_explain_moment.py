"""What a person may write for a moment, around a clock change too."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.core.clock import SECOND, Instant
from appliance.core.explain.moment import decision_number, moment_ns
from appliance.errors import Malformed

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> Instant:
    return Instant(
        "boot-1", 0, round(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()) * SECOND
    )


NOW = at("2026-11-24T14:30")  # a Tuesday


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("13:00", "2026-11-24T13:00"),
        ("14:30", "2026-11-24T14:30"),
        ("19:30", "2026-11-23T19:30"),
        ("today 7:05", "2026-11-24T07:05"),
        ("yesterday 19:30", "2026-11-23T19:30"),
        (" Yesterday  19:30:15 ", "2026-11-23T19:30:15"),
        ("monday 19:30", "2026-11-23T19:30"),
        ("tuesday 14:00", "2026-11-24T14:00"),
        ("tuesday 15:00", "2026-11-17T15:00"),
        ("2 h ago", "2026-11-24T12:30"),
        ("90 s ago", "2026-11-24T14:28:30"),
        ("2026-11-20T08:00", "2026-11-20T08:00"),
        ("2026-11-20 08:00:00", "2026-11-20T08:00"),
        ("2026-11-20", "2026-11-20T00:00"),
        ("2026-11-20T07:00:00Z", "2026-11-20T08:00"),
        ("2026-11-20T09:00+02:00", "2026-11-20T08:00"),
    ],
)
def test_a_moment_is_understood_in_the_homes_zone(text, meant) -> None:
    assert moment_ns(text, NOW, BERLIN) == at(meant).wall_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "25:00",
        "12:60",
        "today 19:30",
        "2026-11-25",
        "2026-13-01",
        "9" * 80,
        "#0",
        "-1 h ago",
        "yesterday",
    ],
)
def test_what_is_no_moment_of_the_past_is_refused_with_how_to_write_one(text) -> None:
    with pytest.raises(Malformed) as refused:
        moment_ns(text, NOW, BERLIN)
    assert refused.value.hint


def test_a_night_with_a_clock_change_has_its_own_hours() -> None:
    morning = at("2026-10-25T12:00")  # at 03:00 the clocks went back to 02:00
    assert moment_ns("24 h ago", morning, BERLIN) == morning.wall_ns - 24 * 3600 * SECOND
    assert moment_ns("yesterday 12:00", morning, BERLIN) == morning.wall_ns - 25 * 3600 * SECOND


@pytest.mark.parametrize(
    ("text", "number"), [("#123", 123), (" #7 ", 7), ("#0", None), ("123", None), ("#1x", None)]
)
def test_a_decision_is_named_by_its_number(text, number) -> None:
    assert decision_number(text) == number
