"""Owns the two C programs: the load generator and the floor, built where they are older than their sources.

Never in here: running them.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
MQTTLOAD = BUILD / "mqttload"
FLOOR = BUILD / "floor"
NEEDS = "on Debian: apt install gcc libc6-dev make libmosquitto-dev mosquitto"


def build() -> None:
    """Build both into `build/`; exit, saying what to install, where something is missing."""
    lacking = [tool for tool in ("make", "gcc") if shutil.which(tool) is None]
    if lacking:
        sys.exit(f"missing: {' and '.join(lacking)}; {NEEDS}")
    made = subprocess.run(
        ["make", "--silent", "-C", str(HERE / "load"), f"OUT={BUILD}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        why = f"missing: libmosquitto's headers; {NEEDS}" if "mosquitto.h" in made.stderr else NEEDS
        sys.exit(f"{made.stderr}the load generator and the floor can't be built; {why}")
