"""Owns daemons that break on purpose: `python -m tests.faults.broken ... appliance run ...` runs the command line with one part patched.

$BREAK names what breaks, $BREAK_WHEN a file: it breaks once that is there. The product has no hook for this. Never in here: a row.
"""

import asyncio
import ctypes
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BREAK = os.environ.get("BREAK", "")
WHEN = Path(os.environ.get("BREAK_WHEN", "/"))


class DeliberateError(Exception):
    """What a broken part raises."""


def breaks(daemon: Any, what: str, **environment: str) -> Path:
    """Let `daemon`, from its next start on, break in `what` once the file that this returns is there."""
    when = daemon.folder / "break"
    daemon.prefix = (sys.executable, "-m", "tests.faults.broken")
    daemon.environment |= {"BREAK": what, "BREAK_WHEN": str(when), **environment}
    return when


class Clocks:
    """The clocks of a daemon from its next start on, turned from outside. Monotonic time, and with it every timer of the loop, is left alone."""

    def __init__(self, daemon: Any) -> None:
        self._file = daemon.folder / "clocks"
        self._ahead = {"wall": 0.0, "boot": 0.0}
        daemon.prefix = (sys.executable, "-m", "tests.faults.broken")
        daemon.environment["CLOCKS"] = str(self._file)
        self._write()

    def wall(self, ahead_s: float) -> None:
        """Let the wall clock be so far ahead of the true time."""
        self._ahead["wall"] = ahead_s
        self._write()

    def boot(self, ahead_s: float) -> None:
        """Let boot time, and with it the wall clock, be so far ahead: the computer has slept so long."""
        self._ahead["boot"] = ahead_s
        self._write()

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._ahead))
        new.rename(self._file)


def turn(clocks: Path) -> None:
    """Let this process's clocks read as the file says."""
    wall_ns, gettime_ns = time.time_ns, time.clock_gettime_ns

    def ahead_ns(*which: str) -> int:
        ahead = json.loads(clocks.read_text())
        return round(sum(ahead[one] for one in which) * 1e9)

    time.time_ns = lambda: wall_ns() + ahead_ns("wall", "boot")
    time.time = lambda: time.time_ns() / 1e9
    time.clock_gettime_ns = lambda which: (
        gettime_ns(which) + (ahead_ns("boot") if which == time.CLOCK_BOOTTIME else 0)
    )


def due() -> bool:
    return WHEN.exists()


def before(owner: Any, name: str, act: Callable[[], None]) -> None:
    """Let `act` run at each call of `owner.name`, once it is due."""
    real = getattr(owner, name)

    def broken(*args: Any, **options: Any) -> Any:
        if due():
            act()
        return real(*args, **options)

    setattr(owner, name, broken)


def instead(owner: Any, name: str, act: Callable[[], None]) -> None:
    """Let a thread's whole work be to wait until it is due, and `act`."""

    def broken(*_: Any) -> None:
        while not due():
            time.sleep(0.05)
        act()

    setattr(owner, name, broken)


def fail() -> None:
    raise DeliberateError("broken on purpose")


def wait() -> None:
    """Wait for what never comes, as for a lock that its holder never gives back."""
    print("waits for ever", file=sys.stderr, flush=True)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def compute() -> None:
    """Compute for years, and let no other thread of Python run."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def crash() -> None:
    ctypes.string_at(0)


def patch() -> None:
    """Break what $BREAK names."""
    from appliance.adapters.clock import SystemClock
    from appliance.adapters.http import server
    from appliance.adapters.mqtt import dialing, session
    from appliance.adapters.store import writer
    from appliance.adapters.store.queries import Queries
    from appliance.core.controller import Controller
    from appliance.daemon import models, supervising, watchdog, whys
    from appliance.daemon.reloading import Reloading
    from appliance.daemon.telling import Telling

    supervising.GOOD_AFTER_S = float(os.environ.get("GOOD_AFTER_S", supervising.GOOD_AFTER_S))

    async def serve(self: Any) -> None:
        while not due():
            await asyncio.sleep(0.05)
        fail()

    table: dict[str, Callable[[], object]] = {
        "loop waits": lambda: before(Controller, "handle", wait),
        "loop computes": lambda: before(Controller, "handle", compute),
        "loop crashes": lambda: before(Controller, "handle", crash),
        "link": lambda: before(session.Session, "keep_alive", fail),
        "dial": lambda: before(dialing, "_connect", fail),
        "tick": lambda: before(SystemClock, "seconds_until", fail),
        "look": lambda: before(Telling, "changes", fail),
        "http": lambda: setattr(server._Uvicorn, "main_loop", serve),
        "reload": lambda: before(Reloading, "take", fail),
        "store": lambda: before(writer.Writer, "_turn", fail),
        "watchdog": lambda: instead(watchdog.Watchdog, "_watch", fail),
        "model": lambda: before(models, "_load", crash),
        "readers fail": lambda: before(Queries, "decisions", fail),
        "readers hang": lambda: (before(Queries, "decisions", wait), before(whys, "numbered", wait)),
    }
    if BREAK == "rule":
        # Breaks with a config that has a rule of this name: a poison that only some configs hold.
        real = Controller.handle

        def handle(self: Controller, *args: Any) -> Any:
            if any(rule.id == "poison" for spec in self.home.appliances.values() for rule in spec.rules):
                crash()
            return real(self, *args)

        Controller.handle = handle
    elif BREAK:
        table[BREAK]()


if __name__ == "__main__":
    from appliance.cli import main

    patch()
    if "CLOCKS" in os.environ:
        turn(Path(os.environ["CLOCKS"]))
    sys.argv = sys.argv[sys.argv.index("appliance") :]
    main()
