"""Owns the answer to "why": one sentence first, then the inputs that were looked at.

Never in here: deciding. Everything is read off a snapshot or a decision that was made.
"""

import re
from functools import lru_cache

from appliance.core.clock import Instant
from appliance.core.events import Decision, Input
from appliance.core.quantities import with_unit
from appliance.core.readings import Quality
from appliance.core.senses import Learned, Sense
from appliance.core.snapshot import Snapshot
from appliance.core.words import Told

_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def places(template: str) -> frozenset[str]:
    """Return the channels that a reason names in braces."""
    return frozenset(_PLACE.findall(template))


def fill(template: str, snapshot: Snapshot) -> str:
    """Return `template` with each {channel} replaced by its value and unit, or "unknown"."""
    parts = _parts(template)
    if len(parts) == 1:
        return template
    return "".join([_shown(part, snapshot) if place else part for place, part in parts])


@lru_cache(maxsize=1024)
def _parts(template: str) -> tuple[tuple[bool, str], ...]:
    """Return what `template` is made of: its text, and in between (True) the channels that it names."""
    return tuple((index % 2 == 1, part) for index, part in enumerate(_PLACE.split(template)))


def _shown(channel: str, snapshot: Snapshot) -> str:
    value = snapshot.value(channel)
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    unit = snapshot.senses[channel].channel.quantity.unit
    return with_unit(f"{value:g}", unit)


def inputs(snapshot: Snapshot) -> tuple[Input, ...]:
    """Return every channel as it is now: value, unit, age and quality."""
    now, known = snapshot.now, snapshot.value
    found = []
    for name, sense in snapshot.senses.items():
        value = known(name)
        if value is None:
            found.append(_unknown(name, sense, now))
        else:
            unit = sense.channel.quantity.unit
            found.append(Input(name, value, unit, _seconds(sense.age_ns(now)), "good"))
    if snapshot.words:
        found += [_worded(name, told, snapshot) for name, told in snapshot.words.items()]
    found += [_learned(name, said, snapshot) for name, said in snapshot.learned.items()]
    return tuple(found)


def _seconds(age_ns: int | None) -> float | None:
    """Return an age in seconds, to the millisecond."""
    return None if age_ns is None else (age_ns + 500_000) // 1_000_000 / 1000


def _worded(name: str, told: Told, snapshot: Snapshot) -> Input:
    value = told.value(snapshot.now)
    age = told.age_ns(snapshot.now)
    age_s = _seconds(age)
    if value is not None:
        return Input(name, value, None, age_s, "good")
    newest = told.newest()
    if newest is None:
        return Input(name, None, None, None, "unknown", "nothing heard since boot")
    if newest.word is None:
        return Input(name, None, None, age_s, "uncertain", newest.reason)
    stale = age is not None and age > told.channel.max_age_ns
    return Input(name, None, None, age_s, "unknown", "stale" if stale else "not all sensors are heard")


def _unknown(name: str, sense: Sense, now: Instant) -> Input:
    unit = sense.channel.quantity.unit
    newest = sense.newest()
    if newest is None:
        return Input(name, None, unit, None, "unknown", "nothing heard since boot")
    age_s = _seconds(sense.age_ns(now))
    if newest.quality is Quality.GOOD:
        return Input(name, None, unit, age_s, "unknown", "stale")
    return Input(name, None, unit, age_s, newest.quality.name.lower(), newest.reason)


def _learned(name: str, said: Learned, snapshot: Snapshot) -> Input:
    age = snapshot.now.since(said.at)
    age_s = _seconds(age)
    value = said.value(snapshot.now)
    if value is not None:
        return Input(name, value, None, age_s, "good", f"probability {said.probability:.2f}", said.by)
    if said.label is None:
        return Input(name, None, None, age_s, "unknown", said.reason)
    reason = (
        "stale" if said.quality is Quality.GOOD else f"{said.reason}: {said.label} at {said.probability:.2f}"
    )
    return Input(name, None, None, age_s, "uncertain", reason)


def sentence(decision: Decision) -> str:
    """Return in one sentence what was decided and why, and what stood in the way of stronger wishes."""
    action = decision.action or "nothing"
    said = f"{action}, because {decision.because}"
    if decision.source == "fallback":
        # A profile lists first what matters most to it.
        main = decision.inputs[0] if decision.inputs else None
        return (
            f"{said} ({main.channel} is unknown: {main.reason})."
            if main is not None and main.value is None
            else f"{said}."
        )
    own = next((voice for voice in decision.voices if voice.source == decision.source and voice.acts), None)
    if own is not None and own.limited_by is not None:
        limit = next(
            (voice.because for voice in decision.voices if voice.source == own.limited_by), own.limited_by
        )
        wanted = own.at_least if own.at_least != decision.action else own.at_most
        return f"{said}; it wanted {wanted}, but {limit}."
    kept = next(
        (
            voice
            for voice in decision.voices
            if voice.limited_by == decision.source and voice.source != "fallback"
        ),
        None,
    )
    if kept is not None:
        said += f" ({kept.source} wanted {kept.at_least}: {kept.because})"
    return said + "."


def lines(decision: Decision, now: tuple[Input, ...]) -> tuple[str, ...]:
    """Return the whole account: who wanted what and what limited it, then what was looked at, then what that is `now`."""
    said = []
    for voice in decision.voices:
        wants = voice.at_least if voice.at_least == voice.at_most else f"{voice.at_least} to {voice.at_most}"
        mark = "" if voice.acts else " (only recommends)"
        limit = (
            f"; limited by {voice.limited_by}"
            if voice.limited_by
            else f"; against {voice.contradicts}"
            if voice.contradicts
            else ""
        )
        said.append(f"{voice.authority.name} {voice.source}{mark}: {wants}, because {voice.because}{limit}")
    present = {seen.channel: seen for seen in now}
    for seen in decision.inputs:
        later = present.get(seen.channel)
        said.append(
            f"{_told(seen)}; now {_told(later)}"
            if later is not None and _told(later) != _told(seen)
            else _told(seen)
        )
    return tuple(said)


def _told(seen: Input) -> str:
    value = (
        "unknown"
        if seen.value is None
        else f"{seen.value:g}"
        if isinstance(seen.value, float | int)
        else seen.value
    )
    unit = f" {seen.unit}" if seen.unit and seen.value is not None else ""
    age = "" if seen.age_s is None else f", {seen.age_s:.0f} s old"
    reason = f" ({seen.reason})" if seen.reason else ""
    return f"{seen.channel} {value}{unit}{age}, {seen.quality}{reason}"
