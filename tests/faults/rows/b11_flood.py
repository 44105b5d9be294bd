"""B11: one sensor says 5,000 things a second. Promise: the rules decide on the other sensors within 250 ms (p99), and memory stays bounded.

Every reading is decided: as long as that keeps up, the broker holds nothing back. A machine that can't is behind by what the
broker queues.
"""

from tests.faults.flood import flooding
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most
from tests.faults.world import now

ROW = Row("B11", "5,000 messages a second on one topic", "p99 < 250 ms for the others", minutes=2, alone=True)
RATE = 5000


def run(lab: Lab, size: Size) -> list[Figure]:
    lab.config += 'channels.co2 = "zigbee2mqtt/storm"\n'
    daemon = lab.home()
    before, held = daemon.metric("messages_total"), daemon.rss_mib()
    seconds = size.of(60.0, 6.0)
    took: list[float] = []
    with flooding(
        lab.broker.port, rate=RATE, seconds=seconds + 30, topic="zigbee2mqtt/storm", payload='{"co2": 800}'
    ):
        lab.took(lambda: False, 1)
        began = now()
        while now() - began < seconds:
            goal, value = ("off", 10.0) if lab.fan.doing == "high" else ("high", 50.0)
            at = now()
            lab.air.says(value)
            lab.took(lambda at=at: lab.world.commands("fan", at), 10)
            sent = lab.world.commands("fan", at)
            took.append(sent[0].at - at if sent else float("inf"))
            lab.took(lambda goal=goal: lab.fan.doing == goal, 5)
            lab.took(lambda: False, 0.5)
        heard = (daemon.metric("messages_total") - before) / (now() - began + 1)
    took.sort()
    return [
        Figure("heard", heard, "messages/s", f"sent {RATE}", holds=heard > 0),
        at_least("decisions measured", len(took), "", 3),
        at_most(
            "from a reading to its command, p99",
            1000 * took[min(len(took) - 1, int(len(took) * 0.99))],
            "ms",
            # A machine that runs other tests meanwhile is slow by itself.
            size.of(250, 5000),
        ),
        Figure("median", 1000 * took[len(took) // 2], "ms", "reported", holds=True),
        at_most("memory grew by", daemon.rss_mib() - held, "MiB", 40),
    ]
