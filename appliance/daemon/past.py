"""Owns going back in the history on disk to what one decision rested on: from the checkpoint before it, within bounds.

Never in here: running the history (replay), or what is asked of the state that comes out.
"""

import time
from pathlib import Path

from appliance.adapters.store.recall import Recall
from appliance.core.events import Decision
from appliance.core.explain.what_if import Then
from appliance.core.home import Home
from appliance.errors import StoreError
from appliance.replay.rebuilding import rebuild

MOST_READINGS = 200_000
LONGEST_S = 2.0
"""So much is run again for one question, whichever is reached first. It is arithmetic beside the control loop."""
FAR_NS = 86_400 * 10**9
"""A wall clock that was set back meanwhile does not end the history before the decision, which is found by boot time."""


class Past:
    """The history in `folder`, to be asked from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, home: Home, decision: Decision) -> Then | str:
        """Return what `decision` rested on, or why that is not to be had."""
        at = decision.at.wall_ns
        recall = Recall(self._folder, at, at + FAR_NS, as_it_was=True)
        until = time.monotonic() + LONGEST_S

        def expired() -> bool:
            # Whoever waits for the interpreter, above all the control loop, gets it between any two moments.
            time.sleep(0)
            return recall.readings > MOST_READINGS or time.monotonic() > until

        try:
            return rebuild(recall.history(), home, decision, expired)
        except StoreError as broken:
            return f"the history can't be read: {broken.message}"
