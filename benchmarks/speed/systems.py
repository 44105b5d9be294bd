"""Owns the systems that are measured: how each is started at a broker, when it is all there, and whether it really was.

Never in here: measuring.
"""

import compileall
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from building import FLOOR, HERE

ROOT = HERE.parents[1]
PATIENCE_S = 30.0
CHANNELS = ("pm2_5", "co2", "temperature", "humidity")
"""Of each appliance, as the load generator says them."""

PAHO = """\
import json, sys
import paho.mqtt.client as mqtt
def heard(client, data, message):
    value = json.loads(message.payload)["pm2_5"]
    device = message.topic.split("/")[1]
    client.publish(f"appliance/{device}/command", '{"fan":"high"}' if value > 35 else '{"fan":"low"}')
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = heard
client.on_connect = lambda *_: client.subscribe("sensors/+/state", 1)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


class System:
    """One system under test. All of them hear at QoS 1 (a reading comes at the QoS it was sent with) and command at QoS 0."""

    name = ""
    what = ""

    def lacks(self) -> str | None:
        """Return why it can't be measured on this machine, or None. May fetch what it needs."""
        return None

    def prepare(self, port: int, devices: int, folder: Path) -> list[str]:
        """Write what the system needs into `folder`; return its command line. Not part of its cold start.

        Raises:
            RuntimeError: the system does not take what it is given.
        """
        raise NotImplementedError

    def start(self, port: int, devices: int, folder: Path) -> "tuple[subprocess.Popen[bytes], int]":
        """Start it at the broker on `port`; return the process, and CLOCK_MONOTONIC ns just before. It speaks to a log."""
        command = self.prepare(port, devices, folder)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("APPLIANCE_") and name not in ("NOTIFY_SOCKET", "STATE_DIRECTORY")
        }
        environment["PYTHONPATH"] = str(ROOT)
        with self.log(folder).open("wb") as log:
            began = time.monotonic_ns()
            return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log), began

    def log(self, folder: Path) -> Path:
        """Return the file that it speaks to."""
        return folder / f"{self.name}.log"

    has_api = False

    def ready(self, folder: Path) -> bool:
        """Return whether everything of it is up, beyond answering readings."""
        return True

    def counts(self, folder: Path) -> dict[str, float]:
        """Return what it counted of itself."""
        return {}

    def doubts(self, folder: Path) -> list[str]:
        """Return, after the load, what was not as the benchmark says it is."""
        return []


class Floor(System):
    """The least that such a program can cost."""

    name = "floor"
    what = "C, libmosquitto: one threshold, nothing kept"

    def prepare(self, port: int, devices: int, folder: Path) -> list[str]:
        return [str(FLOOR), str(port), "1", "1", "0"]


class Paho(System):
    """What one would write in ten lines."""

    name = "paho"
    what = "Python, paho as its manual shows it: one threshold, nothing kept"

    def prepare(self, port: int, devices: int, folder: Path) -> list[str]:
        script = folder / "loop.py"
        script.write_text(PAHO, encoding="ascii")
        return [sys.executable, str(script), str(port)]


class PahoFull(System):
    """What one would write who wants the same of it."""

    name = "paho-full"
    what = "Python, paho: decode, bins, features, model, one rule, a row with FULL, command; nothing else"

    def prepare(self, port: int, devices: int, folder: Path) -> list[str]:
        model = next((ROOT / "models").glob("presence/model.onnx"))
        return [
            sys.executable,
            str(HERE / "paho_full.py"),
            str(port),
            str(model),
            str(folder / "rows.sqlite3"),
        ]


class Daemon(System):
    """`appliance run`, with everything on."""

    name = "appliance"
    has_api = True
    what = "the daemon: rules, model, store with FULL, HTTP"

    def __init__(self, channels: tuple[str, ...] = CHANNELS, *, alike: bool = False) -> None:
        self.heard_s = 0
        self.channels = channels
        self.alike = alike

    def prepare(self, port: int, devices: int, folder: Path) -> list[str]:
        import household  # the other systems need nothing of the project's

        from appliance.errors import ApplianceError

        # As pip leaves it: else each start would compile every module, where the environment forbids to keep what is compiled.
        compileall.compile_dir(ROOT / "appliance", quiet=1)
        config = folder / "config.toml"
        text = household.daemon_config(port, devices, folder, self.channels) + self.more()
        config.write_text(text, encoding="utf-8")
        try:
            self.heard_s = household.remember(config, alike=self.alike)
        except ApplianceError as broken:
            raise RuntimeError(f"{self.name}: {broken}") from broken
        return [sys.executable, "-m", "appliance", "run", "--config", str(config)]

    def more(self) -> str:
        """Return what else its config says."""
        return ""

    def ready(self, folder: Path) -> bool:
        try:
            return self._ask(folder, "/readyz")[0] == 200
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def counts(self, folder: Path) -> dict[str, float]:
        lines = self._ask(folder, "/metrics")[1].splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
        }

    def doubts(self, folder: Path) -> list[str]:
        found = []
        health = json.loads(self._ask(folder, "/healthz")[1])
        found += [
            f"{part['name']} was {part['state']}: {part['detail']}"
            for part in health["parts"]
            if part["state"] != "ok"
        ]
        deadline = time.monotonic() + PATIENCE_S
        while waiting := self.counts(folder)["appliance_store_waiting"]:
            if time.monotonic() > deadline:
                found.append(f"{waiting:.0f} decisions were not on disk {PATIENCE_S:.0f} s after the load")
                break
            time.sleep(0.1)
        seen = json.loads(self._ask(folder, "/v1/appliances/dev0")[1])
        presence = next(channel for channel in seen["channels"] if channel["channel"] == "presence")
        if presence["reason"] == "a feature is unknown":
            up = f"the machine has been up for {self.heard_s / 60:.0f} min only"
            found.append(f"the model said nothing, so features were cheap: a feature is unknown ({up})")
        return found

    def _ask(self, folder: Path, path: str) -> tuple[int, str]:
        url = (folder / "state" / "url").read_text(encoding="ascii").strip()
        connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


class HungEdge(Daemon):
    """The daemon, with an edge that takes connections and never says a word. Only where it is asked for."""

    name = "edge-hangs"
    what = "the daemon beside an edge server that hangs"

    def __init__(self) -> None:
        super().__init__()
        self._silent: socket.socket | None = None

    def more(self) -> str:
        if self._silent is None:
            # The system accepts for it; nobody ever reads.
            self._silent = socket.create_server(("127.0.0.1", 0), backlog=1024)
        return f'[edge]\nurl = "http://127.0.0.1:{self._silent.getsockname()[1]}"\ncases_percent = 100.0\nmb_a_day = 1000.0\n'

    def doubts(self, folder: Path) -> list[str]:
        return [doubt for doubt in super().doubts(folder) if not doubt.startswith("edge was degraded")]
