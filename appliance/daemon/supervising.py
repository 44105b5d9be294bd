"""Owns the life of one run: its entry in the journal, safe mode and its end, the last good config, and threads that die.

Never in here: the judgement over past runs (safe_mode), or watching the loop (watchdog).
"""

import asyncio
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

import msgspec

from appliance.adapters.http.port import PartView
from appliance.adapters.runs import Run, Runs, newest_crash
from appliance.config import Loaded
from appliance.core.clock import Instant
from appliance.core.home import Classifier
from appliance.core.profile import Appliance
from appliance.daemon import last_good
from appliance.daemon.models import OWN, load_models
from appliance.daemon.safe_mode import WITHIN_NS, SafeMode, judge
from appliance.errors import ApplianceError, ConfigError

log = logging.getLogger(__name__)

GOOD_AFTER_S = WITHIN_NS / 1e9
"""A config under which control went round for so long is a good one: longer than a crash loop takes to be known as one."""
COMMAND = "appliance safe-mode --end"


class Supervision:
    """What watches over one run in `folder`. `fallible`: whether safe mode can be entered at all."""

    def __init__(self, folder: Path, clock: Callable[[], Instant], *, fallible: bool) -> None:
        self._folder = folder
        self._clock = clock
        self._fallible = fallible
        self._runs = Runs(folder)
        self._crash: Run | None = None
        self._running = ""
        self._good = last_good.kept_digest(folder)
        self._since_s = time.monotonic()
        self._keeping: asyncio.Future[None] | None = None
        self._died: tuple[str, BaseException | None] | None = None
        self._excepthook = threading.excepthook
        self.safe: SafeMode | None = None
        self.over = asyncio.Event()
        """Set when safe mode has ended."""
        self.kept = False
        """Whether the last good config is in force instead of the one that was given."""

    # ------------------------------------------------------------ its two ends

    def begin(self, loaded: Loaded) -> Loaded:
        """Write down that this run begins, and return the config for it: in safe mode the last good one, where there is one."""
        now = self._clock()
        history = self._runs.begin(now)
        self._crash = newest_crash(history.runs)
        self.safe = judge(history, now) if self._fallible else None
        threading.excepthook = self._thread_died
        if self._crash is not None:
            log.warning("the last run crashed: %s", self._crash.why)
        if self.safe is not None:
            loaded = self._safe_config(loaded)
            log.warning("%s", self._sentence())
        self._in_force(loaded)
        # Written before a config is made into anything: what it breaks must be counted.
        self._runs.add(Run(now, os.getpid(), self._running, self.safe is not None))
        return loaded

    def end(self, broken: BaseException | None) -> None:
        """Write down how this run ends: by order (None, or cancelled), or by what it raised. The first word stands."""
        if broken is None or isinstance(broken, (asyncio.CancelledError, KeyboardInterrupt)):
            self._runs.end("stopped", "", self._clock())
        elif isinstance(broken, ConfigError):
            self._runs.end("refused", broken.message, self._clock())
        else:
            self._runs.end("failed", said(broken), self._clock())

    def hung(self, why: str) -> None:
        """Write down that the watchdog ends this run. Called from its thread."""
        self._runs.end("failed", why, self._clock())

    def close(self) -> None:
        """Watch over threads no more."""
        threading.excepthook = self._excepthook

    # ------------------------------------------------------------ while it goes on

    def models(self, specs: Iterable[Appliance]) -> tuple[Mapping[str, Classifier], Mapping[str, str]]:
        """Return the models that `specs` name, and why some are missing: in safe mode all are."""
        if self.safe is None:
            return load_models(specs, self._folder / OWN)
        return {}, {model: "safe mode" for spec in specs for model in spec.models.values()}

    def took(self, loaded: Loaded) -> None:
        """Take note that `loaded`, new from its file, is in force from here on."""
        self.kept = False
        self._in_force(loaded)

    def _in_force(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._since_s = time.monotonic()
        try:
            self._running = last_good.digest(loaded)
        except ApplianceError as gone:
            self._running = ""
            log.debug("this config has no digest: %s", gone)

    def look(self, *, turning: bool) -> None:
        """Look after safe mode and the last good config; call it every second. Raises RuntimeError where a thread has died."""
        if self._died is not None:
            name, cause = self._died
            raise RuntimeError(
                f"the thread {name} died of {said(cause) if cause else 'nothing known'}"
            ) from cause
        if not turning:
            self._since_s = time.monotonic()
        if self.safe is not None:
            if self._clock().boottime_ns >= self.safe.until.boottime_ns:
                self.end_safe_mode("its hour is over")
        elif self._running not in ("", self._good) and time.monotonic() - self._since_s >= GOOD_AFTER_S:
            self._good = self._running
            self._keeping = asyncio.ensure_future(self._keep())

    def end_safe_mode(self, why: str) -> bool:
        """End safe mode, and forgive the crashes that led to it; return whether there was one to end."""
        if self.safe is None:
            return False
        self.safe = None
        self._runs.pardon(self._clock())
        log.warning("safe mode has ended: %s", why)
        self.over.set()
        return True

    # ------------------------------------------------------------ what is told

    def parts(self) -> list[PartView]:
        """Return what health says of this."""
        parts = []
        if self.safe is not None:
            parts.append(PartView("safe mode", "degraded", self._sentence()))
        if self._crash is not None:
            ended = self._crash.ended or self._crash.began
            parts.append(PartView("last run", "ok", f"it crashed, {ended.isoformat()}: {self._crash.why}"))
        return parts

    def told(self) -> bytes:
        """Return what is told over MQTT, retained."""
        safe = self.safe
        mode = {"mode": "normal"} if safe is None else {
            "mode": "safe", "until": safe.until.isoformat(), "because": safe.why,
        }  # fmt: skip
        return msgspec.json.encode(mode)

    def _sentence(self) -> str:
        assert self.safe is not None
        which = "the last good config" if self.kept else "the config"
        return (
            f"safe mode: only the rules and fallback of {which} decide, until {self.safe.until.isoformat()}"
            f" or `{COMMAND}`; {self.safe.why}"
        )

    def _safe_config(self, loaded: Loaded) -> Loaded:
        good = None
        try:
            if self._good is not None and last_good.digest(loaded) != self._good:
                good = last_good.last_good(self._folder, loaded)
        except ApplianceError as broken:
            log.warning("the config can't be compared with the last good one: %s", broken)
            good = last_good.last_good(self._folder, loaded)
        self.kept = good is not None
        return loaded if good is None else good

    async def _keep(self) -> None:
        try:
            await asyncio.to_thread(partial(last_good.keep, self._folder, self._loaded, self._clock()))
        except (OSError, ApplianceError) as broken:
            log.warning("this config can't be kept as a good one: %s", broken)

    def _thread_died(self, args: threading.ExceptHookArgs) -> None:
        self._excepthook(args)
        self._died = self._died or (args.thread.name if args.thread else "without a name", args.exc_value)


def said(broken: BaseException) -> str:
    """Return in one line what was raised first, and where."""
    while isinstance(broken, BaseExceptionGroup):
        broken = broken.exceptions[0]
    if isinstance(broken, ApplianceError):
        return broken.message
    return f"{type(broken).__name__}: {broken}{_place(broken.__traceback__)}"


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
