"""Owns the servers that are compared: how each is started with the same model, when it is there, and what CPU it used.

Never in here: asking them, or figures.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PATIENCE_S = 90.0
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A process that answers on `port`."""

    def __init__(
        self, name: str, command: list[str], folder: Path, port: int, environment: dict[str, str]
    ) -> None:
        self.name, self.port = name, port
        self.log = folder / f"{name.replace(' ', '-').replace(',', '')}.log"
        self._process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=self.log.open("wb"), stderr=subprocess.STDOUT
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until it is ready. Raises RuntimeError: it ended, or never was."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                asked.request("GET", "/v2/health/ready")
                if asked.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not start: {self.log.read_text('utf-8', 'replace')[-1500:]}")

    def cpu_s(self) -> float:
        """Return the seconds of CPU that it has used, all threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        """Return its resident memory, in megabytes."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return float("nan")

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def ours(folder: Path, models: Path, name: str = "appliance", *options: str) -> Server:
    """Start `appliance edge serve`, without its cache."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "appliance",
        "edge",
        "serve",
        "--models",
        str(models),
        "--port",
        str(port),
    ]
    return Server(name, [*command, "--cache-entries", "0", *options], folder, port, _path())


def bare(folder: Path, model: Path) -> Server:
    """Start the bare ASGI application on uvicorn."""
    port = free_port()
    return Server(
        "bare ASGI",
        [sys.executable, str(HERE / "bare_asgi.py"), str(model), str(port)],
        folder,
        port,
        _path(),
    )


def mlserver(folder: Path, python: Path, model: Path, wide: tuple[int, int], *, batched: bool) -> Server:
    """Start MLServer: no worker processes, which cost small models more than they give; no debugging; with its adaptive batching or not."""
    name = "mlserver, batched" if batched else "mlserver"
    shelf = folder / name.replace(", ", "-")
    (shelf / "model").mkdir(parents=True)
    ports = [free_port() for _ in range(3)]
    settings = {
        "debug": False, "parallel_workers": 0, "host": "127.0.0.1", "http_port": ports[0], "grpc_port": ports[1],
        "metrics_port": ports[2],
    }  # fmt: skip
    (shelf / "settings.json").write_text(json.dumps(settings))
    described: dict[str, object] = {
        "name": model.name,
        "implementation": "onnx_runtime.Onnx",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, wide[0]]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, wide[1]]}],
        "parameters": {"uri": str(model / "model.onnx"), "version": "1"},
    }
    if batched:
        described |= {"max_batch_size": 64, "max_batch_time": 0.001}
    (shelf / "model" / "model-settings.json").write_text(json.dumps(described))
    (shelf / "onnx_runtime.py").write_bytes((HERE / "onnx_runtime.py").read_bytes())
    command = [str(python.parent / "mlserver"), "start", "."]
    return Server(name, command, shelf, ports[0], {"PYTHONPATH": str(shelf)})


def mlserver_environment(folder: Path) -> Path:
    """Return the Python of a new environment with MLServer, which shares nothing with ours. Raises CalledProcessError."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "mlserver==1.7.1", "onnxruntime"],
        check=True,
        timeout=900,
    )
    return python


def _path() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
