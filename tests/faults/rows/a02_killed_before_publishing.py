"""A2: the daemon is killed (SIGKILL) between committing a decision and telling anybody of it.

Promise: what follows is decided anew: the load is switched once, never twice, and no number is given out again.

The kill is strace's, at the call that follows a commit: the high-water mark's write.
"""

from tests.faults.control import CLEAN, DUSTY, Told
from tests.faults.disks import strace
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A2", "kill -9 between commit and telling", "the load is switched once", minutes=8)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon, told = lab.home(), Told()
    lab.until(lambda: daemon.appliance("fan")["decision"]["recorded"])
    told.ask(daemon)
    daemon.kill()
    wrong = kept = 0
    agreed: list[float] = []
    rounds = size.of(100, 3)
    for _ in range(rounds):
        daemon.prefix = strace("pwrite64", "signal=KILL:when=1", daemon.state / "high-water")
        before, switches = newest(told), len(lab.fan.history)
        wanted, air = ("off", CLEAN) if lab.fan.doing == "high" else ("high", DUSTY)
        daemon.start(wait=False)
        lab.air.says(air)
        lab.until(lambda: daemon.ended, 30)
        daemon.prefix = ()
        daemon.start()
        agreed.append(lab.took(lambda wanted=wanted: daemon.doing("fan") == wanted == lab.fan.doing))
        told.ask(daemon)
        kept += newest(told) > before
        wrong += len(lab.fan.history) - switches != 1
        daemon.kill()
    return [
        exactly("rounds in which the load was switched other than once", wrong, f"of {rounds}", 0),
        exactly("what was committed is there", kept, f"of {rounds}", rounds),
        at_most("agrees after its page is up", max(agreed), "s", 5.0),
        exactly("numbers given twice", told.twice, "", 0),
        exactly("acknowledged and lost", told.lost(daemon.state), f"of {len(told.decisions)}", 0),
    ]


def newest(told: Told) -> int:
    return max(told.decisions)
