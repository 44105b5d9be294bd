"""B19: the sensors were never heard. Promise: safe from the first second, and nothing is switched on before the first good reading."""

from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, exactly

ROW = Row("B19", "silent since the start", "nothing is switched on before the first good reading: 100 %")


def run(lab: Lab, size: Size) -> list[Figure]:
    early = 0
    for number in range(size.of(20, 2)):
        daemon = lab.daemon()
        # Words that are none, and a value that nobody can believe.
        for said in (
            b"",
            b"{}",
            b'{"temperature": null}',
            b'{"temperature": "15"}',
            b'{"temperature": NaN}',
            b'{"temperature": -127}',
        ):
            lab.world.publish(lab.room.topic, said)
        lab.until(lambda daemon=daemon: daemon.doing("heater") == "off", 20)
        lab.took(lambda: False, 2 + number % 3)
        early += sum(lab.heater.wanted(one.said) == "on" for one in lab.world.commands("heater"))
        early += sum(lab.fan.wanted(one.said) != "off" for one in lab.world.commands("fan"))
        daemon.stop()
    daemon = lab.daemon()
    lab.room.says(15.0)
    live = lab.took(lambda: lab.heater.doing == "on", 10)
    return [
        exactly("switched on before the first good reading", early, "times", 0),
        Figure("switched on by the first one after", live, "s", "at most 10", live < 10),
    ]
