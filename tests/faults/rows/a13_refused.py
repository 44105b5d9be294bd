"""A13: the disk refuses calls (EIO, ENOSPC) to sync, write, cut or remove. Promise: after a failed sync nothing is acknowledged by it.

A store runs under strace, which refuses some of its calls; what it told the kernel is replayed with a power cut at any point, in which what
waited for a failed sync never reaches the disk: a kernel holds such pages for written, and a second sync of them proves nothing.
"""

from tests.faults.lab import Lab
from tests.faults.power_cut import Result, run as cuts
from tests.faults.row import Figure, Row, Size, at_least, exactly

ROW = Row("A13", "the disk refuses calls", "no acknowledgement by a failed sync: 100 %", minutes=6)

REFUSED = (
    ("fdatasync,fsync", "error=EIO:when=6+9"),
    ("fdatasync,fsync", "error=EIO:when=7+4"),
    ("pwrite64", "error=EIO:when=40+150"),
    ("pwrite64", "error=ENOSPC:when=40+150"),
    ("ftruncate", "error=EIO:when=2+2"),
    ("unlink", "error=EIO:when=1+2"),
)


def run(lab: Lab, size: Size) -> list[Figure]:
    figures = []
    for number, (calls, fault) in enumerate(REFUSED if not size.quick else REFUSED[:3]):
        folder = lab.folder / str(number)
        folder.mkdir()
        found: Result = cuts(folder, size.of(200, 12), seed=number, refuse=(calls, fault))
        name = f"{calls} {fault}"
        figures += [
            at_least(f"{name}: refused", found.refused, "calls", 1),
            exactly(f"{name}: acknowledged and lost", found.lost, f"of {found.acknowledged}", 0),
            exactly(f"{name}: corrupt", found.corrupt, f"in {found.cuts} cuts", 0),
            exactly(f"{name}: called lost, and not", found.false_alarms, f"in {found.cuts} cuts", 0),
        ]
    return figures
