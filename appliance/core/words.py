"""Owns what sensors say in words: an open window, a full tank, smoke. What a word is worth ends with its age.

Never in here: numbers (senses), models (a learned channel is a Learned), or what follows from a word.
"""

from collections.abc import Mapping

import msgspec

from appliance.core.clock import Instant
from appliance.core.payloads.message import Scalar

WORD_MAX_AGE_NS = 3 * 3600 * 1_000_000_000
"""How long a word holds where the profile says nothing: contact sensors check in about every hour (assumed: three missed)."""


class WordChannel(msgspec.Struct, frozen=True):
    """A channel whose value is a word. `words` stand in order of concern: the first that any sensor says, is the channel's.

    `meanings` are pairs (what a device says, the word that it means): a flag, or its own word in lower case.
    """

    name: str
    words: tuple[str, ...]
    meanings: tuple[tuple[Scalar, str], ...]
    max_age_ns: int

    def understand(self, said: Scalar) -> str | None:
        """Return the word that `said` means, or None."""
        for raw, word in self.meanings:
            # True == 1 in Python, and a flag is no number.
            if raw == said and isinstance(raw, bool) is isinstance(said, bool):
                return word
        return None


class Said(msgspec.Struct, frozen=True, gc=False):
    """What one sensor said last: `word` None where nobody understands it, or where it is of unknown age (`reason`)."""

    word: str | None
    reason: str | None
    heard_ns: int


class Told(msgspec.Struct, frozen=True):
    """One worded channel: what each of its sensors said last; `expects` are all that feed it."""

    channel: WordChannel
    expects: tuple[str, ...]
    sources: Mapping[str, Said] = {}

    def value(self, now: Instant) -> str | None:
        """Return the word of most concern that a sensor says; None, unknown, where none says it and any sensor is silent."""
        known = [said.word for said in self.sources.values() if self._holds(said, now)]
        if not known:
            return None
        first = min(known, key=lambda word: self.channel.words.index(word or ""))
        if first != self.channel.words[0] and len(known) < len(self.expects):
            return None
        return first

    def age_ns(self, now: Instant) -> int | None:
        """Return the nanoseconds since a sensor was last understood, or None: never since boot."""
        heard = [said.heard_ns for said in self.sources.values() if said.word is not None]
        return now.boottime_ns - max(heard) if heard else None

    def newest(self) -> Said | None:
        """Return what was said last, understood or not."""
        return max(self.sources.values(), key=lambda said: said.heard_ns, default=None)

    def hear(self, source: str, said: Scalar, now: Instant, *, retained: bool) -> "Told":
        """Return this after `source` said `said`. A retained word is of unknown age, and refreshes nothing."""
        word = self.channel.understand(said)
        before = self.sources.get(source)
        if word is None:
            after = Said(None, f"{str(said)[:32]!r} is no word of it", now.boottime_ns)
        elif retained:
            if before is not None:
                return self
            after = Said(None, "retained", now.boottime_ns)
        else:
            after = Said(word, None, now.boottime_ns)
        return Told(self.channel, self.expects, {**self.sources, source: after})

    def _holds(self, said: Said, now: Instant) -> bool:
        return said.word is not None and now.boottime_ns - said.heard_ns <= self.channel.max_age_ns
