"""A history run through the core with no network: what was decided is checked, and what would have been is told.

Pure over the core: events in, decisions out. Never in here: files, the store, or commanding anything.
"""

from appliance.replay.driving import (
    BEGINS,
    CONCLUDED,
    ENDED,
    KEPT,
    RECONFIGURED,
    UNBROKEN,
    History,
    Moment,
    Opening,
    moments,
    pass_time,
    replay,
)

__all__ = [
    "BEGINS",
    "CONCLUDED",
    "ENDED",
    "KEPT",
    "RECONFIGURED",
    "UNBROKEN",
    "History",
    "Moment",
    "Opening",
    "moments",
    "pass_time",
    "replay",
]
