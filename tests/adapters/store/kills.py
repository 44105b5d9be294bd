"""Owns kill -9 of a process that is nothing but a store: how often one likes, and what of the acknowledged is missing afterwards.

Never in here: the daemon (row A1 of the fault matrix). `python -m tests.adapters.store.kills 1000` exits with 1 where anything is.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from appliance.adapters.store import Store
from appliance.adapters.store.rows import memory_text
from tests.adapters.conftest import ROOT
from tests.adapters.store.conftest import Keeper, decision, memory

CHILD = """
import itertools, os, sys, threading
from pathlib import Path
from tests.adapters.store.conftest import Keeper, decision, instant, memory
store = Keeper().open(Path(sys.argv[1]))
last = int(sys.argv[2]) or None
room = threading.Semaphore(8)
def done(number):
    def told(error):
        assert error is None
        os.write(1, b"%d\\n" % number)
        room.release()
    return told
first = store.restored.next_id
for number in itertools.islice(itertools.count(first), last):
    room.acquire()
    store.remember("fan", memory(number))
    store.record(decision(number), done(number))
    if number % 7 == 0:
        store.flush()
for _ in range(8):
    room.acquire()
store.close(60)
"""


def child(folder: Path, last: int = 0, before: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
    command = [*before, sys.executable, "-c", CHILD, str(folder), str(last)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def killed(folder: Path, kills: int) -> list[int]:
    """Kill a store that records as fast as it can after 1 to 60 acknowledgements, so often; return the numbers that were acknowledged."""
    chance = random.Random(7)
    acknowledged: list[int] = []
    for _ in range(kills):
        process = child(folder)
        for _ in range(chance.randint(1, 60)):
            acknowledged.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split()]
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
    return acknowledged


def lost(store: Store, acknowledged: list[int]) -> list[int]:
    """Return which of them the store has not, or not as they were recorded."""
    kept = {}
    page = store.queries.decisions(limit=500)
    while page:
        kept |= {one.decision.id: one.decision for one in page}
        page = store.queries.decisions(before_id=page[-1].decision.id, limit=500)
    return [number for number in acknowledged if kept.get(number) != decision(number)]


def remembered(store: Store, acknowledged: list[int]) -> bool:
    """Return whether what the appliance remembers is of the last acknowledged decision, or of one that was on its way."""
    text = memory_text(store.restored.memories["fan"])
    last = max(acknowledged)
    return text in {memory_text(memory(number)) for number in range(last, last + 10)}


def main() -> int:
    """Kill it so often, and print what came of it."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        acknowledged = killed(Path(folder), kills)
        keeper = Keeper()
        store = keeper.open(Path(folder))
        missing = lost(store, acknowledged)
        twice = len(acknowledged) - len(set(acknowledged))
        whole = store.queries.verify() is None and store.restored.loss is None
        knows = remembered(store, acknowledged)
        store.close()
    print(
        f"{kills} kills: {len(missing)} of {len(acknowledged)} acknowledged decisions lost, {twice} numbers given twice, "
        f"chain {'whole' if whole else 'BROKEN'}, memory {'kept' if knows else 'LOST'}"
    )
    return int(bool(missing or twice or not whole or not knows))


if __name__ == "__main__":
    sys.exit(main())
