"""A1: the daemon is killed (SIGKILL) at any time, again and again, while it decides and people speak.

Promise: nothing that it acknowledged is lost, a person's word holds, and it controls again within 3 s (p99).
"""

import random
import time

from tests.faults.control import CLEAN, DUSTY, Told, follow, missed, percentile
from tests.faults.handle import Handle
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly

ROW = Row("A1", "kill -9 at any time", "0 acknowledged decisions lost; control < 3 s p99", minutes=50)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon, told = lab.home(), Told()
    kills = size.of(1000, 20)
    back, forgotten = killed(lab, daemon, told, kills, size.of(2.0, 0.5))
    told.heard(lab)
    daemon.kill()
    return [
        exactly("acknowledged and lost", told.lost(daemon.state), f"of {len(told.decisions)}", 0),
        exactly("numbers given twice", told.twice, "", 0),
        exactly("words forgotten", forgotten, f"of {kills}", 0),
        at_least("acknowledged", len(told.decisions), "decisions", kills),
        at_most("control after a start, p99", percentile(back, 0.99), "s", size.of(3.0, 20.0)),
        at_most("control after a start, median", percentile(back, 0.5), "s", size.of(3.0, 20.0)),
        exactly("not in control within 20 s", missed(back), "", 0),
    ]


def killed(lab: Lab, daemon: Handle, told: Told, kills: int, lives_s: float) -> tuple[list[float], int]:
    """Kill it so often, after `lives_s` at most, and start it again; return how long each start took to control, and how many words
    of people were forgotten.
    """
    chance = random.Random(1)
    lab.air.every_s = 0.1
    back: list[float] = []
    forgotten = 0
    for _ in range(kills):
        word = lives(lab, daemon, told, chance.uniform(0, lives_s))
        daemon.kill()
        lab.air.says(CLEAN if lab.fan.doing == "high" else DUSTY)
        wanted, began = "off" if lab.fan.doing == "high" else "high", time.monotonic()
        daemon.start(wait=False)
        lab.took(lambda wanted=wanted: lab.fan.doing == wanted, 20)
        back.append(time.monotonic() - began)
        daemon.serves()
        told.ask(daemon)
        forgotten += (daemon.appliance("heater")["override"] is not None) not in word
    return back, forgotten


def lives(lab: Lab, daemon: Handle, told: Told, seconds: float) -> set[bool]:
    """Let it decide, and people speak, for that long; return whether an override may hold now."""
    ends = time.monotonic() + seconds
    follow(lab, 0.0)  # a decision is on its way when the time is short
    holds = daemon.appliance("heater")["override"] is not None
    while time.monotonic() < ends:
        if holds:
            said = daemon.ask("/v1/appliances/heater/override", "DELETE")
            holds = said.get("recorded") is not True  # more than thirty words a minute are refused
        else:
            said = daemon.ask("/v1/appliances/heater/override", "PUT", {"action": "on", "for_s": 3600})
            holds = said.get("recorded") is True
        told.ask(daemon)
    return {holds}
