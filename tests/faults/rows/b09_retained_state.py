"""B9: the broker kept an old state of the devices ("ON", of some day), and echoes of old commands. Promise: ignored: no switch, no hand."""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, exactly

ROW = Row("B9", "a retained state or command of some day", "0 switches")


def run(lab: Lab, size: Size) -> list[Figure]:
    lab.world.publish("zigbee2mqtt/heater", {"state": "ON", "power": 1500}, retain=True)
    lab.world.publish("zigbee2mqtt/fan", {"fan_mode": "9", "fan_state": "ON"}, retain=True)
    lab.took(lambda: False, 0.3)
    daemon = lab.daemon()
    hands = 0
    lab.room.says(22.0)
    lab.air.says(5.0)
    for number in range(size.of(20, 2)):
        lab.until(lambda: daemon.doing("heater") == "off" and daemon.doing("fan") == "off", 20)
        lab.took(lambda: False, 2)  # time for a wrong command
        hands += sum(daemon.appliance(name)["override"] is not None for name in ("heater", "fan"))
        if number % 2:
            daemon.kill()
            daemon.start()
        else:
            lab.broker.kill()  # it forgets; so it is told anew, and the daemon hears it as it comes back
            lab.broker.start()
            lab.world.listens()
            lab.world.publish("zigbee2mqtt/heater", {"state": "ON", "power": 1500}, retain=True)
            lab.world.publish("zigbee2mqtt/fan", {"fan_mode": "9", "fan_state": "ON"}, retain=True)
            daemon.kill()
            daemon.start()
    switches = len(lab.heater.history) + len(lab.fan.history) - 2
    return [exactly("switches", switches, "", 0), exactly("hands that were none", hands, "", 0)]
