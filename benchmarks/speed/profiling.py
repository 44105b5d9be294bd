"""Owns the question where the daemon's own time goes: one closed-loop load under Python's profiler.

Only the loop's thread is seen, not the one that writes the store. Never in here: figures for the table, which the profiler would falsify.
"""

import pstats
import signal
import tempfile
import time
from io import StringIO
from pathlib import Path

from broker import broker, end
from building import HERE
from measuring import DEVICES, WINDOW, load
from systems import PATIENCE_S, Daemon

LINES = 40


class Profiled(Daemon):
    """The daemon under cProfile, from signal to signal."""

    def prepare(self, port: int, devices: int, folder: Path) -> list[str]:
        python, _, _, *rest = super().prepare(port, devices, folder)
        return [python, str(HERE / "profiled.py"), str(folder / "profile"), *rest]


def profile(system: Daemon, *, quick: bool) -> str:
    """Return the functions that take the most time of their own, and how many readings that is for. Raises RuntimeError."""
    profiled = Profiled(system.channels)
    with tempfile.TemporaryDirectory(prefix="appliance-bench-") as name, broker(Path(name)) as port:
        folder = Path(name)
        process, _ = profiled.start(port, DEVICES, folder)
        try:
            load(port, "--probe", f"{PATIENCE_S:.0f}")
            while not profiled.ready(folder):
                time.sleep(0.05)
            process.send_signal(signal.SIGUSR1)
            full = load(port, "-w", str(WINDOW), "-n", "1000000", "--max-seconds", "2" if quick else "10")
            process.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + PATIENCE_S
            while not (folder / "profile").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            process.terminate()
            process.wait(PATIENCE_S)
        finally:
            end(process)
        found = StringIO()
        stats = pstats.Stats(str(folder / "profile"), stream=found)
        stats.strip_dirs().sort_stats("tottime").print_stats(LINES)
    return f"{full['sent']} readings under full load; under the profiler they take several times as long\n{found.getvalue()}"
