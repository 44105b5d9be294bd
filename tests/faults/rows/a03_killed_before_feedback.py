"""A3: the daemon is killed (SIGKILL) between sending a command and hearing what came of it.

Promise: started again it asks the device, and agrees with it within 5 s, whether the device obeyed while it was dead or after.

The decision itself may not have been committed when the command went out (no command waits for the disk), nor the reading behind it: then
what was known before is acted on until the sensor speaks, and the load may switch back and forth once. That is told, not promised.
"""

from tests.faults.control import CLEAN, DUSTY
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A3", "kill -9 between command and feedback", "agrees within 5 s", minutes=5)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    wrong, hands = 0, 0
    agreed: list[float] = []
    rounds = size.of(60, 4)
    for number in range(rounds):
        # It obeys while the daemon is dead, or long after it is back.
        lab.fan.delay_s = (0.1, 3.0)[number % 2]
        wanted, air = ("off", CLEAN) if lab.fan.doing == "high" else ("high", DUSTY)
        sent, switches = len(lab.world.commands("fan")), len(lab.fan.history)
        lab.air.says(air)
        lab.until(lambda sent=sent: len(lab.world.commands("fan")) > sent)
        daemon.kill()
        daemon.start()
        late = lab.fan.delay_s if lab.fan.doing != wanted else 0.0
        took = lab.took(lambda wanted=wanted: daemon.doing("fan") == wanted == lab.fan.doing)
        agreed.append(max(0.0, took - late))
        lab.fan.delay_s = 0.1
        hands += daemon.appliance("fan")["override"] is not None
        wrong += len(lab.fan.history) - switches != 1
    return [
        at_most("agrees after its page is up, and the device obeyed", max(agreed), "s", 5.0),
        Figure("rounds in which the load switched back and forth", wrong, f"of {rounds}", "told", holds=True),
        exactly("its own command taken for a hand", hands, f"of {rounds}", 0),
    ]
