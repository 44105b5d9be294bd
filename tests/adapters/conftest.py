"""A real Mosquitto on loopback, and waiting for a condition instead of sleeping."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOSQUITTO = shutil.which("mosquitto") or (
    "/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None
)
CONF = "allow_anonymous true\npersistence false\nlog_type error\nset_tcp_nodelay true\nmax_queued_messages 100000\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def until(condition: Callable[[], object], timeout_s: float = 15.0) -> float:
    """Wait until `condition` holds; return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"not within {timeout_s} s")
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def until_sync(condition: Callable[[], object], timeout_s: float = 15.0) -> float:
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(0.01)
    return time.monotonic() - began


class Broker:
    """A Mosquitto that can be stopped, started again on its port, and frozen."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.conf = CONF

    def start(self) -> None:
        path = self.folder / "mosquitto.conf"
        user = "user root\n" if os.getuid() == 0 else ""
        path.write_text(f"listener {self.port} 127.0.0.1\n{user}{self.conf}")
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until_sync(self._listens, 5)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def publish(self, topic: str, payload: str | bytes, *options: str) -> None:
        raw = payload if isinstance(payload, bytes) else payload.encode()
        subprocess.run(
            ["mosquitto_pub", "-p", str(self.port), "-t", topic, "-s", *options],
            input=raw,
            check=True,
            capture_output=True,
            timeout=10,
        )

    def retained(self, topic: str) -> bytes:
        told = subprocess.run(
            ["mosquitto_sub", "-p", str(self.port), "-t", topic, "-C", "1", "-W", "3"],
            capture_output=True,
            timeout=10,
        )
        return told.stdout.strip()


@pytest.fixture
def silent_broker(tmp_path) -> Iterator[Broker]:
    """A broker that is not started yet."""
    if MOSQUITTO is None or shutil.which("mosquitto_pub") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Mosquitto is missing")
        pytest.skip("Mosquitto is not installed")
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def broker(silent_broker) -> Broker:
    silent_broker.start()
    return silent_broker
