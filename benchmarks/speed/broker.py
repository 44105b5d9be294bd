"""Owns one Mosquitto at a free port of this machine, set as `deploy/mosquitto.conf` is: the queues that a home would have.

Never in here: what is sent through it.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from building import HERE, NEEDS

SHIPPED = HERE.parents[1] / "deploy" / "mosquitto.conf"
OURS = ("listener", "persistence", "autosave_interval", "log_dest")
"""Settings of the shipped file that are replaced: a port of its own, nothing on disk, nothing said."""


def program() -> str:
    """Return where Mosquitto is; exit, saying what to install, where it is not."""
    # Debian keeps it where only root's PATH looks.
    found = shutil.which("mosquitto") or shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
    )
    if found is None:
        sys.exit(f"missing: mosquitto; {NEEDS}")
    return found


def configuration(port: int) -> str:
    """Return the shipped settings for a broker at `port`."""
    shipped = SHIPPED.read_text(encoding="utf-8").splitlines()
    kept = [line for line in shipped if line.strip() and not line.startswith(("#", *OURS))]
    return "\n".join([f"listener {port} 127.0.0.1", "persistence false", "log_dest stderr", *kept, ""])


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run one; give its port once it answers; end it. Raises RuntimeError where it never does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    file, log = folder / "mosquitto.conf", folder / "mosquitto.log"
    file.write_text(configuration(port), encoding="utf-8")
    with log.open("wb") as said:
        process = subprocess.Popen([program(), "-c", str(file)], stdout=said, stderr=said)
    try:
        _await(port, process, log)
        yield port
    finally:
        end(process)


def _await(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(
        f"mosquitto does not answer at port {port}:\n{log.read_text(errors='replace')[-2000:]}"
    )


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process of ours: asked first, killed where it does not obey within 10 s."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
