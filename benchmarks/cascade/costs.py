"""Owns what an answer costs: time of the local model and of the edge server on loopback, bytes on the wire, and energy by a stated model.

Never in here: how many answers there are.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import numpy as np

from appliance.adapters.classifier import OnnxClassifier
from appliance.adapters.edge.wire import decode_response, encode_request
from appliance.bundle import Bundle
from appliance.cli.models import WATTS

RADIO_WATTS = 0.6
"""What Wi-Fi takes above idle while an answer is awaited (assumed: what people measure at a Raspberry Pi 4 is about that)."""
HEADERS = 40
"""Bytes of IP and TCP headers a packet, of which a question, its answer and their two acknowledgements are four (no TLS)."""
PACKETS = 4
ASKED = 2000
WARM = 200
START_S = 30.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Costs:
    """Of one answer: `local_us` and `edge_ms`, medians; `edge_p99_ms`; CPU seconds of the local model, of asking, and of the server; bytes;
    and the machine's load (processes that want to run) while it was measured.
    """

    local_us: float
    edge_ms: float
    edge_p99_ms: float
    local_cpu_s: float
    asking_cpu_s: float
    server_cpu_s: float
    bytes_out: int
    bytes_in: int
    load: float

    @property
    def local_joules(self) -> float:
        """Of one local answer."""
        return self.local_cpu_s * WATTS

    @property
    def asking_joules(self) -> float:
        """Of asking once, at the device: its CPU, and its radio until the answer is there. The network's own delay is not in it."""
        return self.asking_cpu_s * WATTS + self.edge_ms / 1000 * RADIO_WATTS

    @property
    def server_joules(self) -> float:
        """Of answering once, at the server, as if it were such a small computer too."""
        return self.server_cpu_s * WATTS

    @property
    def bytes(self) -> int:
        """Both ways, with the headers of HTTP, TCP and IP."""
        return self.bytes_out + self.bytes_in + PACKETS * HEADERS


def measured(local: Bundle, edge: Bundle, url: str, token: str | None, pid: int | None) -> Costs:
    """Measure both at rest, one question at a time, with the golden rows of each. `pid`: the server's, where it runs here."""
    classifier = OnnxClassifier(local)
    took, local_cpu = _timed(lambda row: classifier.predict(row), local.golden_rows)
    asking = _Asking(url, edge, token)
    before = _cpu_s(pid)
    answers, asking_cpu = _timed(asking.ask, edge.golden_rows)
    server_cpu = (_cpu_s(pid) - before) / (ASKED + WARM)
    asking.close()
    if not asking.worst < 1e-4:
        raise SystemExit(
            f"the server at {url} answers golden rows of {edge.card.name} by {asking.worst:g} otherwise"
        )
    return Costs(
        median(took) * 1e6,
        median(answers) * 1e3,
        float(np.quantile(answers, 0.99)) * 1e3,
        local_cpu,
        asking_cpu,
        server_cpu,
        asking.out,
        asking.came,
        os.getloadavg()[0],
    )


def _timed(ask, rows: np.ndarray) -> tuple[list[float], float]:
    took: list[float] = []
    for number in range(ASKED + WARM):
        if number == WARM:
            cpu = time.process_time()
        row = rows[number % len(rows) :][:1]
        began = time.perf_counter()
        ask(row)
        if number >= WARM:
            took.append(time.perf_counter() - began)
    return took, (time.process_time() - cpu) / ASKED


def _cpu_s(pid: int | None) -> float:
    if pid is None:
        return float("nan")
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class _Asking:
    """One connection, kept: HTTP by hand, so that every byte is counted."""

    def __init__(self, url: str, edge: Bundle, token: str | None) -> None:
        at = urlsplit(url)
        self._host = at.netloc
        self._path = f"{at.path.rstrip('/')}/v2/models/{edge.card.name}/versions/{edge.card.version}/infer"
        self._socket = socket.create_connection((at.hostname, at.port or 80), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._token = token
        self._edge = edge
        self._number = 0
        self.out = self.came = 0
        self.worst = 0.0

    def ask(self, row: np.ndarray) -> None:
        self._number += 1
        named = f"{self._number}"
        body, headers = encode_request(row, id=named, binary=True)
        told = {"host": self._host, "content-length": str(len(body)), **headers}
        if self._token:
            told["authorization"] = f"Bearer {self._token}"
        head = f"POST {self._path} HTTP/1.1\r\n" + "".join(
            f"{key}: {value}\r\n" for key, value in told.items()
        )
        whole = head.encode() + b"\r\n" + body
        self._socket.sendall(whole)
        status, got, content, size = self._answer()
        if status != 200:
            raise SystemExit(f"the server at {self._host} answers {status}: {content[:200]!r}")
        card = self._edge.card
        said = decode_response(
            content,
            got,
            id=named,
            model=card.name,
            version=str(card.version),
            rows=1,
            labels=len(card.labels),
        )
        place = (self._number - 1) % len(self._edge.golden_rows)
        self.worst = max(self.worst, float(np.abs(said[0] - self._edge.golden_probabilities[place]).max()))
        self.out, self.came = max(self.out, len(whole)), max(self.came, size)

    def _answer(self) -> tuple[int, dict[str, str], bytes, int]:
        text = b""
        while b"\r\n\r\n" not in text:
            text += self._some()
        head, rest = text.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            key.strip().lower(): value.strip()
            for key, _, value in (line.partition(":") for line in lines[1:])
        }
        length = int(headers.get("content-length", "0"))
        while len(rest) < length:
            rest += self._some()
        return int(lines[0].split()[1]), headers, rest, len(head) + 4 + len(rest)

    def _some(self) -> bytes:
        part = self._socket.recv(65_536)
        if not part:
            raise SystemExit("the edge server hung up")
        return part

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def serving(models: Path) -> Iterator[tuple[str, int]]:
    """Run `appliance edge serve` on a free port of loopback; yield its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), timeout=1) as link,
            ):
                link.sendall(b"GET /v2/health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                if re.match(rb"HTTP/1\.1 200", link.recv(64)):
                    break
            if server.poll() is not None:
                raise SystemExit(f"the edge server does not start: {server.stderr.read().decode()[-500:]}")
            time.sleep(0.1)
        else:
            raise SystemExit(f"the edge server is not ready after {START_S:g} s")
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.communicate(timeout=10)
