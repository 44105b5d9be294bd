"""Owns how figures are shown: one table, medians with their spread, ratios to the floor of the same round, and the machine.

Never in here: measuring.
"""

import datetime as dt
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from systems import ROOT

ROWS = {
    "decisions_per_s": "decisions/s",
    "cpu_us_a_reading": "CPU, µs a reading, saturated",
    "p50_us_at_50": "p50 at 50/s, µs",
    "p99_us_at_50": "p99 at 50/s, µs",
    "p50_us_at_1000": "p50 at 1,000/s, µs",
    "p99_us_at_1000": "p99 at 1,000/s, µs",
    "pss_mb": "PSS after the load, alone, MB",
    "cold_start_ms": "cold start to first decision, ms",
    "api_up_ms": "cold start to the API up, ms",
    "burst_lost_qos0": "lost of a burst of 10,000, QoS 0",
    "burst_lost_qos1": "lost of a burst of 10,000, QoS 1",
    "readings_not_kept": "readings dropped before the disk",
    "written_mb_a_day": "written a day, 10 sensors × 1 Hz, MB",
}
COUNTS = frozenset({"burst_lost_qos0", "burst_lost_qos1", "readings_not_kept"})
"""Where a ratio says nothing."""
FLOOR = "floor"

Rounds = Mapping[str, Sequence[Mapping[str, float]]]


def table(rounds: Rounds) -> str:
    """Return the table: for each system the median, (least–greatest) of several rounds, and × the floor."""
    names = list(rounds)
    lines = [["", *names]]
    for key, label in ROWS.items():
        if any(key in figures for name in names for figures in rounds[name]):
            lines.append([label, *(_cell(rounds, name, key) for name in names)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(names) + 1)]
    rows = [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    ]
    return "\n".join([rows[0], "-" * len(rows[0]), *rows[1:]])


def _cell(rounds: Rounds, name: str, key: str) -> str:
    values = [figures[key] for figures in rounds[name] if key in figures]
    if not values:
        return "–"
    cell = _number(statistics.median(values), key)
    if len(values) > 1:
        cell += f" ({_number(min(values), key)}–{_number(max(values), key)})"
    if FLOOR not in rounds or key in COUNTS:
        return cell
    base = rounds[FLOOR]
    ratios = [
        own[key] / floor[key]
        for own, floor in zip(rounds[name], base, strict=False)
        if key in own and floor.get(key)
    ]
    return f"{cell}  {statistics.median(ratios):5.2f}×" if ratios else cell


def _number(value: float, key: str) -> str:
    return f"{value:,.0f}" if key in COUNTS or value >= 100 else f"{value:.1f}"


def machine(folder: Path) -> dict[str, str | int]:
    """Return what the figures depend on; `folder` is where the store lies."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in info)}
    return {
        "cpu": told.get("model name") or told.get("Model") or platform.machine(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "disk": _filesystem(folder),
        "commit": _commit(),
        "date": dt.datetime.now().astimezone().isoformat(timespec="minutes"),
    }


def _filesystem(folder: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    over = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(over, key=lambda mount: len(mount[1]))[2] if over else "unknown"


def _commit() -> str:
    try:
        told = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "unknown"
    return told.stdout.strip() or "unknown"
