"""A16: the log beside the decisions file is cut, removed or changed while no daemon runs. Promise: every loss is told, though SQLite finds none."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from appliance.adapters.store import schema
from tests.adapters.store.conftest import Keeper, decision
from tests.adapters.store.test_kill import child
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly

ROW = Row("A16", "the log is cut, removed or changed", "100 % of losses told", minutes=3)
WAL = f"{schema.DECISIONS}-wal"


def cut(log: Path, chance: random.Random) -> None:
    held = log.read_bytes()
    log.write_bytes(held[: chance.randrange(len(held))])


def remove(log: Path, chance: random.Random) -> None:
    del chance
    log.unlink()


def change(log: Path, chance: random.Random) -> None:
    held = bytearray(log.read_bytes())
    held[chance.randrange(len(held))] ^= 1 << chance.randrange(8)
    log.write_bytes(held)


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (cut, remove, change)


def run(lab: Lab, size: Size) -> list[Figure]:
    chance = random.Random(1)
    lost = told = sound = wrongly = 0
    rounds = size.of(300, 30)
    state = lab.folder / "state"
    for number in range(rounds):
        if number % 30 == 0:
            shutil.rmtree(state, ignore_errors=True)
            acknowledged = killed(state, chance.randint(40, 120))
        after = lab.folder / "after"
        shutil.copytree(state, after)
        (after / f"{schema.DECISIONS}-shm").unlink(missing_ok=True)
        WAYS[number % len(WAYS)](after / WAL, chance)
        keeper = Keeper()
        store = keeper.open(after)
        missing = [
            one
            for one in acknowledged
            if (kept := store.queries.decision(one)) is None or kept.decision != decision(one)
        ]
        loss = store.restored.loss
        named = [one for one in missing if loss is not None and loss.first <= one <= loss.last]
        lost += bool(missing)
        told += bool(missing) and len(named) == len(missing) and bool(store.health().history)
        wrongly += loss is not None and not missing and loss.last <= max(acknowledged)
        store.close()
        with sqlite3.connect(after / schema.DECISIONS) as file:
            sound += bool(missing) and file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        file.close()
        shutil.rmtree(after)
    return [
        at_least("rounds with a loss", lost, f"of {rounds}", rounds // 3),
        exactly("losses told, each decision of them", told, f"of {lost}", lost),
        Figure("losses that SQLite calls sound", sound, f"of {lost}", "told", holds=True),
        exactly("called lost, and not", wrongly, f"of {rounds}", 0),
    ]


def killed(state: Path, decisions: int) -> list[int]:
    """Let a store record so many decisions and kill it; return those that were acknowledged."""
    process = child(state)
    acknowledged = [int(process.stdout.readline()) for _ in range(decisions)]
    process.kill()
    acknowledged += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait()
    return acknowledged
