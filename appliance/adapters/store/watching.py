"""Owns looking through what was kept, once after each start, in the background and slowly.

Never in here: what is looked at (chain), or mending it.
"""

import logging
import threading
import time
from pathlib import Path

import msgspec

from appliance.adapters.store.chain import Walk, walk
from appliance.errors import StoreError

log = logging.getLogger(__name__)

AFTER_S = 10.0
"""Nothing is looked at before: the first decisions of a start come first."""
SHARE = 0.1
"""Of one core, at most."""


class Looked(msgspec.Struct, frozen=True):
    """What was found, or why it could not be looked at; both None: it is not done yet."""

    walk: Walk | None = None
    reason: str | None = None


class Watch:
    """The thread that goes along the chain. `looked` may be read from any thread."""

    def __init__(self, folder: Path, after_s: float = AFTER_S) -> None:
        self.looked = Looked()
        self._folder = folder
        self._after_s = after_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._page_s = 0.0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self, timeout_s: float = 1.0) -> None:
        """End, soon."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        if self._end.wait(self._after_s):
            return
        self._page_s = time.thread_time()
        try:
            found = walk(self._folder, self._rest)
        except StoreError as broken:
            self.looked = Looked(None, broken.message)
            return
        except Exception as broken:
            # Nothing rests on this thread: control goes on, and health says that nobody looked.
            log.exception("the history can't be checked")
            self.looked = Looked(None, f"it can't be checked: {broken}")
            return
        if found is None:
            return
        for fault in found.faults:
            log.error("%s", fault)
        self.looked = Looked(found)

    def _rest(self) -> bool:
        spent = time.thread_time() - self._page_s
        ended = self._end.wait(spent * (1 / SHARE - 1))
        self._page_s = time.thread_time()
        return not ended
