"""`python benchmarks/speed`: the daemon with everything on, beside the C floor and a plain paho loop, in interleaved rounds.

Prints one table; figures are ratios against the floor of the same rounds, since machines are noisy.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import systems

DEVICES = 100
MQTTLOAD = systems.HERE / "build" / "mqttload"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
CONF = "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\nset_tcp_nodelay true\nmax_queued_messages 100000\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def load(port: int, *options: str) -> dict:
    command = [
        str(MQTTLOAD),
        "-p",
        str(port),
        "-d",
        str(DEVICES),
        "-t",
        "sensors/dev%d/state",
        "-c",
        "appliance/+/command",
        *options,
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return json.loads(told.stdout or "{}")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, all threads, from the scheduler's own count."""
    return (
        sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
        / 1e9
    )


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def one_round(system: str, quick: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="appliance-bench-") as name:
        folder = Path(name)
        port = free_port()
        (folder / "mosquitto.conf").write_text(CONF.format(port=port))
        broker = subprocess.Popen(
            [MOSQUITTO, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL
        )
        time.sleep(0.3)
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        process = systems.start(system, port, 0, DEVICES, folder)
        try:
            cold = load(port, "--probe", "30", "--t0", str(began))
            if not cold.get("answered"):
                sys.exit(f"{system} never answered:\n{(folder / f'{system}.log').read_text()[-2000:]}")
            found["cold start, ms"] = cold["ms"]
            time.sleep(1.5 if system == "appliance" else 0.3)
            before = cpu_s(process.pid)
            full = load(
                port, "-w", "100", "-n", "500000", "--max-seconds", "1.5" if quick else "3", "-q", "0"
            )
            found["decisions/s"] = full["decisions_per_s"]
            found["CPU, µs a reading"] = (cpu_s(process.pid) - before) / max(full["matched"], 1) * 1e6
            for rate, count in ((50, 100 if quick else 250), (1000, 1000 if quick else 3000)):
                paced = load(port, "-r", str(rate), "-n", str(count), "-q", "0")
                found[f"p50 at {rate}/s, µs"] = paced["lat_us"]["p50"]
                found[f"p99 at {rate}/s, µs"] = paced["lat_us"]["p99"]
            for qos in (0, 1):
                burst = load(port, "-n", "10000", "-q", str(qos), "--drain", "20")
                found[f"lost of a burst of 10,000 at QoS {qos}"] = burst["lost"]
            found["PSS, MB"] = pss_mb(process.pid)
        finally:
            end(process)
            end(broker)
    return found


def table(results: dict[str, list[dict[str, float]]]) -> str:
    names = list(results)
    lines = [f"{'':<36}" + "".join(f"{name:>30}" for name in names)]
    for figure in results[names[0]][0]:
        cells = []
        for name in names:
            values = [found[figure] for found in results[name]]
            cell = f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"
            if "floor" in results and name != "floor" and "lost" not in figure:
                ratios = [
                    mine[figure] / base[figure]
                    for mine, base in zip(results[name], results["floor"], strict=True)
                    if base[figure]
                ]
                cell += f" {statistics.median(ratios):.2f}×"
            cells.append(f"{cell:>30}")
        lines.append(f"{figure:<36}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", action="append", choices=("floor", "paho", "appliance"))
    parser.add_argument("--out", type=Path, help="also write every figure as JSON")
    given = parser.parse_args()
    systems.build()
    chosen = given.only or ["floor", "paho", "appliance"]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    for number in range(1 if given.quick else given.rounds):
        for name in chosen:
            print(f"round {number + 1}: {name}", file=sys.stderr)
            results[name].append(one_round(name, given.quick))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; median (least–most) of {len(results[chosen[0]])} rounds, × the floor"
    )
    print(table(results))
    if given.out:
        given.out.write_text(json.dumps(results, indent=1) + "\n")


main()
