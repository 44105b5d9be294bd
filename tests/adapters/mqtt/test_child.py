"""Brokers that we start ourselves: they serve, and none outlives its parent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.adapters.mqtt import embedded, mosquitto
from tests.adapters.conftest import MOSQUITTO, ROOT, until, until_sync
from tests.adapters.mqtt.conftest import Ear, listening

PARENT = """
import sys, time
from appliance.adapters.mqtt import {maker}
print({maker}()._process.pid, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    """Whether nothing runs under this number; a dead child that nobody has waited for counts as gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


@pytest.fixture(params=["mosquitto", "embedded"])
def maker(request: pytest.FixtureRequest) -> str:
    if request.param == "embedded":
        pytest.importorskip("amqtt")
    elif MOSQUITTO is None:
        pytest.skip("Mosquitto is not installed")
    return request.param


async def test_a_child_broker_serves_and_leaves_nothing(maker: str) -> None:
    child = {"mosquitto": mosquitto, "embedded": embedded}[maker]()
    try:
        async with listening(Ear(child.port)) as ear:
            assert ear.link.publish("t/a", b"1")
            await until(lambda: ear.payloads == [b"1"])
    finally:
        child.stop()
    assert gone(child._process.pid)
    child.stop()  # twice is once
    if child._folder is not None:
        assert not os.path.exists(child._folder.name)


def test_a_child_broker_ends_when_its_parent_is_killed(maker: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(maker=maker)], cwd=ROOT, stdout=subprocess.PIPE
    )
    with parent:
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    until_sync(lambda: gone(pid), 10)
