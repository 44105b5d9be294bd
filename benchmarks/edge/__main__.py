"""`python benchmarks/edge`: the edge server beside MLServer and a bare ASGI application: answers a second and latency, and what waiting
for a batch is worth.
"""

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from asking import Seen, ask
from servers import ROOT, Server, bare, mlserver, mlserver_environment, ours

from appliance.adapters.edge.wire import encode_request
from appliance.bundle import TEACHER_OPERATORS, load_bundle

CLIENTS = (1, 8, 64)
REQUESTS = 1000
"""Different ones, which each connection goes round in."""
DELAYS_MS = (0.0, 0.5, 1.0, 2.0, 5.0)
BATCHES = (1, 8, 64)
WARM_S = 0.5

Figures = dict[str, float]


def requests(model: str, wide: int, *, binary: bool) -> list[bytes]:
    """Return whole HTTP requests of one row each."""
    rows = np.random.default_rng(5).normal(scale=2, size=(REQUESTS, wide)).astype(np.float32)
    made = []
    for number in range(REQUESTS):
        body, headers = encode_request(rows[number : number + 1], id=str(number), binary=binary)
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: edge\r\n{told}content-length: {len(body)}\r\n\r\n"
        made.append(head.encode() + body)
    return made


def measured(server: Server, asked: list[bytes], clients: int, seconds: float) -> Figures:
    """Ask for a while; return the figures. Raises RuntimeError: something was not answered well."""
    used = server.cpu_s()
    seen: Seen = ask("127.0.0.1", server.port, asked, clients, seconds)
    if seen.errors:
        raise RuntimeError(f"{server.name}: {seen.errors} of {seen.answers} answers were errors")
    return {
        "per_s": seen.per_second, "p50": seen.quantile(0.5), "p99": seen.quantile(0.99),
        "cpu_us": 1e6 * (server.cpu_s() - used) / seen.answers, "busy": seen.busy,
    }  # fmt: skip


def spread(values: Sequence[float], digits: int) -> str:
    """Return median (least-greatest)."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({least:,.{digits}f}-{most:,.{digits}f})"


def compare(model: Path, python: Path | None, folder: Path, rounds: int, seconds: float) -> list[str]:
    """Measure all systems in interleaved rounds; return the table's lines."""
    bundle = load_bundle(model, allowed=TEACHER_OPERATORS)
    wide, labels = bundle.golden_rows.shape[1], bundle.golden_probabilities.shape[1]
    json, raw = (requests(model.name, wide, binary=binary) for binary in (False, True))
    first = ours(folder, model.parent)
    systems: list[tuple[str, Server, list[bytes]]] = [
        ("appliance", first, json), ("appliance, bytes", first, raw), ("bare ASGI", bare(folder, model), json),
    ]  # fmt: skip
    if python is not None:
        for batched in (False, True):
            started = mlserver(folder, python, model, (wide, labels), batched=batched)
            systems.append((started.name, started, json))
    figures: dict[tuple[str, int], list[Figures]] = {}
    lost: dict[tuple[str, int], str] = {}
    try:
        for name, server, asked in systems:
            server.wait()
            ask("127.0.0.1", server.port, asked, 8, WARM_S)
        for number in range(rounds):
            # Each round begins with another system: none is always the one after the slow one.
            turn = number % len(systems)
            for clients in CLIENTS:
                for name, server, asked in systems[turn:] + systems[:turn]:
                    try:
                        told = measured(server, asked, clients, seconds)
                    except OSError as broken:
                        lost[name, clients] = str(broken)
                        continue
                    figures.setdefault((name, clients), []).append(told)
        memory = {name: server.memory_mb() for name, server, _ in systems}
    finally:
        for server in {id(server): server for _, server, _ in systems}.values():
            server.stop()
    lines = [
        f"{'':<20}{'clients':>8}{'answers/s':>26}{'p50, ms':>22}{'p99, ms':>24}{'server CPU, us':>22}{'x MLServer/s':>14}{'x its p50':>11}"
    ]
    for clients in CLIENTS:
        for name, _, _ in systems:
            found = figures.get((name, clients), [])
            if not found:
                lines.append(f"{name:<20}{clients:>8}  no figures: {lost.get((name, clients))}")
                continue
            row = f"{name:<20}{clients:>8}{spread([one['per_s'] for one in found], 0):>26}"
            row += f"{spread([one['p50'] for one in found], 2):>22}{spread([one['p99'] for one in found], 2):>24}"
            row += f"{spread([one['cpu_us'] for one in found], 0):>22}"
            beside = figures.get(("mlserver", clients), [])
            if len(beside) == len(found):
                pairs = list(zip(found, beside, strict=True))
                row += f"{statistics.median(one['per_s'] / other['per_s'] for one, other in pairs):>14.2f}"
                row += f"{statistics.median(one['p50'] / other['p50'] for one, other in pairs):>11.2f}"
            lines.append(row)
    lines.append("memory after it, MB: " + ", ".join(f"{name} {value:.0f}" for name, value in memory.items()))
    busiest = max(one["busy"] for rows in figures.values() for one in rows)
    lines.append(
        f"the client's own CPU: at most {busiest:.2f} of one core; what it cannot ask, no server can answer"
    )
    lines += [f"note: {name} at {clients} clients: {why}" for (name, clients), why in lost.items()]
    return lines


def curve(model: Path, folder: Path, rounds: int, seconds: float) -> list[str]:
    """Measure what waiting for others is worth at 64 clients; return the table's lines."""
    wide = load_bundle(model, allowed=TEACHER_OPERATORS).golden_rows.shape[1]
    asked = requests(model.name, wide, binary=False)
    figures: dict[tuple[int, float], list[Figures]] = {}
    for _ in range(rounds):
        for batch in BATCHES:
            for delay in DELAYS_MS if batch > 1 else DELAYS_MS[:1]:
                server = ours(
                    folder,
                    model.parent,
                    "appliance curve",
                    "--max-batch",
                    str(batch),
                    "--max-delay-ms",
                    str(delay),
                )
                try:
                    server.wait()
                    ask("127.0.0.1", server.port, asked, 64, WARM_S)
                    figures.setdefault((batch, delay), []).append(measured(server, asked, 64, seconds))
                finally:
                    server.stop()
    lines = [f"{'max batch':>10}{'max delay, ms':>15}{'answers/s':>26}{'p50, ms':>22}{'server CPU, us':>22}"]
    for (batch, delay), found in figures.items():
        told = f"{batch:>10}{delay:>15g}{spread([one['per_s'] for one in found], 0):>26}"
        told += (
            f"{spread([one['p50'] for one in found], 2):>22}{spread([one['cpu_us'] for one in found], 0):>22}"
        )
        lines.append(told)
    return lines


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="benchmarks/edge", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison; the curve has 3 at most")
    parser.add_argument("--seconds", type=float, default=3.0, help="a system is asked a round")
    parser.add_argument("--model", default="presence", help="a model of models/")
    parser.add_argument(
        "--mlserver", type=Path, help="the Python of an environment that has MLServer; else one is made"
    )
    parser.add_argument("--without-mlserver", action="store_true", help="leave it out")
    parser.add_argument("--only", choices=("compare", "curve"))
    parser.add_argument("--out", type=Path, help="write the tables there as well")
    chosen = parser.parse_args()
    model = ROOT / "models" / chosen.model
    with tempfile.TemporaryDirectory(prefix="appliance-edge-") as made:
        folder = Path(made)
        fast = [name for name in ("httptools", "uvloop") if find_spec(name)]
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        through = " and ".join(fast) or "neither httptools nor uvloop"
        lines = [
            f"{model.name}, one row a request; {machine}, {through}; load {os.getloadavg()[0]:.1f} before it"
        ]
        if chosen.only != "curve":
            python = (
                None
                if chosen.without_mlserver
                else chosen.mlserver or mlserver_environment(folder / "mlserver-env")
            )
            lines += [f"median (least-greatest) of {chosen.rounds} rounds of {chosen.seconds:g} s"]
            lines += compare(model, python, folder, chosen.rounds, chosen.seconds)
        if chosen.only != "compare":
            lines += ["", "64 clients, by batch and delay"]
            lines += curve(model, folder, min(3, chosen.rounds), chosen.seconds / 2)
    text = "\n".join(lines)
    print(text)
    if chosen.out is not None:
        chosen.out.write_text(text + "\n", encoding="utf-8")


main()
