"""Owns one round of one system: a broker and the system started, put under load, read off, and ended.

Never in here: what a system is, or how figures are shown.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from broker import broker, end
from building import MQTTLOAD
from systems import PATIENCE_S, System

DEVICES = 100
WINDOW = 100
BURST = 10_000
SENSORS = 10
"""Of the home whose writing is counted."""
SETTLED_S = 3.0
"""What was decided at the start is on disk by then."""
BLOCK = 512
"""Bytes of getrusage(2)'s block."""
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)")
BUSY = 0.1
"""Of all cores: above it somebody else disturbs."""


def one_round(system: System, *, quick: bool) -> tuple[dict[str, float], list[str]]:
    """Return the figures of one round of `system`, and what speaks against them. Raises RuntimeError where it fails."""
    notes = []
    if (busy := _busy()) > BUSY:
        notes.append(f"the machine was {busy:.0%} busy before it was started")
    with tempfile.TemporaryDirectory(prefix="appliance-bench-") as name:
        folder = Path(name)
        with broker(folder) as port:
            process, began = system.start(port, DEVICES, folder)
            try:
                figures = _measure(system, process.pid, began, port, folder, notes, quick=quick)
            except Exception as broken:
                said = system.log(folder).read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{system.name}: {broken}\n{said}") from broken
            finally:
                end(process)
    return figures, notes


def _measure(
    system: System, pid: int, began: int, port: int, folder: Path, notes: list[str], *, quick: bool
) -> dict[str, float]:
    figures: dict[str, float] = {}
    figures["cold_start_ms"] = load(port, "--probe", f"{PATIENCE_S:.0f}", "--t0", str(began))["ms"]
    deadline = time.monotonic() + PATIENCE_S
    while not system.ready(folder):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready within {PATIENCE_S:.0f} s")
        time.sleep(0.005)
    if system.has_api:
        figures["api_up_ms"] = (time.monotonic_ns() - began) / 1e6

    before_s = cpu_s(pid)
    full = load(port, "-w", str(WINDOW), "-n", "1000000", "--max-seconds", "1" if quick else "4", "-q", "0")
    figures["decisions_per_s"] = full["decisions_per_s"]
    figures["cpu_us_a_reading"] = (cpu_s(pid) - before_s) / max(full["sent"], 1) * 1e6
    if full["lost"]:
        notes.append(f"{full['lost']} of {full['sent']} readings under full load went unanswered")
    for rate, count in ((50, 60 if quick else 500), (1000, 1000 if quick else 5000)):
        paced = load(port, "-r", str(rate), "-n", str(count), "-q", "0")
        for quantile in ("p50", "p99"):
            figures[f"{quantile}_us_at_{rate}"] = paced["lat_us"][quantile]
        late = paced["send_lag_us"]["p99"]
        if late > paced["lat_us"]["p99"] / 2:
            notes.append(
                f"at {rate}/s the load itself was up to {late:,.0f} µs late (p99): distrust that p99"
            )
        if paced["lost"]:
            notes.append(f"{paced['lost']} of {count} readings at {rate}/s went unanswered")
    for qos in (0, 1):
        burst = load(port, "-n", str(BURST), "-q", str(qos), "--drain", "5")
        figures[f"burst_lost_qos{qos}"] = burst["lost"]
    counts = system.counts(folder)
    if "appliance_readings_lost_total" in counts:
        figures["readings_not_kept"] = counts["appliance_readings_lost_total"]
    notes += system.doubts(folder)
    figures["pss_mb"] = pss_mb(pid)
    return figures


def load(port: int, *options: str, devices: int = DEVICES, within_s: float = 180.0) -> dict[str, Any]:
    """Return what the load generator found. Raises RuntimeError where nobody answers it."""
    command = [str(MQTTLOAD), "-p", str(port), "-d", str(devices), "--on", "high", "--off", "low", *options]
    told = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
    if told.returncode:
        raise RuntimeError(told.stderr.strip() or "no reading was ever answered")
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, all threads, also those that ended: its own clock, exact to the scheduler."""
    # The kernel's number for another process's CPU clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2)


def pss_mb(pid: int) -> float:
    """Return the proportional set size, in MiB, as if no other Python (this one, say) shared the interpreter and its packages."""
    ours = tuple({str(Path(place).resolve()) for place in (sys.prefix, sys.base_prefix)})
    shared = "Pss:"
    total = 0
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        mapped = _MAPPING.match(line)
        if mapped is not None:
            shared = "Rss:" if mapped[1].startswith(ours) else "Pss:"
        elif line.startswith(shared):
            total += int(line.split()[1])
    return total / 1024


def written_mb_a_day(system: Callable[[], System], span_s: int) -> float:
    """Return what a home of `SENSORS` sensors, each heard once a second and each deciding anew every ten minutes, writes a day, in
    MB (10**6). Raises RuntimeError.

    Two of them run at once, one for `span_s` seconds and one for a third of it: what start and end write cancels out of their
    difference, and what lies in SQLite's log is written once more, into the file, by each of them.
    """
    spans = (span_s, span_s // 3)
    with ThreadPoolExecutor(len(spans)) as pool:
        longer, shorter = pool.map(lambda span: _written_to_the_end(system(), span), spans)
    return (longer - shorter) / (spans[0] - spans[1]) * 86_400 / 1e6


def _written_to_the_end(system: System, span_s: int) -> int:
    """Return the bytes that a home wrote within `span_s` seconds and at its end, as the kernel counts them."""
    with tempfile.TemporaryDirectory(prefix="appliance-bench-") as name, broker(Path(name)) as port:
        process, _ = system.start(port, SENSORS, Path(name))
        try:
            load(port, "--probe", f"{PATIENCE_S:.0f}", devices=SENSORS)
            while not system.ready(Path(name)):
                time.sleep(0.05)
            time.sleep(SETTLED_S)
            before = _written(process.pid)
            readings = SENSORS * span_s
            steady = ("-r", str(SENSORS), "-n", str(readings), "--flip-every", "600")
            load(port, *steady, devices=SENSORS, within_s=span_s + 60)
            process.terminate()
            _, _, used = os.wait4(process.pid, 0)
            return used.ru_oublock * BLOCK - before
        finally:
            end(process)


def _written(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def _busy() -> float:
    """Return the share of all cores that was not idle in the last third of a second."""

    def ticks() -> tuple[int, int]:
        fields = [
            int(field)
            for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        ]
        return sum(fields), fields[3] + fields[4]

    total, idle = ticks()
    time.sleep(0.33)
    after, idle_after = ticks()
    return 1 - (idle_after - idle) / max(after - total, 1)
