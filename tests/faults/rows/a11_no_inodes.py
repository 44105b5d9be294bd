"""A11: no inode is left on the disk, at the start or later. Promise: as for a full disk."""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size
from tests.faults.rows.a10_disk_full import fills

ROW = Row("A11", "no inode is left", "0 missed decisions; kept again <= 10 s after there are", minutes=3)


def run(lab: Lab, size: Size) -> list[Figure]:
    return fills(lab, size.of(30, 4), "size=24m,nr_inodes=200", inodes=True)
