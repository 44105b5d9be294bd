"""A home whose network ends at the broker: everything works, and a capture of its only cable shows whom it spoke to."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.conftest import ROOT, until_sync
from tests.core.home import PROFILE, RULE

BROKER, HOME, EDGE = "10.99.0.1", "10.99.0.2", "10.99.0.9"
CONFIG = """
[mqtt]
host = "10.99.0.1"
[store]
folder = "state"
[http]
port = 0
[appliances.fan]
profile = "fan.toml"
device = "zigbee2mqtt/fan"
[appliances.fan.channels]
pm2_5 = "zigbee2mqtt/air"
co2 = "zigbee2mqtt/air"
temperature = "zigbee2mqtt/air"
"""
LEARNED = '[channels.temperature]\n[channels.presence]\nmodel = "presence"\nwords = ["nobody", "somebody"]\n[fallback]'


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


class Cable:
    """Two network namespaces and the cable between them; `spoken` is whom the home's end sent anything to: (address, protocol, port)."""

    def __init__(self) -> None:
        name = uuid.uuid4().hex[:6]
        self.home, self.world = f"home{name}", f"world{name}"
        self.spoken: set[tuple[str, int, int]] = set()
        self._ends = threading.Event()
        for space in (self.home, self.world):
            ip("netns", "add", space)
            ip("-n", space, "link", "set", "lo", "up")
        ip(
            "link",
            "add",
            "h" + name,
            "netns",
            self.home,
            "type",
            "veth",
            "peer",
            "name",
            "w" + name,
            "netns",
            self.world,
        )
        for space, end, address in ((self.home, "h" + name, HOME), (self.world, "w" + name, BROKER)):
            ip("-n", space, "address", "add", f"{address}/24", "dev", end)
            ip("-n", space, "link", "set", end, "up")
        # Whatever it wanted to reach in the wide world would go over this cable.
        ip("-n", self.home, "route", "add", "default", "via", BROKER)
        opened = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=("w" + name, opened), daemon=True)
        self._thread.start()
        assert opened.wait(10)

    def _listen(self, end: str, opened: threading.Event) -> None:
        with open(f"/run/netns/{self.world}", encoding="ascii") as space:
            os.setns(space.fileno(), 0x40000000) if hasattr(os, "setns") else _setns(space.fileno())
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800)) as tap:
                tap.bind((end, 0x0800))
                tap.settimeout(0.2)
                opened.set()
                while not self._ends.is_set():
                    try:
                        frame = tap.recv(65535)
                    except TimeoutError:
                        continue
                    source, target = (socket.inet_ntoa(frame[at : at + 4]) for at in (26, 30))
                    if source == HOME:
                        rest = 14 + (frame[14] & 15) * 4
                        port = (
                            struct.unpack("!H", frame[rest + 2 : rest + 4])[0] if frame[23] in (6, 17) else 0
                        )
                        self.spoken.add((target, frame[23], port))

    def inside(self, space: str, *command: str, **given) -> subprocess.Popen:
        return subprocess.Popen(["ip", "netns", "exec", space, *command], **given)

    def end(self) -> None:
        self._ends.set()
        self._thread.join(5)
        for space in (self.home, self.world):
            ip("netns", "delete", space)


def _setns(handle: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def cable() -> Iterator[Cable]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces are root's, and need ip (iproute2)")
    try:
        made = Cable()
    except (subprocess.CalledProcessError, OSError) as refused:
        pytest.skip(f"no network namespaces here: {refused}")
    yield made
    made.end()


@pytest.fixture
def run(cable: Cable) -> Iterator[Callable[..., subprocess.Popen]]:
    running: list[subprocess.Popen] = []

    def start(space: str, *command: str, **given) -> subprocess.Popen:
        running.append(cable.inside(space, *command, **given))
        return running[-1]

    yield start
    for process in reversed(running):
        process.terminate()
        process.wait(15)


@pytest.mark.parametrize("edge", [False, True], ids=["no edge", "an edge that is away"])
def test_a_home_that_reaches_its_broker_alone_works_and_speaks_to_nobody_else(
    cable: Cable, run, tmp_path: Path, edge: bool
) -> None:
    (tmp_path / "fan.toml").write_text((PROFILE + RULE).replace("[fallback]", LEARNED), "utf-8")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG + (f'[edge]\nurl = "http://{EDGE}:8478"\n' if edge else ""), "utf-8")
    broker = tmp_path / "mosquitto.conf"
    broker.write_text(f"listener 1883 {BROKER}\nallow_anonymous true\nuser root\n", "ascii")
    mosquitto = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if mosquitto is None:
        pytest.skip("mosquitto is not installed")
    run(cable.world, mosquitto, "-c", str(broker), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with (tmp_path / "log").open("wb") as log:
        run(
            cable.home,
            sys.executable,
            "-m",
            "appliance",
            "run",
            "--config",
            str(config),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )

    def say(device: str, **payload) -> None:
        subprocess.run(
            ["ip", "netns", "exec", cable.world, "mosquitto_pub", "-h", BROKER, "-t", f"zigbee2mqtt/{device}", "-m", json.dumps(payload)],
            check=True, timeout=20,
        )  # fmt: skip

    def ask(path: str) -> dict:
        url = (tmp_path / "state" / "url").read_text().strip().rstrip("/")
        asking = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
        told = subprocess.run(
            ["ip", "netns", "exec", cable.home, sys.executable, "-c", asking, url + path],
            check=True, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        return json.loads(told.stdout)

    until_sync((tmp_path / "state" / "url").exists, 30)
    until_sync(lambda: ask("/healthz")["ready"], 30)
    heard = tmp_path / "heard"
    with heard.open("wb") as file:
        run(cable.world, "mosquitto_sub", "-h", BROKER, "-v", "-t", "zigbee2mqtt/#", stdout=file)

    def listening() -> bool:
        say("fan", fan_mode="off", fan_state="OFF")
        return "zigbee2mqtt/fan {" in heard.read_text("utf-8")

    until_sync(listening, 20)
    say("air", pm25=40, co2=800, temperature=20)
    until_sync(
        lambda: 'zigbee2mqtt/fan/set {"fan_mode":"9"}' in heard.read_text("utf-8").replace(": ", ":"), 20
    )
    assert ask("/v1/appliances/fan/why")["sentence"].startswith("high, because")
    assert ask("/v1/decisions")["decisions"]
    allowed = {(BROKER, 6, 1883)}
    if edge:
        until_sync(lambda: any(part["name"] == "edge" and part["state"] == "degraded" for part in ask("/healthz")["parts"]), 30)  # fmt: skip
        allowed.add((EDGE, 6, 8478))
    assert cable.spoken, "the capture captures nothing"
    assert cable.spoken <= allowed
