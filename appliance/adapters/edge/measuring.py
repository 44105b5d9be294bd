"""Owns what asking again shows of cached answers: how often they are wrong, and that buckets grow finer, or the cache stops, where it is too often.

Pure. Never in here: a file, a network, or when one is asked again.
"""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from appliance.adapters.edge.entries import Tally
from appliance.core.trust import interval

LEVEL = 0.05
"""The probability, for each scale, that anything said of its rate of wrong hits is wrong, however often it is looked at."""
FINEST = 3
"""Buckets are halved so often; then the cache stops."""
EXACT = 10_000
"""Rows that are remembered for comparison, at most."""


class WrongHits(msgspec.Struct, frozen=True):
    """Of `asked` cached answers that were asked again `wrong` had another likeliest label: with the probability LEVEL at most, the true share
    is not between `low` and `high`. `scale`: how often the buckets were halved; `stopped`: the cache is used no more.
    """

    asked: int
    wrong: int
    low: float
    high: float
    scale: int
    stopped: bool


def wrong_hits(tally: Tally) -> WrongHits:
    """Return what `tally` means."""
    low, high = interval(tally.wrong, tally.asked, LEVEL)
    return WrongHits(tally.asked, tally.wrong, low, high, tally.scale, tally.stopped)


def asked_again(
    before: Tally, cached: Sequence[float], fresh: Sequence[float], most: float, *, divisible: bool
) -> Tally:
    """Return what is known after the edge said `fresh` (L,) where the cache had said `cached` (L,).

    Where the share of wrong ones is shown to be above `most` the buckets are halved and counting begins anew; where they are as fine as they can be,
    or not `divisible`, the cache stops.
    """
    wrong = list(cached).index(max(cached)) != list(fresh).index(max(fresh))
    after = msgspec.structs.replace(before, asked=before.asked + 1, wrong=before.wrong + wrong)
    if not wrong or interval(after.wrong, after.asked, LEVEL)[0] <= most:
        return after
    if before.scale < FINEST and divisible:
        return Tally(scale=before.scale + 1)
    return msgspec.structs.replace(after, stopped=True)


class Exactly:
    """What a cache of exact rows would have found, for comparison: the same rows, no buckets. Since the start, in memory."""

    def __init__(self, most: int) -> None:
        self._most = min(most, EXACT)
        self._seen: OrderedDict[int, None] = OrderedDict()
        self.hits = 0
        self.looks = 0

    def look(self, name: str, row: tuple[float, ...]) -> None:
        """Note that `row` was looked up, as a question to the model `name`."""
        key = hash((name, row))
        self.looks += 1
        if key in self._seen:
            self.hits += 1
            self._seen.move_to_end(key)
            return
        self._seen[key] = None
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
