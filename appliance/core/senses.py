"""Owns what an appliance has heard: for each channel its sources, the trust in them, and the bins of the good values.

Never in here: what follows from it. Folding a reading gives new senses and leaves the old ones as they were.
"""

from collections.abc import Mapping

import msgspec

from appliance.core.clock import Instant
from appliance.core.readings import Channel, Heard, Quality, Reading, hear, known, median
from appliance.core.windows import Window

GOOD = Quality.GOOD


class Sense(msgspec.Struct, frozen=True):
    """One measured channel: what each of its sources said last, and the bins of what could be believed.

    `alone` is the only source's word where there is just one, the ordinary case.
    """

    channel: Channel
    sources: Mapping[str, Heard]
    window: Window
    alone: Heard | None = None

    def value(self, now: Instant) -> float | None:
        """Return the newest value that may be acted on, the median over the sources that are known; None: unknown."""
        heard = self.alone
        return _middle(self.sources, self.channel, now) if heard is None else known(heard, self.channel, now)

    def newest(self) -> Heard | None:
        """Return what was heard last of any source, believed or not; None where nothing was."""
        return max(self.sources.values(), key=lambda heard: heard.heard_ns, default=None)

    def age_ns(self, now: Instant) -> int | None:
        """Return the nanoseconds since a source was last heard well, or None: never since boot."""
        if self.alone is not None:
            return None if self.alone.good_ns is None else now.boottime_ns - self.alone.good_ns
        good = [heard.good_ns for heard in self.sources.values() if heard.good_ns is not None]
        return now.boottime_ns - max(good) if good else None

    def hear(self, source: str, reading: Reading, now: Instant, *, retained: bool, resent: bool) -> "Sense":
        """Return this sense after `source` said `reading`; a good value goes into the bins as the median of the sources."""
        channel, before = self.channel, self.sources
        previous = before.get(source)
        heard = hear(reading, channel, previous, now, retained=retained, resent=resent)
        # One sensor a channel is the ordinary case.
        alone = not before or (previous is not None and len(before) == 1)
        sources = {source: heard} if alone else {**before, source: heard}
        window = self.window
        if not resent and heard.quality is GOOD:
            value = heard.good_value if alone else _middle(sources, channel, now)
            if value is not None:
                window = window.push(round(value / channel.quantity.resolution), now.boottime_ns)
        return Sense(channel, sources, window, heard if alone else None)


def _middle(sources: Mapping[str, Heard], channel: Channel, now: Instant) -> float | None:
    values = [value for heard in sources.values() if (value := known(heard, channel, now)) is not None]
    return median(values) if values else None


class Learned(msgspec.Struct, frozen=True, gc=False):
    """What a model last said: a reading of its own channel.

    `label` is the word that it is sure of, else its likeliest; `probability` that word's calibrated one; only GOOD may be acted on.
    `quality` UNCERTAIN with `label` None: it could not say anything, some feature being unknown. `probabilities` are those of
    all its words, in its own order; empty where it said nothing.
    """

    label: str | None
    probability: float
    quality: Quality
    reason: str | None
    at: Instant
    max_age_ns: int
    probabilities: tuple[float, ...] = ()
    by: str | None = None

    def value(self, now: Instant) -> str | None:
        """Return the label that may be acted on, or None: unknown."""
        age = now.since(self.at)
        if self.quality is not Quality.GOOD or age is None or age > self.max_age_ns:
            return None
        return self.label
