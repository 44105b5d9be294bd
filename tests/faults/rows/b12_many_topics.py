"""B12: 100,000 different topics. Promise: nothing in memory grows with their number, and control goes on."""

from tests.faults.flood import flood
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most

ROW = Row("B12", "100,000 different topics", "bounded entries, bounded memory", minutes=2, alone=True)
TOPICS = 100_000


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    before, held = daemon.metric("messages_total"), daemon.rss_mib()
    topics = size.of(TOPICS, TOPICS // 4)
    sent = 0
    # First so many as are remembered at all; then the others.
    for number, spelt in enumerate(("zigbee2mqtt/{}", "zigbee2mqtt/{}/availability", "tele/{}/SENSOR")):
        payload = (
            '{"temperature": 21.5}',
            '{"state": "online"}',
            '{"SI7021":{"Temperature":21.5},"TempUnit":"C"}',
        )[number]
        sent += flood(lab.broker.port, rate=4000, seconds=topics / 3 / 4000, topic=spelt, payload=payload)
    lab.took(lambda: daemon.metric("messages_total") - before >= sent, 60)
    heard = daemon.metric("messages_total") - before
    once = daemon.rss_mib() - held
    again = flood(
        lab.broker.port, rate=4000, seconds=topics / 4000, topic="zigbee2mqtt/other{}", payload='{"pm25": 3}'
    )
    lab.took(lambda: daemon.metric("messages_total") - before >= sent + again, 60)
    twice = daemon.rss_mib() - held
    goal = "off" if lab.fan.doing == "high" else "high"
    lab.air.says(10.0 if goal == "off" else 50.0)
    return [
        at_least("messages heard", heard, "", 0.9 * sent),
        at_most("memory grew by", once, "MiB", 15),
        at_most("and by as many topics again", twice - once, "MiB", 5),
        at_most("in control after", lab.took(lambda: lab.fan.doing == goal, 20), "s", size.within(5)),
    ]
