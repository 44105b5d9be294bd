"""Owns what a row of the fault matrix is, and finding and running them. Never in here: a fault, or how a home is put together."""

import importlib
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

from tests.faults import rows
from tests.faults.lab import Lab

T = TypeVar("T", int, float)


class Unavailable(Exception):
    """This machine can't inject the fault: a tool or a right is missing. The row is left out, and says so."""


@dataclass(frozen=True)
class Row:
    """One fault: its number in the matrix, what happens, and what is promised.

    `minutes`: about how long the full form takes. `alone`: it loads the machine or measures how fast something is, so that
    nothing else may run beside it.
    """

    id: str
    fault: str
    promise: str
    minutes: float = 1.0
    alone: bool = False


@dataclass(frozen=True)
class Size:
    """How long to go on: the quick form is for every change, the full one for a night."""

    quick: bool

    def of(self, full: T, quick: T) -> T:
        """Return the number for this size."""
        return quick if self.quick else full

    def within(self, promised_s: float) -> float:
        """Return the bound on a time: what is promised; in the quick form, on a machine that does much else, twice that."""
        return promised_s * 2 if self.quick else promised_s


@dataclass(frozen=True)
class Figure:
    """Something measured: `holds` where `value` keeps within what is promised, told by `bound`."""

    name: str
    value: float | str
    unit: str
    bound: str
    holds: bool

    def __str__(self) -> str:
        value = f"{self.value:.3g}" if isinstance(self.value, float) else str(self.value)
        text = f"{self.name} {value}{' ' if self.unit else ''}{self.unit} ({self.bound})"
        return text if self.holds else f"FALLS SHORT: {text}"


def at_most(name: str, value: float, unit: str, bound: float) -> Figure:
    """A figure that is promised not to exceed `bound`."""
    return Figure(name, value, unit, f"at most {bound:g}", value <= bound)


def exactly(name: str, value: float | str, unit: str, bound: float | str) -> Figure:
    """A figure that is promised to be `bound`."""
    return Figure(name, value, unit, f"is {bound}", value == bound)


def at_least(name: str, value: float, unit: str, bound: float) -> Figure:
    """A figure that is promised to reach `bound`."""
    return Figure(name, value, unit, f"at least {bound:g}", value >= bound)


@dataclass(frozen=True)
class Found:
    """A row's module. `run` injects, awaits and measures; it raises nothing for a shortfall."""

    row: Row
    run: Callable[[Lab, Size], Iterable[Figure]]


@dataclass(frozen=True)
class Outcome:
    """What came of one row."""

    row: Row
    figures: tuple[Figure, ...]
    seconds: float
    unavailable: str | None = None
    """Why it could not be run here, or None."""

    @property
    def holds(self) -> bool:
        return all(figure.holds for figure in self.figures)


def discover() -> dict[str, Found]:
    """Return every row by its id, in the order of the matrix."""
    found: dict[str, Found] = {}
    for module in pkgutil.iter_modules(rows.__path__, f"{rows.__name__}."):
        loaded: ModuleType = importlib.import_module(module.name)
        row: Row = loaded.ROW
        assert row.id not in found, f"two files for {row.id}"
        found[row.id] = Found(row, loaded.run)
    return dict(sorted(found.items(), key=lambda pair: _order(pair[0])))


def _order(name: str) -> tuple[str, int]:
    assert re.fullmatch(r"[A-Z]\d+", name), f"{name!r} is no row of the matrix"
    return name[0], int(name[1:])


JOBS = 4
"""Rows mostly wait; so many at a time, where nothing else may be disturbed by it."""


def play_all(rows: Iterable[Found], size: Size, jobs: int = JOBS) -> dict[str, Future[Outcome]]:
    """Return the outcomes to come: those that may run beside others first, several at a time, then each of the rest alone."""
    beside, alone = [], []
    for found in rows:
        (alone if found.row.alone else beside).append(found)
    pool, last = ThreadPoolExecutor(jobs), ThreadPoolExecutor(1)
    coming = {found.row.id: pool.submit(play, found, size) for found in beside}

    def afterwards(found: Found) -> Outcome:
        wait(coming.values())
        return play(found, size)

    later = {found.row.id: last.submit(afterwards, found) for found in alone}
    pool.shutdown(wait=False)
    last.shutdown(wait=False)
    return {**coming, **later}


def play(found: Found, size: Size) -> Outcome:
    """Run one row in a lab of its own; the common checks come last. An error of the row itself is a shortfall with its words."""
    began = time.monotonic()
    figures: list[Figure] = []
    with Lab() as lab:
        try:
            figures += found.run(lab, size)
        except Unavailable as why:
            return Outcome(found.row, (), time.monotonic() - began, str(why))
        except TimeoutError as late:
            figures.append(Figure("row", f"{late} ({lab.where(late)})", "", "comes to its end", holds=False))
        figures += [Figure(*check) for check in lab.checks()]
        if not all(figure.holds for figure in figures):
            for daemon in lab.daemons:
                print(f"{found.row.id}, the log's end:\n{daemon.log()[-4000:]}", file=sys.stderr)
    return Outcome(found.row, tuple(figures), time.monotonic() - began)
