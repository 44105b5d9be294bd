"""The shipped systemd unit starts this command line, does not retry what cannot mend, and stays hardened."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "appliance.service"
SETTINGS = dict(
    line.split("=", 1)
    for line in UNIT.read_text("utf-8").splitlines()
    if "=" in line and not line.startswith("#")
)


def test_the_unit_s_command_line_is_one_that_the_program_knows(tmp_path) -> None:
    python, *arguments = SETTINGS["ExecStart"].split()
    assert python.endswith("/python")
    config = tmp_path / "appliance.toml"
    config.write_text("no_such_key = 1\n", encoding="utf-8")
    arguments[arguments.index("--config") + 1] = str(config)
    told = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    # A usage error would be 2: it got as far as reading the file, and refused that.
    assert told.returncode == 78, told.stderr
    assert "no_such_key" in told.stderr


def test_a_wrong_config_or_command_line_is_not_tried_again() -> None:
    assert SETTINGS["Restart"] == "always"
    assert set(SETTINGS["RestartPreventExitStatus"].split()) == {"2", "78"}
    assert SETTINGS["Type"] == "notify"
    assert SETTINGS["WatchdogSec"] == "30"
    assert SETTINGS["IPAddressDeny"] == "any"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_not_exposed_beyond_1_2() -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=12", str(UNIT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-300:] + told.stderr[-300:]
