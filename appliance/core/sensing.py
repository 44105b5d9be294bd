"""Owns the first half of a decision: folding what was heard into senses.

Never in here: what a person, a device or a rule wants.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from math import nan

from msgspec.structs import replace

from appliance.core.clock import SECOND, Instant
from appliance.core.commands import RETURN_NS
from appliance.core.events import Keep, ReadingArrived, StateReported
from appliance.core.readings import Quality, Reading
from appliance.core.senses import Sense
from appliance.core.state import DeviceState, State
from appliance.core.words import Told

Routes = Mapping[tuple[str, str], tuple[tuple[str, str], ...]]
"""(device, metric) -> the (appliance, channel) that it feeds."""
Feed = tuple[str, tuple[tuple[str, str], ...]]
"""A metric of a device, as a source's name, and the (appliance, channel) that it feeds."""
Feeds = Mapping[str, Mapping[str, Feed]]
"""device -> metric -> what it feeds: the routes, as they are asked for at each reading."""
OLDER = "an older message"
LATEST_S = 60.0
"""A message that was overtaken by more than this was not late: it is said once more, or its sender's clock was set back (assumed)."""
PACE_S, PACE = 0.5, 0.01
"""A clock that was set goes on like ours, within what delivery and drift make of it (assumed). A replay is faster, but for one that
takes as long as the original did."""
MAX_DUE = 64
"""So many appliances are looked at in one turn for time alone: a few milliseconds."""
MAX_DEVICES = 1024
"""Of so many devices what they said last is kept; only devices that feed a channel are."""


class Fold:
    """The senses of a home while one wake-up's events are folded in. Reads the state, never alters it."""

    def __init__(self, feeds: Feeds, word_routes: Routes, state: State, now: Instant) -> None:
        self._feeds = feeds
        self._word_routes = word_routes
        self._state = state
        self._now = now
        self.senses: dict[str, Mapping[str, Sense]] = {}
        self.words: dict[str, Mapping[str, Told]] = {}
        self.devices: Mapping[str, DeviceState] = state.devices
        self._devices: dict[str, DeviceState] | None = None
        self.kept: list[Keep] = []

    def current(self, appliance: str) -> Mapping[str, Sense]:
        """Return the senses of `appliance` as they are after the events so far."""
        return self.senses.get(appliance) or self._state.appliances[appliance].senses

    def due(self) -> list[str]:
        """Return the appliances that a tick concerns: those that wanted to be woken by now, at the latest as new bins open.

        At most `MAX_DUE` of them: in a large home readings come in between, and the next tick, which is due at once, takes the rest.
        """
        now_ns = self._now.boottime_ns
        due = (name for name, state in self._state.appliances.items() if state.wake_ns <= now_ns)
        return list(islice(due, MAX_DUE))

    def hear(self, event: ReadingArrived) -> dict[str, set[str]]:
        """Fold one message in; return for each appliance that it concerns the channels that heard something."""
        concerned: dict[str, set[str]] = {}
        after: dict[str, dict[str, Sense]] = {}
        worth: list[tuple[Reading, Quality, str | None]] = []
        resent: bool | None = None
        device, retained, now = event.device, event.retained, self._now
        feeds = self._feeds.get(device, {})
        for reading in event.readings:
            feed = feeds.get(reading.metric)
            if feed is None:
                continue
            if resent is None:
                if self._older(event):
                    return self._dropped(event)
                resent = self._resent(event)
            # One device may feed a channel with several sensors: each is a source of its own.
            source, routes = feed
            for appliance, channel in routes:
                senses = after.get(appliance)
                if senses is None:
                    senses = after[appliance] = dict(self.current(appliance))
                    concerned[appliance] = set()
                sense = senses[channel].hear(source, reading, now, retained=retained, resent=resent)
                senses[channel] = sense
                concerned[appliance].add(channel)
            heard = sense.alone or sense.sources[source]
            worth.append((reading, heard.quality, heard.reason))
        if resent is not None:
            self.kept.append(Keep(event, tuple(worth), resent))
            self.senses.update(after)
        return concerned

    def told(self, event: StateReported) -> dict[str, Mapping[str, Told]]:
        """Fold what a sensor says in words in; return for each appliance that it concerns all its worded channels."""
        concerned: dict[str, Mapping[str, Told]] = {}
        for reading in event.states:
            for appliance, channel in self._word_routes.get((event.device, reading.metric), ()):
                words = self.words.get(appliance) or self._state.appliances[appliance].words
                told = words[channel].hear(
                    f"{event.device}:{reading.metric}", reading.value, self._now, retained=event.retained
                )
                self.words[appliance] = concerned[appliance] = {**words, channel: told}
        return concerned

    def commanded(self, device: str) -> None:
        """Remember that `device` is commanded now: what it says next may be an echo of its cache."""
        before = self.devices.get(device)
        if before is not None:
            self._mine()[device] = replace(before, told_ns=self._now.boottime_ns)

    def _mine(self) -> dict[str, DeviceState]:
        """Return `devices`, to be altered: copied once a wake-up, since the state's own never is."""
        if self._devices is None:
            self.devices = self._devices = dict(self.devices)
        return self._devices

    def _older(self, event: ReadingArrived) -> bool:
        """Return whether the device's own stamp shows that this message was overtaken by a newer one, or is said once more.

        A stamp that goes back further than a late delivery can explain is a replay, or a clock that was set: that clock goes on at
        the pace of time, and is believed from its second message on.
        """
        before = self.devices.get(event.device)
        if before is None or before.last_seen is None or event.last_seen is None:
            return False
        said_s = _seconds(event.last_seen)
        late_s = _seconds(before.last_seen) - said_s
        if not late_s > LATEST_S:
            return late_s > 0.0
        now_ns = self._now.boottime_ns
        doubted, passed_s = before.doubted, 0.0
        if doubted is not None:
            passed_s = (now_ns - doubted[1]) / SECOND
            if abs(said_s - doubted[0] - passed_s) <= PACE_S + PACE * passed_s and passed_s > PACE_S:
                return False
        self._mine()[event.device] = replace(before, doubted=(said_s, now_ns))
        return True

    def _dropped(self, event: ReadingArrived) -> dict[str, set[str]]:
        feeds = self._feeds[event.device]
        worth = [(reading, Quality.BAD, OLDER) for reading in event.readings if reading.metric in feeds]
        self.kept.append(Keep(event, tuple(worth), older=True))
        return {}

    def _resent(self, event: ReadingArrived) -> bool:
        """Return whether a bridge only repeated its cache: everything measured is unchanged, and the device's own stamp did
        not advance, or a command of ours or the link's return explains the message. Such a message refreshes nothing.
        """
        before = self.devices.get(event.device)
        values = {reading.metric: reading.value for reading in event.readings}
        told_ns = None if before is None else before.told_ns
        if before is not None or len(self.devices) < MAX_DEVICES:
            self._mine()[event.device] = DeviceState(values, event.last_seen, told_ns)
        if event.resent is not None:
            return event.resent
        if before is None or before.values != values:
            return False
        if event.last_seen is not None and event.last_seen == before.last_seen:
            return True
        now_ns = self._now.boottime_ns
        after_command = told_ns is not None and now_ns - told_ns < RETURN_NS
        return after_command or (self._state.since_ns > 0 and now_ns - self._state.since_ns < RETURN_NS)


def _seconds(stamp: str) -> float:
    """Return a device's stamp in seconds, NaN where it is none: ISO 8601 with an offset, or Unix milliseconds."""
    if stamp.isascii() and stamp.isdigit():  # ² is a digit to Python, and no number
        return int(stamp) / 1000
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return nan
    # Without an offset it may stand still, or go back, as the clocks change.
    return nan if at.tzinfo is None else at.timestamp()
