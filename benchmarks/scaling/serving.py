"""Owns what one edge server costs: processor seconds a request and a batch, bytes a case, and what an encrypted connection costs.

Processor time is taken, not time on the wall: it is the same on a machine that has other work. Never in here: homes, or what follows from it.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort
from asking import ask

from appliance.adapters.edge.wire import encode_request
from appliance.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FRAMES = 2 * 66 + 4 * 66
"""Bytes of TCP and IP beside a case on a connection that is open: a request, an answer, and acknowledgements, in Ethernet frames (assumed)."""


class Costs(msgspec.Struct, frozen=True):
    """Seconds of one core. `run`: (rows, of one session.run with so many); `request`: of a request and its answer besides the model;
    `handshake`: of an encrypted connection's private-key work. Bytes of one case, out and in, headers included.
    """

    run: tuple[tuple[int, float], ...]
    request: float
    whole: float
    batch: float
    handshake: float | None
    sent: int
    received: int
    memory: int
    clients: int

    def of_run(self, rows: int) -> float:
        """One run with so many rows, between what was measured."""
        return float(np.interp(rows, *zip(*self.run, strict=True)))

    @property
    def per_core(self) -> float:
        """Requests a second of one core."""
        return 1.0 / self.whole


def runs(bundle: Bundle, seconds: float = 0.3) -> tuple[tuple[int, float], ...]:
    """Processor seconds of session.run by rows: one thread, the least of five rounds."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
    name, found = session.get_inputs()[0].name, []
    for rows in BATCHES:
        batch = np.resize(bundle.golden_rows, (rows, bundle.golden_rows.shape[1])).astype(np.float32)
        session.run(None, {name: batch})
        best = np.inf
        for _ in range(5):
            count, began = 0, time.process_time()
            while time.process_time() - began < seconds / 5:
                session.run(None, {name: batch})
                count += 1
            best = min(best, (time.process_time() - began) / count)
        found.append((rows, float(best)))
    return tuple(found)


def requests(bundle: Bundle, port: int, different: int = 2000) -> list[bytes]:
    """Whole requests of one row each, as a client sends them, no two alike, so that no cache answers."""
    rng = np.random.default_rng(0)
    low, high = bundle.golden_rows.min(axis=0), bundle.golden_rows.max(axis=0)
    found = []
    for number in range(different):
        body, headers = encode_request(
            rng.uniform(low, high)[None].astype(np.float32), id=str(number), binary=True
        )
        lines = [
            f"POST /v2/models/{bundle.card.name}/versions/{bundle.card.version}/infer HTTP/1.1",
            f"host: 127.0.0.1:{port}",
            "accept-encoding: identity",
            f"authorization: Bearer {'x' * 43}",
            f"content-length: {len(body)}",
            *(f"{key}: {value}" for key, value in headers.items()),
        ]
        found.append("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return found


def measure(bundle: Bundle, folder: Path, clients: int = 64, rounds: int = 5, seconds: float = 3.0) -> Costs:
    """Start our server with the bundle in `folder`, ask it with one row a request, and take what it cost; the median of `rounds`."""
    run = runs(bundle)
    with tempfile.TemporaryDirectory() as shelf:
        shutil.copytree(folder, Path(shelf) / bundle.card.name)
        command = [sys.executable, "-m", "appliance", "edge", "serve", "--models", shelf, "--port", "0"]
        command += ["--cache-entries", "0"]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            line = next((line for line in server.stdout if line.startswith("serving on")), "")
            port = int(line.rsplit(":", 1)[1])
            wanted = requests(bundle, port)
            ask("127.0.0.1", port, wanted, clients, 1.0)
            found = []
            for _ in range(rounds):
                used, batches = cpu(server.pid), batch(port)
                seen = ask("127.0.0.1", port, wanted, clients, seconds)
                assert not seen.errors, f"{seen.errors} of {seen.answers} answers were refusals"
                used, after = cpu(server.pid) - used, batch(port)
                found.append((used / seen.answers, (after[0] - batches[0]) / max(1, after[1] - batches[1])))
            answer = one(port, wanted[0])
            memory = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1])
        finally:
            server.terminate()
            server.wait(20)
    whole, rows = (float(np.median(column)) for column in zip(*found, strict=True))
    of_rows = float(np.interp(rows, *zip(*run, strict=True))) / rows
    return Costs(
        run, whole - of_rows, whole, rows, handshake(), len(wanted[0]), answer, memory * 1024, clients
    )


def cpu(pid: int) -> float:
    """Seconds that a process has computed, all threads."""
    fields = Path(f"/proc/{pid}/schedstat").read_text().split()
    threads = [Path(path, "schedstat").read_text().split() for path in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(one[0]) for one in threads or [fields]) / 1e9


def batch(port: int) -> tuple[float, float]:
    """Rows that went through a model, and batches."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return tuple(
        sum(
            float(found)
            for found in re.findall(
                rf"^appliance_edge_batch_rows_{what}(?:{{[^}}]*}})? (\S+)", text, re.MULTILINE
            )
        )
        for what in ("sum", "count")
    )


def one(port: int, request: bytes) -> int:
    """The bytes of one whole answer."""
    import socket

    with socket.create_connection(("127.0.0.1", port), 10) as made:
        made.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += made.recv(65536)
        head = answer.index(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", answer[:head])[1])
        return head + 4 + length


def handshake() -> float | None:
    """Seconds of a server's private-key work for a TLS 1.3 connection without resumption: a P-256 signature and an X25519 agreement with its key."""
    if shutil.which("openssl") is None:
        return None
    told = subprocess.run(
        ["openssl", "speed", "-seconds", "1", "ecdsap256", "ecdhx25519"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    sign = re.search(r"256 bits ecdsa.*?(\d+\.\d+)s\s+(\d+\.\d+)s\s+(\d+\.\d+)", told)
    agree = re.search(r"X25519\).*?(\d+\.\d+)s\s+(\d+\.\d+)", told)
    if sign is None or agree is None:
        return None
    # A key is made and agreed upon: about two operations.
    return 1 / float(sign[3]) + 2 / float(agree[2])
