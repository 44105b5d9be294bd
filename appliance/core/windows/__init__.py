"""The bins of one channel: what was good over the last day, in bounded memory, and the statistics over it.

Bins are anchored at boot and count whole steps of the quantity's resolution, so they do not depend on a sensor's rate, and
give the same bits for the same instants in training, on the device and in replay.
"""

from appliance.core.windows.statistics import Ahead, steepest
from appliance.core.windows.widths import (
    BIN_NS,
    COARSE_BINS,
    COARSE_NS,
    EXACT,
    FINE_BINS,
    FINE_NS,
    KEPT_NS,
)
from appliance.core.windows.window import Window

__all__ = [
    "BIN_NS", "COARSE_BINS", "COARSE_NS", "EXACT", "FINE_BINS", "FINE_NS", "KEPT_NS", "Ahead", "Window", "steepest",
]  # fmt: skip
