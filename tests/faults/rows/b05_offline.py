"""B5: no broker for a day, and for 90 days with 30 reboots. Promise: memory stays bounded (it grows by less than 5 MiB), nothing breaks.

Time is driven (see `tests.faults.offline`): the core, the store and the link are the real ones.
"""

import json
import subprocess
import sys

from tests.adapters.conftest import ROOT
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most

ROW = Row("B5", "90 days offline", "memory grows by less than 5 MiB", minutes=5)


def run(lab: Lab, size: Size) -> list[Figure]:
    home = lab.daemon(start=False)
    days, tries = size.of(90, 1), size.of(20_000, 500)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults.offline", str(home.folder), str(days), str(tries)],
        cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    if ran.returncode:
        return [Figure("ended with", ran.stderr[-300:], "", "0", holds=False)]
    found = json.loads(ran.stdout)
    return [
        Figure(
            "memory of the newest decisions, until they are 4,096",
            found["ring"],
            "MiB",
            "reported",
            holds=True,
        ),
        at_most(f"memory grown in {days} days offline after that", found["home"], "MiB", 5.0),
        at_most(f"memory grown in {tries} calls to nobody", found["link"], "MiB", 5.0),
        at_least("effects meanwhile", found["effects"], "", days * 24),
    ]
