"""A10: the disk is full, at the start or later. Promise: no decision is missed; the reserve takes the next ones; kept again within 10 s of room."""

from tests.faults.control import follows, missed
from tests.faults.disks import small
from tests.faults.handle import Handle
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A10", "the disk is full", "0 missed decisions; kept again <= 10 s after room", minutes=3)


def run(lab: Lab, size: Size) -> list[Figure]:
    return fills(lab, size.of(30, 4), "size=24m", inodes=False)


def fills(lab: Lab, times: int, options: str, *, inodes: bool) -> list[Figure]:
    """Let the disk fill, of room or of inodes, before a start and while it runs; return what came of it."""
    daemon = lab.daemon(start=False)
    disk = lab.ends.enter_context(small(daemon.state, options))
    full, free = (disk.fill_inodes, disk.free_inodes) if inodes else (disk.fill, disk.free)
    full()
    lab.controlled(daemon.start_without_disk())
    took = follows(lab, times)
    said = daemon.part("store").get("state")
    free()
    first = kept_again(lab, daemon)
    lab.until((daemon.state / "ballast").exists, 20)
    full()
    took += follows(lab, times)
    in_reserve = daemon.appliance("fan")["decision"]["recorded"]
    full()
    took += follows(lab, times)
    free()
    again = kept_again(lab, daemon)
    return [
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        at_most("followed after", max(took), "s", 2.0),
        exactly("health while it is full from the start", str(said), "", "degraded"),
        exactly("recorded in the reserve", str(in_reserve), "", "True"),
        at_most("kept again after the first start", first, "s", 10.0),
        at_most("kept again later", again, "s", 10.0),
        exactly("decisions that were never recorded", daemon.metric("decisions_lost_total"), "", 0),
    ]


def kept_again(lab: Lab, daemon: Handle) -> float:
    """Return after how long the disk is said to be well, and the newest decision to be recorded."""
    return lab.took(
        lambda: daemon.part("store")["state"] == "ok" and daemon.appliance("fan")["decision"]["recorded"], 20
    )
