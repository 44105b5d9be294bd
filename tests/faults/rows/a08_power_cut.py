"""A8: the power is cut at any call to the disk. Promise: what was acknowledged is there and whole; on a disk that lies, the loss is told.

What a real store tells the kernel is recorded with strace and replayed up to a random call; of what was not synced then nothing, a prefix,
any part, or a part with a torn write reached the disk.
"""

from appliance.adapters.store import highwater, schema
from tests.faults.lab import Lab
from tests.faults.power_cut import run as cuts
from tests.faults.row import Figure, Row, Size, at_least, exactly

ROW = Row(
    "A8", "the power is cut", "0 acknowledged decisions lost, 0 corrupt; 100 % of losses told", minutes=5
)


def run(lab: Lab, size: Size) -> list[Figure]:
    number = size.of(1000, 40)
    honest, lying = lab.folder / "honest", lab.folder / "lying"
    honest.mkdir()
    lying.mkdir()
    kept = cuts(honest, number, seed=1)
    lost = cuts(lying, size.of(400, 20), seed=2, lies=f"{schema.DECISIONS}-wal")
    return [
        at_least("acknowledged before the cuts", kept.acknowledged, "decisions", number),
        exactly("acknowledged and lost", kept.lost, f"in {number} cuts", 0),
        exactly("corrupt", kept.corrupt, f"in {number} cuts", 0),
        exactly("called lost, and not", kept.false_alarms, f"in {number} cuts", 0),
        at_least("lost on a disk that lies", lost.lost, "decisions", 1),
        exactly(f"of these not told, but for the last {highwater.SYNC_MOST - 1}", lost.unnoticed, "", 0),
    ]
