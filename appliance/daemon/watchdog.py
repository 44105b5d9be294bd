"""Owns ending a process whose control loop does not turn, wherever nobody else watches; fed by nothing but a full control cycle.

Two eyes, since none sees all: a thread sees a loop that waits, a timer of the processor's time a loop that computes and lets no
thread of Python run. Neither counts time in which the whole process was stopped or the computer slept. systemd's WatchdogSec is
the third, and sees also a process that waits in foreign code with the interpreter held. Never in here: what a full cycle is.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

WAKE_S = 1.0
HUNG_S = 20.0
"""So long without a full cycle, of which there is one in five seconds, and the process ends: it is dead well before 30 s have passed, and a start has time left."""
BUSY_S = 22.0
"""So many seconds of the processor without one: the loop computes, and the thread got no turn to see it."""
GRACE_S = 5.0
"""A stop that takes longer leaves behind what still runs: a thread that hangs must not hold up the end."""
WRITE_S = 1.0
"""A disk that hangs must not hold up the end either."""
EXIT_HUNG = 70
"""EX_SOFTWARE of sysexits.h."""

NO_FILE = (OSError, ValueError, RuntimeError, AttributeError)
"""What is raised where standard error is no file."""


@contextlib.contextmanager
def watching(reason: Callable[[str], None], *, ours: bool) -> Iterator["Watchdog"]:
    """Watch over the loop of this thread, where the process is `ours` to end; also over the end that follows."""
    watchdog = Watchdog(reason)
    if not ours:
        watchdog.close()
        yield watchdog
        return
    watchdog.start()
    try:
        yield watchdog
    except asyncio.CancelledError:
        watchdog.close()
        raise
    except BaseException:
        watchdog.stopping(1)
        raise


class Watchdog:
    """`reason(text)` is told why, from a thread, before it ends the process; it may hang or raise."""

    def __init__(self, reason: Callable[[str], None]) -> None:
        self._reason = reason
        self._turned = True
        self._exit: int | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._loop = threading.get_ident()

    def start(self) -> None:
        """Begin to watch the calling thread's loop."""
        with contextlib.suppress(*NO_FILE):
            # The dump is written by the signal's own handler, which needs no interpreter; then the signal ends the process.
            faulthandler.register(signal.SIGPROF, all_threads=True, chain=True)
        self.fed()
        self._thread.start()

    def fed(self) -> None:
        """A full control cycle has just ended."""
        self._turned = True
        if not self._closed.is_set():
            signal.setitimer(signal.ITIMER_PROF, BUSY_S)

    def stopping(self, code: int) -> None:
        """The process is about to end with `code`: from here on that must happen within the grace."""
        if self._exit is None:
            self._exit = code
            self._turned = True

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()
        signal.setitimer(signal.ITIMER_PROF, 0)

    def alive(self) -> bool:
        """Return whether somebody watches, or need not."""
        return self._thread.is_alive() or self._closed.is_set()

    def _watch(self) -> None:
        # What is counted is this thread's own wakings: a process that was stopped for a minute has not hung for one.
        idle = 0
        while not self._closed.wait(WAKE_S):
            idle = 0 if self._turned else idle + 1
            self._turned = False
            if self._exit is not None and idle * WAKE_S >= GRACE_S:
                self._say(
                    log.warning, f"what still ran {GRACE_S:.0f} s after the order to stop is left behind"
                )
                os._exit(self._exit)
            if self._exit is None and idle * WAKE_S >= HUNG_S:
                self._end()

    def _end(self) -> None:
        why = f"the control loop has not turned for {HUNG_S:.0f} s; it stands in {self._where()}"
        with contextlib.suppress(*NO_FILE):
            faulthandler.dump_traceback(all_threads=True)
        self._say(self._reason, why)
        self._say(log.critical, f"{why}; the service manager starts the daemon anew")
        os._exit(EXIT_HUNG)

    @staticmethod
    def _say(to: Callable[[str], None], what: str) -> None:
        """Say it in a thread of its own: a disk or a log that hangs, or that the hung loop holds, must not hold up the end."""
        told = threading.Thread(target=to, args=(what,), name="last word", daemon=True)
        told.start()
        told.join(WRITE_S)

    def _where(self) -> str:
        frame = sys._current_frames().get(self._loop)  # noqa: SLF001  the one way to another thread's place
        if frame is None:
            return "no frame"
        code = frame.f_code
        return f"{code.co_name} ({Path(code.co_filename).name}:{frame.f_lineno})"
