"""B17: another client of the broker commands our devices. Promise: seen as the change from outside that it is, within 10 s: the device's
report is a hand where a hand may act, and a stronger voice takes it back.
"""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("B17", "another client commands the device", "reconciled within 10 s", minutes=2)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    took, back, wrong = [], [], 0
    lab.room.says(22.0)
    lab.until(lambda: lab.heater.doing == "off", 20)
    for _ in range(size.of(10, 1)):
        lab.settled(daemon)
        lab.world.publish("zigbee2mqtt/fan/set", {"fan_mode": "2"})
        # As after a press of its button: a person's word for its time.
        took.append(lab.took(lambda: (daemon.appliance("fan")["override"] or {}).get("action") == "low", 10))
        daemon.ask("/v1/appliances/fan/override", "DELETE")
        lab.until(lambda: lab.fan.doing == "high", 20)
    # The thermometer is silent: nobody may heat, whoever commands it.
    lab.room.silent = True
    lab.until(lambda: "blind" in daemon.appliance("heater")["decision"]["source"], 20)
    lab.settled(daemon)
    lab.world.publish("zigbee2mqtt/heater/set", {"state": "ON", "on_time": 10})
    lab.until(lambda: lab.heater.doing == "on", 5)
    forged = len(lab.world.commands("heater"))
    back.append(lab.took(lambda: lab.heater.doing == "off", 12))
    ours = [lab.heater.wanted(one.said) for one in lab.world.commands("heater")[forged:]]
    wrong += ours.count("on")
    return [
        at_most("taken for a hand after", max(took), "s", size.within(10)),
        at_most("taken back where nobody may, after", max(back), "s", size.within(10)),
        exactly("commands of ours to switch it on", wrong, "", 0),
    ]
