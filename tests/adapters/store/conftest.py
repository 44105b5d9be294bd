"""Decisions and readings to keep, stores on real files, and disks that fail for real."""

import contextlib
import itertools
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.adapters.store import Limits, Store, schema
from appliance.adapters.store.packs import Pack
from appliance.core.arbitration import Authority, Voice
from appliance.core.clock import SECOND, Instant
from appliance.core.events import Decision, Input, Memory, Override

DAY = 86_400 * SECOND
WALL = 1_767_225_600 * SECOND


def instant(seconds: float = 0.0, boot: str = "boot-1") -> Instant:
    return Instant(boot, round((1000 + seconds) * SECOND), WALL + round(seconds * SECOND))


def decision(
    number: int, *, appliance: str = "fan", action: str | None = "high", at: Instant | None = None
) -> Decision:
    return Decision(
        number,
        at or instant(number),
        appliance,
        action,
        "38.2 µg/m³ of dust",
        Authority.RULE,
        "dusty",
        (
            Voice("dusty", Authority.RULE, "high", "high", "38.2 µg/m³ of dust"),
            Voice("rest", Authority.FALLBACK, "off", "off", "nobody asks", "dusty"),
        ),
        (
            Input("pm2_5", 38.2, "µg/m³", 1.5, "good"),
            Input("co2", None, "ppm", None, "unknown", "nothing heard since boot"),
        ),
        True,
    )


def memory(step: int = 0) -> Memory:
    at = instant(step)
    return Memory(
        override=Override("off", "page", at, at.plus(3600 * SECOND)),
        commanded="high",
        commanded_at=at,
        reported="high",
        reported_at=at,
        started=at,
        stopped=None,
        switches=(at, at.plus(SECOND)),
        holds=("dusty",),
        true_since={"dusty": at},
    )


def as_rows(folder: Path) -> None:
    """Let the readings in `folder`, which nobody has open, lie there as rows of a table, as versions before the packs left them."""
    connection = sqlite3.connect(folder / schema.READINGS)
    with connection:
        for first, blob in connection.execute("SELECT first, blob FROM packs").fetchall():
            connection.executemany(
                "INSERT INTO readings VALUES (?,?,?,?,?,?,?,?,?)", Pack(first, blob).numbered()
            )
        connection.execute("DELETE FROM packs")
    connection.close()


class Keeper:
    """Opens stores on folders, closes them at the end, and waits for what they confirm."""

    def __init__(self) -> None:
        self.now = instant()
        self.stores: list[Store] = []

    def open(self, folder: Path, **limits: int) -> Store:
        store = Store(folder, lambda: self.now, Limits(**limits), batch_s=3600.0)
        store.restored = store.start()
        self.stores.append(store)
        return store

    @staticmethod
    def confirm(store: Store) -> Exception | None:
        return _answer(store.confirm)

    @staticmethod
    def flush(store: Store) -> Exception | None:
        return _answer(store.flush)


def _answer(ask: Callable[[Callable[[Exception | None], None]], None]) -> Exception | None:
    said: list[Exception | None] = []
    told = threading.Event()

    def done(error: Exception | None) -> None:
        said.append(error)
        told.set()

    ask(done)
    assert told.wait(20), "nobody answered"
    return said[0]


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    made = Keeper()
    yield made
    for store in made.stores:
        store.close()
        assert not store.alive()


class Disk:
    """A small disk of its own, in memory, which can be filled and made read-only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes. May be done again when room was made."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            for size in (65536, 4096, 512):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue
            if leave:
                file.truncate(file.tell() - leave)

    def free(self) -> None:
        (self.path / "filler").unlink()

    def fill_inodes(self) -> None:
        """Leave none."""
        (self.path / "fillers").mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            for number in itertools.count(len(list((self.path / "fillers").iterdir()))):
                (self.path / "fillers" / str(number)).touch()

    def free_inodes(self) -> None:
        shutil.rmtree(self.path / "fillers")

    def read_only(self, *, on: bool) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.path)],
            check=True,
            capture_output=True,
        )


@pytest.fixture
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    path = tmp_path_factory.mktemp("disk")
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)], check=False, capture_output=True
        )
        if os.geteuid() == 0
        else None
    )
    if made is None or made.returncode:
        pytest.skip("only who may mount can make a small disk")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)
