"""Every row of the fault matrix in its quick form: a fault that costs control, or makes a command unsafe, is told by its figure."""

import os
import shutil
from collections.abc import Callable

import pytest

from tests.adapters.conftest import MOSQUITTO
from tests.faults.row import Found, Size, discover, play

ROWS = discover()


@pytest.fixture(autouse=True, scope="module")
def _a_broker_is_installed() -> None:
    if MOSQUITTO is None or shutil.which("mosquitto_pub") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Mosquitto is missing")
        pytest.skip("Mosquitto is not installed")


@pytest.mark.parametrize("found", ROWS.values(), ids=lambda found: f"{found.row.id} {found.row.fault}")
def test_the_row_holds(found: Found, record_property: Callable[[str, object], None]) -> None:
    outcome = play(found, Size(quick=True))
    for figure in outcome.figures:
        record_property(figure.name, str(figure))
        print(figure)
    assert outcome.holds, "; ".join(str(figure) for figure in outcome.figures if not figure.holds)
