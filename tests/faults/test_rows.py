"""Every row of the fault matrix in its quick form: a fault that costs control, or makes a command unsafe, is told by its figure."""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from tests.adapters.conftest import MOSQUITTO
from tests.faults.row import Outcome, Size, discover, play_all

ROWS = discover()


@pytest.fixture(autouse=True, scope="module")
def _a_broker_is_installed() -> None:
    if MOSQUITTO is None or shutil.which("mosquitto_pub") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Mosquitto is missing")
        pytest.skip("Mosquitto is not installed")


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Outcome]]]:
    """The rows that are asked for, several at a time: they mostly wait."""
    asked = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.name.startswith("test_the_row_holds")
    }
    coming = play_all([found for name, found in ROWS.items() if name in asked], Size(quick=True))
    yield coming
    for future in coming.values():
        future.cancel()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ROWS, ids=lambda name: f"{name} {ROWS[name].row.fault}")
def test_the_row_holds(
    name: str, outcomes: dict[str, Future[Outcome]], record_property: Callable[[str, object], None]
) -> None:
    outcome = outcomes[name].result()
    if outcome.unavailable is not None:
        pytest.skip(outcome.unavailable)
    for figure in outcome.figures:
        record_property(figure.name, str(figure))
        print(figure)
    assert outcome.holds, "; ".join(str(figure) for figure in outcome.figures if not figure.holds)
