"""The data are not in the repository: without them these tests are skipped and say so; with CI=true they fail."""

import os

import pytest

from appliance.errors import LearnError
from appliance.learn.data import fetch


@pytest.fixture(scope="session")
def data() -> dict[str, int]:
    try:
        return fetch()
    except LearnError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
