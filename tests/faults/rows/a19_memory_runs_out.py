"""A19: memory runs out while the daemon controls a home and somebody refits its model. Promise: control goes on; what can wait is ended.

A cgroup holds both processes and leaves too little room for the second; the kernel ends one of them, by its own rules. Without a word to it,
that is the one that holds most: the daemon. What the shipped unit says for the daemon besides is not put to use here.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.adapters.conftest import ROOT
from tests.faults.control import follows, missed
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, Unavailable, at_most, exactly

ROW = Row("A19", "memory runs out", "control goes on; what can wait is ended first", minutes=2)
ROOM_MIB = 40
CLEANER = """
[appliances.cleaner]
profile = "air_purifier"
device = "zigbee2mqtt/cleaner"
channels.pm2_5 = "zigbee2mqtt/air"
"""


def run(lab: Lab, size: Size) -> list[Figure]:
    lab.config += CLEANER
    daemon = lab.daemon(start=False)
    group = lab.ends.enter_context(memory_group(f"fault-{lab.folder.name}"))
    inside = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
    daemon.prefix = inside
    lab.home(daemon)
    used = int((group / "memory.usage_in_bytes").read_text())
    (group / "memory.limit_in_bytes").write_text(str(used + (ROOM_MIB << 20)))
    took, ended = [], 0
    tries = size.of(20, 2)
    for _ in range(tries):
        command = (
            *inside,
            sys.executable,
            "-m",
            "appliance",
            "models",
            "refit",
            "presence",
            "--config",
            str(daemon.config),
        )
        worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took += follows(lab, 4)
        ended += worker.wait(60) == -9
    return [
        exactly("refits that the kernel ended", ended, f"of {tries}", tries),
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        at_most("followed after", max(took), "s", 2.0),
    ]  # fmt: skip


@contextlib.contextmanager
def memory_group(name: str) -> Iterator[Path]:
    """Give a group of processes whose memory can be limited, with the first version's names."""
    group = Path("/sys/fs/cgroup/memory") / name
    try:
        group.mkdir()
    except OSError as broken:
        raise Unavailable(f"no memory cgroup can be made: {broken.strerror}") from None
    try:
        yield group
    finally:
        group.rmdir()
