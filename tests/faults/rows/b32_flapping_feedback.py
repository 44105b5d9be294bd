"""B32: the device's report flaps, ten times a second. Promise: no more commands than the profile's limit an hour, and no log that fills."""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most
from tests.faults.world import now

ROW = Row("B32", "feedback flaps ten times a second", "commands within the limit of 12 an hour", minutes=3)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    lab.room.says(17.0)
    lab.took(lambda: False, 4)
    at, lines = now(), len(daemon.log().splitlines())
    ends = at + size.of(120.0, 6.0)
    number = 0
    while now() < ends:
        said = ("OFF", "ON")[number % 2]
        lab.world.publish("zigbee2mqtt/heater", {"state": said, "power": 1500 if said == "ON" else 0})
        lab.took(lambda: False, 0.1)
        number += 1
    commands = [lab.heater.wanted(one.said) for one in lab.world.commands("heater", at)]
    switches = sum(before != after for before, after in zip(["on", *commands], commands, strict=False))
    lab.heater.report()
    return [
        at_most("commands that switch", switches, "", 12),
        at_most("commands in all", len(commands), "", size.of(60, 12)),
        at_most("lines in the log", len(daemon.log().splitlines()) - lines, "", 20),
        Figure("reports", number, "", "reported", holds=True),
    ]
