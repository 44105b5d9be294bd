"""Until when a person's word holds, as it is shown to them."""

from zoneinfo import ZoneInfo

import pytest

from appliance.core import overrides
from appliance.core.clock import SECOND, Instant

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "wall_ns", [1_793_534_699_123_456_789, 1_793_534_700_999_999_999, 1_793_533_000_000_000_001]
)
def test_a_time_of_day_is_kept_and_shown_to_the_minute_that_was_said(wall_ns: int) -> None:
    """A few nanoseconds too early, and 06:45 is shown as 06:44."""
    override = overrides.begin("low", "page", Instant("b", 5, wall_ns), SECOND, until="06:45", zone=BERLIN)
    assert override.until is not None
    assert override.until.wall_ns % (60 * SECOND) == 0
    assert overrides.ending(override, BERLIN) == "06:45"
