"""The daemon as its own process, at a real broker, asked over real HTTP."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.conftest import ROOT, Broker, silent_broker, until_sync  # noqa: F401  a fixture
from tests.core.home import PROFILE, RULE

CONFIG = """
[mqtt]
port = {port}
[store]
folder = "state"
[http]
port = 0
[appliances.fan]
profile = "fan.toml"
device = "zigbee2mqtt/fan"
[appliances.fan.channels]
pm2_5 = "zigbee2mqtt/air"
"""


class Daemon:
    """One state folder and config; can be started, killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        (folder / "fan.toml").write_text(PROFILE + RULE, encoding="utf-8")
        self.config.write_text(CONFIG.format(port=port), encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()
        self.url = self.token = ""

    def change(self, old: str, new: str) -> None:
        """Change a text in the config."""
        config = self.config.read_text("utf-8")
        assert old in config
        self.config.write_text(config.replace(old, new), "utf-8")

    def refuses(self, **environment: str) -> str:
        """Start it, await that it ends with 78, and return what it says."""
        told = subprocess.run(
            [sys.executable, "-m", "appliance", "run", "--config", str(self.config)],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment},
        )  # fmt: skip
        assert told.returncode == 78, told.stderr
        assert "Traceback" not in told.stderr
        assert "hint:" in told.stderr
        return told.stderr

    def start(self, *options: str, wait: bool = True) -> None:
        with contextlib.suppress(OSError):
            (self.folder / "state" / "url").unlink()
        run = [sys.executable, "-m", "appliance", "run", "--config", str(self.config), *options]
        command = [*self.prefix, *run]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **self.environment}
            )
        if wait:
            until_sync(
                lambda: (self.folder / "state" / "url").exists() or self.process.poll() is not None, 30
            )
            assert self.process.poll() is None, self.log
            until_sync(lambda: (self.folder / "state" / "url").read_text().endswith("\n"))
            self.url = (self.folder / "state" / "url").read_text().strip().rstrip("/")
            self.token = (self.folder / "state" / "token").read_text().strip()

    def start_without_disk(self) -> None:
        """Start it where it can write down neither where its page is nor how to be asked; only its log says."""
        pages = self.log.count("the page is at") if (self.folder / "log").exists() else 0
        self.start(wait=False)
        until_sync(lambda: self.log.count("the page is at") > pages or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.log
        self.url = self.log.rpartition("the page is at ")[2].partition('"')[0].rstrip("/")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, data, headers, method=method), timeout=10
            ) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
        return json.loads(text) if text else None

    def last(self) -> dict[str, Any]:
        return self.ask("/v1/appliances/fan")["decision"]

    def health(self) -> dict[str, Any]:
        return self.ask("/healthz")

    def part(self, name: str) -> str | None:
        return next((part["state"] for part in self.health()["parts"] if part["name"].startswith(name)), None)


class Fan:
    """Hears the commands at the broker, from its creation on."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.process = subprocess.Popen(
            ["mosquitto_sub", "-p", str(broker.port), "-t", "zigbee2mqtt/fan/set"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self._heard = b""
        until_sync(self._listens)

    def _listens(self) -> bool:
        self.broker.publish("zigbee2mqtt/fan/set", '{"hello":1}')
        return b"hello" in self._read()

    def _read(self) -> bytes:
        self._heard += self.process.stdout.read() or b""
        return self._heard

    @property
    def commands(self) -> list[str]:
        lines = [json.loads(line) for line in self._read().split(b"\n") if line]
        return [line["fan_mode"] for line in lines if "fan_mode" in line]

    def report(self, mode: str) -> None:
        self.broker.publish(
            "zigbee2mqtt/fan", json.dumps({"fan_mode": mode, "fan_state": "OFF" if mode == "off" else "ON"})
        )

    def air(self, pm25: float) -> None:
        self.broker.publish("zigbee2mqtt/air", json.dumps({"pm25": pm25}))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def in_control(daemon: Daemon, fan: Fan) -> None:
    """Await that the daemon hears the broker and knows that the fan is off."""
    until_sync(lambda: daemon.health()["ready"])
    fan.report("off")
    until_sync(lambda: daemon.ask("/v1/appliances/fan")["doing"] == "off")


@pytest.fixture
def daemon(silent_broker, tmp_path) -> Iterator[Daemon]:  # noqa: F811
    folder = tmp_path / "home"
    folder.mkdir()
    made = Daemon(folder, silent_broker.port)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.send_signal(signal.SIGCONT)
        made.kill()


@pytest.fixture
def fan(silent_broker) -> Iterator[Fan]:  # noqa: F811
    silent_broker.start()
    made = Fan(silent_broker)
    yield made
    made.close()
