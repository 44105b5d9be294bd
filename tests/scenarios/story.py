"""Owns how a household situation is written down: one TOML file that is a config, a story, and steps in order of time.

Here stand the words of a scenario and how its times are understood. Never in here: running one (`course` does in virtual
time, `stage` at a real broker).
"""

import re
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from appliance.config.loading import Loaded, _tuples
from appliance.config.tables import Settings
from appliance.core.clock import SECOND
from appliance.core.conditions import duration_ns

FOLDER = Path(__file__).parent


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an owner expects to see; whatever is not given does not matter. It has to come true `within` a time, else at once.

    `action`, `by` (the voice, as "rule smoke", "person by device", "fallback"), `because` (a part of the reason) and
    `authority` are of the decision; `also` are further voices in it, `limited` those that a stronger one kept from what
    they wanted, `contradicts` those that stand against one of their own strength, `advises` those that only recommend;
    `open_advice` are the recommendations that a person may still answer.
    `commanded` is the last command that went out, `commands` all since the step that asked before, `doing` what the device
    really does. `sees` is channel -> its value, or a word of why it has none; `notice` is a part of what people are told.
    `override` is the action that a person chose, "none" where nobody did.
    """

    appliance: str | None = None
    within: str | None = None
    action: str | None = None
    by: str | None = None
    because: str | None = None
    authority: str | None = None
    also: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    advises: tuple[str, ...] | None = None
    open_advice: tuple[str, ...] | None = None
    commanded: str | None = None
    commands: tuple[str, ...] | None = None
    doing: str | None = None
    sees: dict[str, float | str] = {}
    notice: str | None = None
    override: str | None = None


class Never(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must not be seen at any moment from here `until` then: an action decided, commanded, or done by the device."""

    until: str
    appliance: str | None = None
    action: tuple[str, ...] = ()
    by: str | None = None
    commanded: tuple[str, ...] = ()
    doing: tuple[str, ...] = ()


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says on the page: `override` an action `for` a time or `until` 07:00, "the air is clean", or "I say so";
    "auto-control" hands the appliance back.
    """

    override: str
    appliance: str | None = None
    span: str | None = msgspec.field(default=None, name="for")
    until: str | None = None


class Heard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message as it comes: for what `reads` can't say."""

    topic: str
    payload: dict[str, Any] | str
    retained: bool = False


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happens, or several at once, and what is expected then.

    `at` is what the clock on the wall shows ("19:02:30": the next time it does), or "+5 min" after the step before; without
    it the step happens at once. `reads` (topic -> payload) repeats `every` "1 min" `until` then; a list of numbers in it
    is a course, from the first to the last. `device` makes a device "silent" (unplugged), "stuck" (hears, does not obey),
    "deaf" (speaks, does not hear) or lets it "obey" again; `hand` switches it at the device. In a home with several
    appliances these two are tables, appliance -> word. `model` is channel -> [word, probability], what a model says from here on. `restart` and `reboot`
    say how long the computer, or all of it, is away ("0 s" at once); `clock` sets the wall clock on by "+1 h" or back.
    """

    at: str | None = None
    note: str | None = None
    reads: dict[str, dict[str, Any] | float | str] = {}
    hears: Heard | None = None
    every: str | None = None
    until: str | None = None
    device: str | dict[str, str] | None = None
    hand: str | dict[str, str] | None = None
    person: Person | None = None
    accept: str | None = None
    dismiss: str | None = None
    acknowledge: str | None = None
    appliance: str | None = None
    model: dict[str, tuple[str, float]] = {}
    link: str | None = None
    restart: str | None = None
    reboot: str | None = None
    clock: str | None = None
    expect: Expect | None = None
    never: Never | None = None


class Timed(msgspec.Struct, frozen=True):
    """A step, and when: nanoseconds since the start, on no clock that anybody sets. `until_ns` is when its readings end,
    `never_ns` when what must not be may be again.
    """

    at_ns: int
    number: int
    step: Step
    until_ns: int = 0
    never_ns: int = 0


class Story(msgspec.Struct, frozen=True):
    """A scenario, read. `broker`: it is also played at a real one, so many times as fast as the clock."""

    name: str
    title: str
    story: str
    loaded: Loaded
    start: datetime
    steps: tuple[Timed, ...]
    doing: dict[str, str]
    observe: bool
    broker: float

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.loaded.settings.home.timezone)


def names() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/scenario.toml"))


def written(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return a scenario as it is written."""
    return tomllib.loads((folder / name / "scenario.toml").read_text("utf-8"))


def read(name: str, folder: Path = FOLDER) -> Story:
    """Return the story in `folder`/`name`, with every time worked out."""
    table = written(name, folder)
    steps = msgspec.convert(table.pop("steps"), list[Step])
    own = {
        key: table.pop(key, default)
        for key, default in (
            ("title", ""),
            ("story", ""),
            ("doing", {}),
            ("observe", False),
            ("broker", 0),
        )
    }
    start = table.pop("start")
    assert isinstance(start, datetime), f"{name}: start is written as 2026-01-14T02:10:00"
    assert own["title"], f"{name}: title is missing"
    assert own["story"].count(".") >= 2, f"{name}: the story takes two sentences or more"
    settings = Settings.model_validate(_tuples(table))
    zone = ZoneInfo(settings.home.timezone)
    return Story(
        name,
        own["title"],
        " ".join(own["story"].split()),
        Loaded(settings=settings, origins={}, folder=folder / name),
        start.replace(tzinfo=zone),
        tuple(_timed(steps, start.replace(tzinfo=zone))),
        own["doing"],
        own["observe"],
        own["broker"],
    )


def span_ns(text: str) -> int:
    """Return the nanoseconds of "5 min", "-1 h" or "0 s"."""
    sign, plain = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    return 0 if plain.strip() in ("0 s", "0") else sign * duration_ns(plain, where="a scenario")


def _timed(steps: list[Step], start: datetime) -> list[Timed]:
    found = []
    at_ns, shift_ns = 0, 0
    for number, step in enumerate(steps, 1):
        at_ns = at_ns if step.at is None else moment(step.at, at_ns, shift_ns, start)
        never = None if step.never is None else step.never.until
        until_ns, never_ns = (
            0 if text is None else moment(text, at_ns, shift_ns, start) for text in (step.until, never)
        )
        found.append(Timed(at_ns, number, step, until_ns, never_ns))
        if step.clock is not None:
            shift_ns += span_ns(step.clock)
    return found


def moment(text: str, at_ns: int, shift_ns: int, start: datetime) -> int:
    """Return when `text` is, in nanoseconds since the start: "+5 min" after `at_ns`, or the next time that a wall clock, which
    was set on by `shift_ns`, shows "19:02:30". Hours that a change of the clocks skips or repeats are the zone's affair.
    """
    if text.startswith("+"):
        return at_ns + span_ns(text)
    match = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text)
    assert match is not None, f'{text!r} is no time: write "19:02:30" or "+5 min"'
    began = start.timestamp()
    now = datetime.fromtimestamp(began + (at_ns + shift_ns) / SECOND, start.tzinfo)
    shown = now.replace(hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0), microsecond=0)
    if shown.timestamp() < now.timestamp():
        shown += timedelta(days=1)
    return round((shown.timestamp() - began) * SECOND) - shift_ns


def payload_at(payload: Any, share: float) -> Any:
    """Return `payload` as it is when `share` of its repetition is over: a list of numbers is a course."""
    if isinstance(payload, dict):
        return {key: payload_at(value, share) for key, value in payload.items()}
    if isinstance(payload, list) and len(payload) >= 2:
        place = share * (len(payload) - 1)
        left = min(int(place), len(payload) - 2)
        return round(payload[left] + (payload[left + 1] - payload[left]) * (place - left), 1)
    return payload


def repeated(timed: Timed) -> list[tuple[int, float]]:
    """Return when a step's readings come, and which share of the whole is over then."""
    step = timed.step
    if step.every is None:
        return [(timed.at_ns, 0.0)]
    every, whole = span_ns(step.every), timed.until_ns - timed.at_ns
    return [(timed.at_ns + passed, passed / whole if whole else 0.0) for passed in range(0, whole + 1, every)]
