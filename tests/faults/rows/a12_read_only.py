"""A12: the disk becomes read-only, as a worn SD card does. Promise: no decision is missed, the newest hour of them is kept in memory, and said."""

from tests.faults.control import follows, missed
from tests.faults.disks import refusing, small
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.rows.a10_disk_full import kept_again

ROW = Row("A12", "the disk becomes read-only", "0 missed decisions; >= 1 h of them in memory", minutes=2)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.daemon(start=False)
    disk = lab.ends.enter_context(small(daemon.state))
    lab.controlled(daemon.start())
    # Linux makes a disk read-only by force when it fails; nobody else may while it is written to.
    with refusing(daemon.pid, "pwrite64,ftruncate,fdatasync,fsync,unlink", "error=EROFS"):
        took = follows(lab, size.of(60, 6))
        said = lab.took(lambda: daemon.part("store").get("state") == "degraded", 20)
        recorded = daemon.appliance("fan")["decision"]["recorded"]
    daemon.kill()
    disk.read_only(on=True)
    try:
        daemon.start_without_disk()
        lab.until(lambda: lab.ready(daemon))
        took += follows(lab, size.of(30, 4))
        shown = daemon.ask("/v1/decisions?limit=100")["decisions"]
    finally:
        disk.read_only(on=False)
    return [
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        at_most("followed after", max(took), "s", 2.0),
        at_most("said in health after", said, "s", 5.0),
        exactly("called recorded", str(recorded), "", "False"),
        at_least(
            "decisions shown from memory", sum(not one["recorded"] for one in shown), "", size.of(30, 4)
        ),
        at_most("kept again after", kept_again(lab, daemon), "s", 10.0),
    ]
