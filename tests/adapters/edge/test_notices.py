"""An edge that comes and goes all night writes a line an hour of each kind, not one a change."""

import logging

import pytest

from appliance.adapters.edge.notices import Notices


def test_a_flapping_edge_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    notices = Notices(logging.getLogger("edge under test"), lambda: now)
    with caplog.at_level(logging.DEBUG):
        for minute in range(24 * 60):
            now = minute * 60.0
            notices.say("gone", logging.WARNING, "no edge")
            notices.say("back", logging.WARNING, "it answers again")
    levels = [record.levelname for record in caplog.records]
    assert len(levels) == 2 * 24 * 60
    assert levels.count("WARNING") == 2 * 24
    assert levels[:2] == ["WARNING", "WARNING"]
