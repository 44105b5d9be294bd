"""Which server the contract is checked on: --edge-url or $APPLIANCE_EDGE_URL, else one of our own, with the models of this release."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--edge-url", help="a server of the Open Inference Protocol v2, as http://host:port")
    parser.addoption("--edge-model", help="a model of it: FP32 [-1,F] in, FP32 [-1,L] out (presence)")


@pytest.fixture(scope="session")
def foreign(request) -> str | None:
    """The URL of a server that is not started here."""
    return request.config.getoption("--edge-url", default=None) or os.environ.get("APPLIANCE_EDGE_URL")


@pytest.fixture(scope="session")
def model(request) -> str:
    return request.config.getoption("--edge-model", default=None) or "presence"


@pytest.fixture(scope="session")
def url(foreign) -> Iterator[str]:
    if foreign:
        yield foreign.rstrip("/")
        return
    command = [
        sys.executable,
        "-m",
        "appliance",
        "edge",
        "serve",
        "--models",
        str(ROOT / "models"),
        "--port",
        "0",
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as ours:
        assert ours.stdout is not None
        line = ours.stdout.readline()
        assert line.startswith("serving on ")
        try:
            yield line.removeprefix("serving on ").strip()
        finally:
            ours.send_signal(signal.SIGTERM)
            assert ours.wait(30) == 0
