"""A23: a second daemon is started on the same state folder. Promise: it refuses at once, says why, and sends nothing."""

import subprocess
import sys
import time

from tests.adapters.conftest import ROOT
from tests.faults.control import follows, missed
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A23", "two daemons on one state folder", "the second refuses: 100 %; no command of it", minutes=2)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    refused = explained = 0
    took: list[float] = []
    rounds = size.of(50, 4)
    sent = len(lab.world.commands("heater")) + len(lab.world.commands("fan"))
    began = time.monotonic()
    for _ in range(rounds):
        second = subprocess.run(
            [sys.executable, "-m", "appliance", "run", "--config", str(daemon.config)],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        refused += second.returncode == 78
        explained += f"process {daemon.pid}" in second.stderr
    lasted = time.monotonic() - began
    renewed = len(lab.world.commands("heater")) + len(lab.world.commands("fan")) - sent
    took = follows(lab, 4)
    return [
        exactly("refused with exit code 78", refused, f"of {rounds}", rounds),
        exactly("said which process has it", explained, f"of {rounds}", rounds),
        at_most("commands meanwhile: the first's renewals of a lease alone", renewed, "", lasted / 3 + 2),
        exactly("decisions of the first that the fan did not follow", missed(took), f"of {len(took)}", 0),
    ]
