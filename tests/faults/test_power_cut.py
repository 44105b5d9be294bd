"""What was acknowledged outlives a cut of the power, and on a disk that lies its loss is noticed. `power_cut` does it a thousand times."""

import shutil
from pathlib import Path

import pytest

from appliance.adapters.store import schema
from tests.faults.power_cut import run

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def test_no_acknowledged_decision_is_lost_and_nothing_is_called_lost_that_is_not(tmp_path: Path) -> None:
    found = run(tmp_path, 60, seed=1)
    assert found.acknowledged > 1000
    assert (found.lost, found.corrupt, found.false_alarms) == (0, 0, 0)


def test_a_disk_that_lies_about_the_log_loses_decisions_and_every_loss_is_noticed(tmp_path: Path) -> None:
    found = run(tmp_path, 60, seed=2, lies=f"{schema.DECISIONS}-wal")
    assert found.lost > 100, "nothing was lost: the other test shows nothing"
    assert found.unnoticed == 0
