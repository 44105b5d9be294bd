"""Owns what people say, through whichever door: looked at, bounded, and turned into events.

Never in here: what their word does to a decision, or how a door spells it.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from appliance.core import overrides
from appliance.core.clock import SECOND, Instant
from appliance.core.events import AdviceAnswered, AlarmAcknowledged, Labelled, PersonSpoke
from appliance.core.profile import Appliance
from appliance.core.snapshot import Snapshot
from appliance.errors import ConfigError, ProfileError, TooManyWords

MAX_WORDS = 30
"""Words for one appliance within a minute: more than a person can mean; a loop of somebody's automation can say."""
MINUTE_NS = 60 * SECOND
LONGEST_LABEL_NS = 24 * 60 * MINUTE_NS
OLDEST_LABEL_NS = 400 * LONGEST_LABEL_NS


class People:
    """What people may say to the appliances of one home; `around` gives what is known of one now. Not safe for threads."""

    def __init__(
        self,
        appliances: Callable[[], Mapping[str, Appliance]],
        around: Callable[[str], Snapshot] | None = None,
    ) -> None:
        self._appliances = appliances
        self._around = around
        self.refused = 0
        self._said: dict[str, deque[int]] = {}

    def override(
        self,
        appliance: str,
        action: str,
        by: str,
        now: Instant,
        *,
        for_ns: int | None = None,
        until: str | None = None,
        open_ended: bool = False,
    ) -> PersonSpoke:
        """Return the event of a person's word.

        Raises:
            ConfigError: the appliance, its action, or the end is none that there is.
            TooManyWords: more was said within a minute than anybody can mean.
        """
        spec = self._known(appliance)
        if action not in (*spec.ladder.actions, *spec.ladder.modes):
            raise self._refused(
                f"{appliance} has no action {action!r}",
                f"it has {', '.join((*spec.ladder.actions, *spec.ladder.modes))}",
            )
        if sum((for_ns is not None, until is not None, open_ended)) > 1:
            raise self._refused("more than one end is given", "say for how long, or until when, or neither")
        if for_ns is not None and not SECOND <= for_ns <= overrides.LONGEST_NS:
            raise self._refused(
                f"{for_ns / SECOND:g} s is out of bounds", "give 1 second to 24 hours, or no end at all"
            )
        if until is not None:
            self._understood(spec, until)
        self._count(appliance, now)
        return PersonSpoke(appliance, action, by, for_ns, until, open_ended)

    def hand_back(self, appliance: str, by: str, now: Instant) -> PersonSpoke:
        """Return the event that ends a person's word. Raises as `override` does."""
        self._known(appliance)
        self._count(appliance, now)
        return PersonSpoke(appliance, None, by)

    def answer(
        self, appliance: str, source: str | None, by: str, now: Instant, *, accepted: bool
    ) -> AdviceAnswered:
        """Return the event that accepts or dismisses what `source` (a voice, or a rule's id) recommends. Raises as above."""
        self._known(appliance)
        self._count(appliance, now)
        named = source if source is None or " " in source else f"rule {source}"
        return AdviceAnswered(appliance, named, accepted, by)

    def acknowledge(self, appliance: str, rule: str | None, by: str, now: Instant) -> AlarmAcknowledged:
        """Return the event that acknowledges an alarm. Raises as above, and where there is no such rule."""
        spec = self._known(appliance)
        named = None if rule is None else rule.removeprefix("rule ")
        if named is not None and named not in {one.id for one in spec.rules}:
            raise self._refused(
                f"{appliance} has no rule {named!r}", f"it has {', '.join(one.id for one in spec.rules)}"
            )
        self._count(appliance, now)
        return AlarmAcknowledged(appliance, named, by)

    def labels(
        self, appliance: str, channel: str, told: Sequence[tuple[str, int, int]], by: str, now: Instant
    ) -> list[Labelled]:
        """Return the events that tell what a model's channel should have read: (label, from, until) in Unix nanoseconds.

        Raises as above, and where a time is none of the past.
        """
        spec = self._known(appliance)
        if channel not in spec.models:
            learned = ", ".join(spec.models) or "none"
            raise self._refused(f"no model speaks in {channel!r} of {appliance}", f"learned are: {learned}")
        for label, since_ns, until_ns in told:
            if label not in spec.words[channel]:
                raise self._refused(
                    f"{channel} never reads {label!r}", f"it reads {', '.join(spec.words[channel])}"
                )
            if not since_ns <= until_ns <= now.wall_ns + MINUTE_NS:
                raise self._refused(
                    "a label tells of the past, or of now", "say from when until when, in that order"
                )
            if until_ns - since_ns > LONGEST_LABEL_NS or now.wall_ns - since_ns > OLDEST_LABEL_NS:
                raise self._refused(
                    "a label spans a day at most, of the last 400 days", "tell longer times day by day"
                )
        self._count(appliance, now)
        return [Labelled(appliance, channel, *one, by) for one in told]

    def _known(self, appliance: str) -> Appliance:
        known = self._appliances()
        spec = known.get(appliance)
        if spec is None:
            raise self._refused(f"there is no appliance {appliance!r}", f"there are {', '.join(known)}")
        return spec

    def _understood(self, spec: Appliance, until: str) -> None:
        if overrides.is_clock(until):
            return
        try:
            condition = spec.ends.condition(until.strip())
        except ProfileError as wrong:
            named = ", ".join(f'"{name}"' for name in spec.ends.named)
            hint = f"{wrong.hint}; or a time of day, as 07:00" + (f"; or one of {named}" if named else "")
            raise self._refused(wrong.message, hint) from None
        if self._around is not None and condition.truth(self._around(spec.id)) is True:
            # Refused before anything changes: whatever word stood, still stands.
            raise self._refused(
                f"{until!r} is so already: it would end at once", "choose another condition, or a time"
            )

    def _count(self, appliance: str, now: Instant) -> None:
        said = self._said.setdefault(appliance, deque(maxlen=MAX_WORDS))
        if len(said) == MAX_WORDS and now.boottime_ns - said[0] < MINUTE_NS:
            self.refused += 1
            raise TooManyWords(
                f"{appliance} was told more than {MAX_WORDS} things within a minute",
                hint="wait a minute; what was said before stands",
            )
        said.append(now.boottime_ns)

    def _refused(self, message: str, hint: str) -> ConfigError:
        self.refused += 1
        return ConfigError(message, hint=hint)
