"""A15: bytes of the decisions file change. Promise: every change of a decision is found; a file beyond use is set aside within 5 s of a start."""

import random
import shutil
import time
from pathlib import Path

import msgspec

from appliance.adapters.store import inspection, schema
from appliance.errors import StoreError
from tests.adapters.store.conftest import Keeper, decision
from tests.faults.control import follows, missed
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_most, exactly

ROW = Row("A15", "bytes of the file change", "100 % of changed decisions found; a start <= 5 s", minutes=4)
DECISIONS = 200


def run(lab: Lab, size: Size) -> list[Figure]:
    changes = size.of(1000, 60)
    found, chance = 0, random.Random(1)
    whole = kept(lab.folder / "whole")
    told = (whole / schema.DECISIONS).read_bytes()
    places = [told.index(b"%d units of dust" % number) for number in range(1000, 1000 + DECISIONS)]
    for _ in range(changes):
        number = chance.randrange(DECISIONS)
        broken = bytearray(told)
        broken[places[number] + chance.randrange(4)] ^= 1 << chance.randrange(8)
        found += notices(whole, bytes(broken))
    anywhere = [random_bytes(told, chance) for _ in range(size.of(200, 20))]
    noticed = sum(notices(whole, one) for one in anywhere)

    lab.damaged = True
    daemon = lab.home()
    daemon.kill()
    for end in ("-wal", "-shm"):
        (daemon.state / (schema.DECISIONS + end)).unlink(missing_ok=True)
    (daemon.state / schema.DECISIONS).write_bytes(b"rubbish!" * 4096)
    began = time.monotonic()
    daemon.start(wait=False)
    took = follows(lab, 1, 40)
    back = time.monotonic() - began
    daemon.serves()
    took += follows(lab, 3)
    return [
        exactly("changed decisions that were found", found, f"of {changes}", changes),
        Figure("16 random bytes anywhere, found", noticed, f"of {len(anywhere)}", "told", holds=True),
        at_most("controls again, started on a file beyond use, after", back, "s", size.of(5.0, 30.0)),
        exactly("decisions that the fan did not follow", missed(took), f"of {len(took)}", 0),
        exactly("set aside", len(inspection.set_aside(daemon.state)), "file", 1),
        exactly("health of the history", str(daemon.part("history").get("state")), "", "degraded"),
    ]


def kept(folder: Path) -> Path:
    """Return a folder with decisions whose words are found in its file, and no log beside it."""
    keeper = Keeper()
    store = keeper.open(folder)
    for number in range(1, DECISIONS + 1):
        store.record(msgspec.structs.replace(decision(number), because=f"{number + 999} units of dust"))
    keeper.confirm(store)
    store.close()
    return folder


def random_bytes(told: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(told) - 16)
    return told[:at] + chance.randbytes(16) + told[at + 16 :]


def notices(whole: Path, broken: bytes) -> bool:
    """Return whether `appliance doctor` would find something wrong with the file, were it `broken`."""
    folder = whole.with_name("broken")
    shutil.copytree(whole, folder)
    (folder / schema.DECISIONS).write_bytes(broken)
    try:
        chain = inspection.chain(folder, 30)
        return bool(chain is None or chain.faults or inspection.complaints(folder, schema.DECISIONS, 30))
    except StoreError:
        return True
    finally:
        shutil.rmtree(folder)
