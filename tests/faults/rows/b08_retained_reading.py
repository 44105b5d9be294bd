"""B8: a reading that the broker kept, of unknown age. Promise: it never counts as fresh, at a start, at a reconnect, or from a live sensor's
topic.
"""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, exactly

ROW = Row("B8", "a retained reading, perhaps a year old", "never counted as fresh: 100 %")


def run(lab: Lab, size: Size) -> list[Figure]:
    switched = believed = 0
    lab.world.publish(lab.room.topic, {"temperature": 3.0}, retain=True)
    lab.world.publish(lab.air.topic, {"pm25": 300.0}, retain=True)
    daemon = lab.daemon()
    for _ in range(size.of(20, 2)):
        lab.until(lambda: daemon.doing("heater") == "off" and daemon.doing("fan") == "off", 20)
        lab.took(lambda: False, 2)  # time for a wrong command
        believed += sum(
            seen["quality"] == "good" for name in ("heater", "fan") for seen in daemon.appliance(name)["channels"]
            if seen["channel"] in ("temperature", "pm2_5")
        )  # fmt: skip
        switched += lab.heater.doing != "off"
        switched += lab.fan.doing != "off"
        daemon.stop()
        daemon.start()
    lab.room.says(15.0)
    live = lab.took(lambda: lab.heater.doing == "on", 10)
    return [
        exactly("retained readings that counted", believed, "", 0),
        exactly("switches by them", switched, "", 0),
        Figure("a live one switches after", live, "s", "at most 10", live < 10),
    ]
