"""Owns Node-RED as a system under test: fetched once into a cache outside the checkout, given a flow of one threshold.

Never in here: measuring, or anything that is fetched where npm or its registry is not there: then it says so.
"""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

from systems import System

VERSION = "4.1.8"
"""The last that runs on Node.js 18 and 20."""
FETCH_S = 300

FUNCTION = """\
var device = msg.topic.split('/')[1];
msg.topic = 'appliance/' + device + '/command';
msg.payload = msg.payload.pm2_5 > 35 ? '{"fan":"high"}' : '{"fan":"low"}';
return msg;
"""

SETTINGS = """\
module.exports = {
  flowFile: 'flows.json', userDir: __dirname, uiHost: '127.0.0.1', uiPort: %(port)d,
  httpAdminRoot: false, httpNodeRoot: false, credentialSecret: false,
  logging: { console: { level: 'warn', metrics: false, audit: false } },
  diagnostics: { enabled: false }, telemetry: { enabled: false }, externalModules: { autoInstall: false },
};
"""
"""Without the editor and its HTTP: what is left is what a home would run."""


def cache() -> Path:
    """Return the folder that it is fetched into: `$XDG_CACHE_HOME/appliance-bench`, or below `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "appliance-bench" / f"node-red-{VERSION}"


def flow(port: int) -> list[dict[str, object]]:
    """Return the flow: reading in at QoS 1, JSON, one threshold, command out at QoS 0."""
    # Names that are like a property's value are taken for references by Node-RED.
    broker = {
        "id": "n1", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(port), "autoConnect": True,
        "usetls": False, "protocolVersion": "4", "keepalive": "60", "cleansession": True, "autoUnsubscribe": True,
        "birthTopic": "", "closeTopic": "", "willTopic": "",
    }  # fmt: skip
    hear = {
        "id": "n2", "type": "mqtt in", "z": "n0", "topic": "sensors/+/state", "qos": "1", "datatype": "utf8",
        "broker": "n1", "rap": True, "rh": 0, "inputs": 0, "wires": [["n3"]],
    }  # fmt: skip
    decode = {
        "id": "n3",
        "type": "json",
        "z": "n0",
        "property": "payload",
        "action": "obj",
        "wires": [["n4"]],
    }
    decide = {"id": "n4", "type": "function", "z": "n0", "func": FUNCTION, "outputs": 1, "wires": [["n5"]]}
    command = {"id": "n5", "type": "mqtt out", "z": "n0", "topic": "", "qos": "0", "retain": "false", "broker": "n1", "wires": []}  # fmt: skip
    return [{"id": "n0", "type": "tab", "label": "home"}, broker, hear, decode, decide, command]


class NodeRed(System):
    """What many homes run."""

    name = "node-red"
    what = f"Node-RED {VERSION}: JSON and one threshold, nothing kept, no editor"

    def lacks(self) -> str | None:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            return f"{'node' if node is None else 'npm'} is not installed"
        if self._program().exists():
            return None
        folder = cache()
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--omit=optional",
            "--prefix", str(folder), f"node-red@{VERSION}",
        ]  # fmt: skip
        try:
            fetched = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
        except subprocess.TimeoutExpired:
            return f"npm did not fetch it within {FETCH_S} s"
        if fetched.returncode or not self._program().exists():
            return f"npm could not fetch it: {fetched.stderr.strip()[-200:]}"
        return None

    def prepare(self, port: int, devices: int, folder: Path) -> list[str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            own_port: int = probe.getsockname()[1]
        (folder / "flows.json").write_text(json.dumps(flow(port)), encoding="utf-8")
        settings = folder / "settings.js"
        settings.write_text(SETTINGS % {"port": own_port}, encoding="ascii")
        return [
            shutil.which("node") or "node", str(self._program()), "--settings", str(settings), "--userDir", str(folder)
        ]  # fmt: skip

    def _program(self) -> Path:
        return cache() / "node_modules" / "node-red" / "red.js"
