"""Owns how often something is said in the log: an edge that is gone all night must not fill it. Never in here: what is said."""

import logging
from collections.abc import Callable

AGAIN_S = 3600.0
"""Of one kind a line an hour; those between are of the level debug."""


class Notices:
    """Lines of one `log`; `now_s` tells the time by which an hour passes."""

    def __init__(self, log: logging.Logger, now_s: Callable[[], float]) -> None:
        self._log = log
        self._now_s = now_s
        self._said: dict[str, float] = {}

    def say(self, kind: str, level: int, text: str) -> None:
        """Say `text`, where nothing of its `kind`, of which there are few, was said for an hour."""
        now = self._now_s()
        last = self._said.get(kind)
        if last is not None and now - last < AGAIN_S:
            level = logging.DEBUG
        else:
            self._said[kind] = now
        self._log.log(level, "%s", text)
