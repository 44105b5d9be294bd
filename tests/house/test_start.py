"""What a start carries: nothing on the way to the first decision that nobody decides with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapters.conftest import free_port
from tests.core.home import PROFILE, RULE

ROOT = Path(__file__).parents[2]
CONFIG = """
[mqtt]
port = {port}
[appliances.fan]
profile = "fan.toml"
device = "zigbee2mqtt/fan"
[appliances.fan.channels]
pm2_5 = "zigbee2mqtt/air"
"""
UNTIL_THE_FIRST_DECISION = """
import asyncio, json, os, signal, sys
from pathlib import Path
from appliance.cli import cli

command = cli.get_command(None, "run")  # as the command line itself comes to it
from appliance.config import load_settings
from appliance.daemon import run

def decided(decision):
    if not told:
        told.append({"modules": sorted(sys.modules), "variables": dict(os.environ)})
        os.kill(os.getpid(), signal.SIGTERM)

told = []
asyncio.run(run(load_settings(Path(sys.argv[1])), observers=[decided]))
print(json.dumps(told[0]))
"""
LATER = [
    "fastapi", "starlette", "uvicorn", "anyio", "h11", "httpx",  # the page: once control is up
    "sqlite_utils",  # a store that is migrated
    "rich",  # a terminal
    "appliance.adapters.http.app", "appliance.adapters.http.models",
    "appliance.learn", "appliance.simulate", "appliance.prove.insist", "z3", "sklearn", "onnx", "matplotlib",
    "multiprocessing", "unittest",
]  # fmt: skip


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("start")
    (folder / "fan.toml").write_text(PROFILE + RULE, encoding="utf-8")
    config = folder / "config.toml"
    config.write_text(CONFIG.format(port=free_port()), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS")}
    environment["STATE_DIRECTORY"] = str(folder / "state")
    for _ in range(2):  # the first start of all makes the store, with tools of its own
        told = subprocess.run(
            [sys.executable, "-c", UNTIL_THE_FIRST_DECISION, str(config)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=environment,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
    return json.loads(told.stdout.splitlines()[-1])


def test_the_first_decision_waits_for_no_web_stack_and_no_tool(start) -> None:
    assert [name for name in LATER if name in start["modules"]] == []


def test_a_home_without_a_model_loads_no_runtime_of_models(start) -> None:
    assert [name for name in ("onnxruntime", "numpy") if name in start["modules"]] == []


def test_libraries_are_told_to_be_small_before_they_are_imported(start) -> None:
    variables = start["variables"]
    assert (variables["OPENBLAS_NUM_THREADS"], variables["PYDANTIC_DISABLE_PLUGINS"]) == ("1", "__all__")
