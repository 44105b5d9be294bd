"""B31: somebody presses the button. Promise: obeyed within 2 s and until its time; where it is too warm, off still wins."""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B31", "a hand at the device", "honoured within 2 s; safety still wins", minutes=2)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    took, fought = [], 0
    for _ in range(size.of(10, 1)):
        lab.settled(daemon)
        lab.fan.turn("low")
        took.append(lab.took(lambda: (daemon.appliance("fan")["override"] or {}).get("by") == "device", 5))
        lab.air.says(60.0)
        lab.took(lambda: False, 2)
        fought += lab.fan.doing != "low"
        daemon.ask("/v1/appliances/fan/override", "DELETE")
        lab.until(lambda: lab.fan.doing == "high", 20)
    for warm in (22.0, 29.0, 31.0):  # as fast as a room can be believed to warm up
        lab.room.says(warm)
        lab.took(lambda: False, 1)
    lab.until(lambda: lab.heater.doing == "off", 20)
    lab.settled(daemon)
    lab.heater.turn("on")
    safe = lab.took(lambda: lab.heater.doing == "off", 10)
    return [
        at_most("a hand is known after", max(took), "s", size.within(2)),
        exactly("fought a hand", fought, "times", 0),
        at_most("too warm, and switched on by hand: off after", safe, "s", size.within(5)),
    ]
