"""Owns how time is cut into bins: how wide they are, how many are kept, and how exactly their means are summed.

Never in here: a bin.
"""

from appliance.core.clock import SECOND

BIN_NS = 30 * SECOND
"""A fine bin: half a minute."""
FINE_BINS = 240
"""Fine bins that are kept: two hours."""
FINE_NS = FINE_BINS * BIN_NS
"""Longer spans are of coarse bins."""
COARSE_NS = 600 * SECOND
"""A coarse bin: ten minutes."""
A_COARSE = COARSE_NS // BIN_NS
"""Fine bins of a coarse one."""
COARSE_BINS = 144
"""Coarse bins that are kept: a day."""
MAX_ASKED = 64
"""So much is kept worked out of one channel."""
EXACT = 2.0**96
"""Sums of means are whole numbers of this fraction of a unit: no bit of a mean above 1e-12 is lost, so a sum is the same in
whatever order, and in whatever portions, it is built."""
KEPT_NS = COARSE_BINS * COARSE_NS
"""Longer spans there are none."""


def a_minute(span_ns: int) -> float:
    """Return how many bins of a span are a minute."""
    return 60 * SECOND / (BIN_NS if span_ns <= FINE_NS else COARSE_NS)
