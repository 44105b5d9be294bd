"""Owns what an appliance has heard: for each channel its sources, the trust in them, and the bins of the good values.

Never in here: what follows from it. Folding a reading gives new senses and leaves the old ones as they were.
"""

from collections.abc import Mapping

import msgspec

from appliance.core.clock import Instant
from appliance.core.readings import Channel, Heard, Quality, Reading, hear, known, median
from appliance.core.windows import Window


class Sense(msgspec.Struct, frozen=True):
    """One measured channel: what each of its sources said last, and the bins of what could be believed."""

    channel: Channel
    sources: Mapping[str, Heard]
    window: Window

    def value(self, now: Instant) -> float | None:
        """Return the newest value that may be acted on, the median over the sources that are known; None: unknown."""
        if len(self.sources) == 1:
            for heard in self.sources.values():
                return known(heard, self.channel, now)
        values = [
            value for heard in self.sources.values() if (value := known(heard, self.channel, now)) is not None
        ]
        return median(values) if values else None

    def newest(self) -> Heard | None:
        """Return what was heard last of any source, believed or not; None where nothing was."""
        return max(self.sources.values(), key=lambda heard: heard.heard_ns, default=None)

    def age_ns(self, now: Instant) -> int | None:
        """Return the nanoseconds since a source was last heard well, or None: never since boot."""
        good = [heard.good_ns for heard in self.sources.values() if heard.good_ns is not None]
        return now.boottime_ns - max(good) if good else None

    def hear(self, source: str, reading: Reading, now: Instant, *, retained: bool, resent: bool) -> "Sense":
        """Return this sense after `source` said `reading`; a good value goes into the bins as the median of the sources."""
        heard = hear(reading, self.channel, self.sources.get(source), now, retained=retained, resent=resent)
        sense = Sense(self.channel, {**self.sources, source: heard}, self.window)
        if heard.quality is not Quality.GOOD or resent:
            return sense
        value = sense.value(now)
        if value is None:
            return sense
        return Sense(
            self.channel, sense.sources, self.window.push(self.channel.quantity.steps(value), now.boottime_ns)
        )


class Learned(msgspec.Struct, frozen=True, gc=False):
    """What a model last said: a reading of its own channel.

    `label` is its likeliest word, `probability` that word's calibrated probability; only GOOD may be acted on.
    `quality` UNCERTAIN with `label` None: it could not say anything, some feature being unknown.
    """

    label: str | None
    probability: float
    quality: Quality
    reason: str | None
    at: Instant
    max_age_ns: int

    def value(self, now: Instant) -> str | None:
        """Return the label that may be acted on, or None: unknown."""
        age = now.since(self.at)
        if self.quality is not Quality.GOOD or age is None or age > self.max_age_ns:
            return None
        return self.label
