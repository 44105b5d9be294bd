"""Owns the journal of the daemon's runs in the state folder: when each began and how it ended, over crashes and power cuts.

A journal that is broken or can't be written costs its memory, and nothing else. Never in here: what follows from it.
"""

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from appliance.core.clock import Instant

log = logging.getLogger(__name__)

FILE = "runs.json"
MOST = 64
"""Runs that are kept, the newest."""
LONGEST_WHY = 300
"""Characters of one reason."""
MAX_BYTES = 256 << 10

How = Literal["running", "stopped", "refused", "failed", "lost", "boot"]


class Run(msgspec.Struct, frozen=True):
    """One life of the daemon. `config` is a digest of what it ran, `safe` whether it was in safe mode.

    `how` it ended: "stopped" (it was told to), "refused" (by a wrong config), "failed" (of itself, `why` says of what),
    "lost" (found ended at the next start, without a word: killed, out of memory, or crashed in foreign code),
    "boot" (its boot ended with it: a reboot or a power cut). `ended` is when that happened or was found.
    """

    began: Instant
    pid: int
    config: str = ""
    safe: bool = False
    ended: Instant | None = None
    how: How = "running"
    why: str = ""

    @property
    def crashed(self) -> bool:
        """Whether it ended otherwise than by order, by the operator's error, or with its boot."""
        return self.how in ("failed", "lost")


class History(msgspec.Struct, frozen=True):
    """What the journal holds. Crashes up to `pardoned` count no more."""

    runs: tuple[Run, ...] = ()
    pardoned: Instant | None = None


class Runs:
    """The journal in `folder`, of the process that holds the folder's lock."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.history = History()
        self._complained = False

    def begin(self, now: Instant) -> History:
        """Read what earlier runs left, settle the last one, and return it all, the oldest first."""
        found = read(self._path.parent)
        settled = tuple(_settled(run, now) for run in found.runs)
        self.history = History(settled[-MOST:], found.pardoned)
        return self.history

    def add(self, run: Run) -> None:
        """Write down that `run` has begun."""
        self.history = msgspec.structs.replace(self.history, runs=(*self.history.runs, run)[-MOST:])
        self._write()

    def end(self, how: How, why: str, now: Instant) -> None:
        """Write down how the run that was added last ends. The first word on it stands."""
        *before, last = self.history.runs
        if last.how == "running":
            last = msgspec.structs.replace(last, ended=now, how=how, why=bounded(why))
            self.history = msgspec.structs.replace(self.history, runs=(*before, last))
            self._write()

    def pardon(self, now: Instant) -> None:
        """Write down that crashes up to `now` count no more."""
        self.history = msgspec.structs.replace(self.history, pardoned=now)
        self._write()

    def _write(self) -> None:
        try:
            replace(self._path, msgspec.json.encode(self.history))
        except OSError as broken:
            if not self._complained:
                log.warning("the journal of runs can't be written: %s; crashes go uncounted", broken.strerror)
            self._complained = True


def read(folder: Path) -> History:
    """Return what the journal in `folder` holds; nothing where there is none or it is broken."""
    try:
        with (folder / FILE).open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=History)
    except FileNotFoundError:
        pass
    except OSError as broken:
        log.warning("the journal of runs can't be read: %s", broken.strerror)
    except (msgspec.MsgspecError, UnicodeDecodeError) as broken:
        log.warning("the journal of runs is broken, and begun anew: %s", broken)
    return History()


def replace(path: Path, content: bytes) -> None:
    """Put `content` in place of the file at `path`, mode 0600: after a power cut it is the old or the new one, whole.

    Raises:
        OSError: the disk does not take it; the old one stands.
    """
    new = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def bounded(text: str) -> str:
    """Return `text` on one line, and not too long."""
    return " ".join(text.split())[:LONGEST_WHY]


def newest_crash(runs: Sequence[Run]) -> Run | None:
    """Return the run before the present one, where it crashed."""
    return runs[-1] if runs and runs[-1].crashed else None


def _settled(run: Run, now: Instant) -> Run:
    if run.how != "running":
        return run
    if run.began.boot_id != now.boot_id:
        return msgspec.structs.replace(run, ended=now, how="boot", why="a reboot or a power cut")
    why = "it was killed, ran out of memory, or crashed in foreign code"
    return msgspec.structs.replace(run, ended=now, how="lost", why=why)
