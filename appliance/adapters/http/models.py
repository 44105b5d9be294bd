"""Owns how what several resources speak of is spelt: decisions, appliances, overrides, readings, in JSON.

Never in here: what one resource alone takes or gives; or where values come from. Bodies are strict: unknown
keys, other types and numbers that are not finite are refused.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from appliance.adapters.http.port import AlarmView, ApplianceView, DecisionView, OverrideView
from appliance.core.arbitration import Voice
from appliance.core.clock import Instant
from appliance.core.events import Advice, Input

AuthorityName = Literal[
    "LIFE_SAFETY",
    "MINIMUM_OFF",
    "EQUIPMENT",
    "MANUAL",
    "MINIMUM_ON",
    "RULE",
    "DWELL",
    "EDGE",
    "MODEL",
    "FALLBACK",
]
QualityName = Literal["good", "uncertain", "bad", "unknown"]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


def when(instant: Instant) -> datetime:
    """Return the wall time of `instant` in UTC, to the millisecond."""
    return wall(instant.wall_ns)


def wall(wall_ns: int) -> datetime:
    """Return Unix nanoseconds as a time in UTC, to the millisecond."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000_000 * 1000)


class AnswerModel(BaseModel):
    """What is sent: no number in it that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def response(self, status: int = 200) -> Response:
        """Return the answer that says this."""
        return Response(self.model_dump_json().encode(), status, media_type="application/json")


class BodyModel(BaseModel):
    """What is taken: strictly."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class InputModel(AnswerModel):
    """What one channel was."""

    channel: str
    value: float | str | None = Field(
        description="Null where it is unknown: too old, never heard, or not trusted"
    )
    unit: str | None
    age_s: float | None = Field(description="Seconds since it was last heard well; null: never since boot")
    quality: QualityName
    reason: str | None = Field(description="Why the quality is not good")
    by: str | None = Field(description="The bigger model that said it, where the local one could not")

    @classmethod
    def of(cls, given: Input) -> "InputModel":
        """Spell `given`."""
        return cls.model_validate(
            {
                "channel": given.channel,
                "value": given.value,
                "unit": given.unit,
                "age_s": given.age_s,
                "quality": given.quality,
                "reason": given.reason,
                "by": given.by,
            }
        )


class VoiceModel(AnswerModel):
    """One voice that was heard: the interval of actions that it would accept, and why."""

    source: str
    authority: AuthorityName
    at_least: str
    at_most: str
    because: str
    limited_by: str | None = Field(description="The stronger source that kept it from what it wanted")
    contradicts: str | None = Field(description="The source of the same authority that wanted the contrary")

    @classmethod
    def of(cls, given: Voice) -> "VoiceModel":
        """Spell `given`."""
        return cls.model_validate(
            {
                "source": given.source,
                "authority": given.authority.name,
                "at_least": given.at_least,
                "at_most": given.at_most,
                "because": given.because,
                "limited_by": given.limited_by,
                "contradicts": given.contradicts,
            }
        )


class DecisionModel(AnswerModel):
    """What one appliance should do, who settled that, and everything that was looked at."""

    id: int | None = Field(
        description="Counts up over the whole history; null for a decision that was only supposed"
    )
    at: datetime
    last_at: datetime = Field(description="When it was made the last of `count` times in a row")
    count: int
    recorded: bool = Field(description="Whether it is committed to disk")
    appliance: str
    action: str | None = Field(description="Null where no voice may act")
    because: str
    authority: AuthorityName
    source: str = Field(description="The voice that settled it")
    commanded: bool = Field(description="Whether a command follows from it; for a supposed one: would follow")
    voices: tuple[VoiceModel, ...] = Field(description="Everybody who spoke, strongest first")
    inputs: tuple[InputModel, ...]

    @classmethod
    def of(cls, given: DecisionView, *, supposed: bool = False) -> "DecisionModel":
        """Spell `given`."""
        made = given.decision
        return cls.model_validate(
            {
                "id": None if supposed else made.id,
                "at": when(made.at),
                "last_at": when(given.last_at),
                "count": given.count,
                "recorded": given.recorded and not supposed,
                "appliance": made.appliance,
                "action": made.action,
                "because": made.because,
                "authority": made.authority.name,
                "source": made.source,
                "commanded": made.commanded,
                "voices": tuple(VoiceModel.of(voice) for voice in made.voices),
                "inputs": tuple(InputModel.of(value) for value in made.inputs),
            }
        )


class OverrideModel(AnswerModel):
    """A person's word, and until when it holds."""

    action: str
    by: str
    since: datetime
    until: datetime | None = Field(description="The latest end; null: until they say otherwise")
    ends: str | None = Field(description="The condition that ends it earlier, in words")
    recorded: bool = Field(
        description="Whether it is committed to disk; false: it does not outlive a restart"
    )

    @classmethod
    def of(cls, given: OverrideView) -> "OverrideModel":
        """Spell `given`."""
        held = given.override
        return cls(
            action=held.action,
            by=held.by,
            since=when(held.since),
            until=None if held.until is None else when(held.until),
            ends=held.ends,
            recorded=given.recorded,
        )


class AdviceModel(AnswerModel):
    """What a voice recommends and may not do: a person accepts it, or dismisses it."""

    source: str = Field(description="The voice: what is accepted or dismissed by")
    action: str
    because: str
    since: datetime
    until: datetime = Field(description="When it is taken back, without an answer")

    @classmethod
    def of(cls, advice: Advice) -> "AdviceModel":
        """Spell `advice`."""
        return cls(
            source=advice.source,
            action=advice.action,
            because=advice.because,
            since=when(advice.since),
            until=when(advice.until),
        )


class AlarmModel(AnswerModel):
    """A rule that is about life or the device itself, and speaks."""

    rule: str
    because: str
    acknowledged: bool = Field(description="Whether a person saw it")
    waits: bool = Field(description="Whether it goes on until a person acknowledges it")
    authority: AuthorityName = Field(description="LIFE_SAFETY, or EQUIPMENT")

    @classmethod
    def of(cls, alarm: AlarmView) -> "AlarmModel":
        """Spell `alarm`."""
        return cls.model_validate(
            {
                "rule": alarm.rule,
                "because": alarm.because,
                "acknowledged": alarm.acknowledged,
                "waits": alarm.waits,
                "authority": alarm.authority.name,
            }
        )


class ApplianceModel(AnswerModel):
    """One appliance as it stands now."""

    id: str
    name: str
    profile: str
    actions: tuple[str, ...] = Field(description="Its ladder, weakest first")
    modes: tuple[str, ...] = Field(description="Off the ladder: only a person enters one")
    rest: str
    safe: str
    doing: str | None = Field(description="What it reports; null: nothing heard since boot")
    doing_since: datetime | None
    commanded: str | None = Field(description="What it was last told")
    available: bool | None
    fault: str | None
    override: OverrideModel | None
    advice: tuple[AdviceModel, ...] = Field(description="What is recommended and waits for a person")
    alarms: tuple[AlarmModel, ...] = Field(description="What sounds now")
    needs_person: tuple[str, ...] = Field(description="Actions that no rule and no model may enter")
    ends: tuple[str, ...] = Field(description="Named conditions that an override may wait for")
    decision: DecisionModel | None
    channels: tuple[InputModel, ...] = Field(description="What its rules may look at, now")
    learned: dict[str, tuple[str, ...]] = Field(
        description="Channels in which a model speaks, and the words by which it may be corrected"
    )

    @classmethod
    def of(cls, given: ApplianceView) -> "ApplianceModel":
        """Spell `given`."""
        return cls(
            id=given.id,
            name=given.name,
            profile=given.profile,
            actions=given.actions,
            modes=given.modes,
            rest=given.rest,
            safe=given.safe,
            doing=given.doing,
            doing_since=None if given.doing_since is None else when(given.doing_since),
            commanded=given.commanded,
            available=given.available,
            fault=given.fault,
            override=None if given.override is None else OverrideModel.of(given.override),
            advice=tuple(AdviceModel.of(advice) for advice in given.advice),
            alarms=tuple(AlarmModel.of(alarm) for alarm in given.alarms),
            needs_person=given.needs_person,
            ends=given.ends,
            decision=None if given.decision is None else DecisionModel.of(given.decision),
            channels=tuple(InputModel.of(value) for value in given.channels),
            learned=dict(given.learned),
        )


class ApplianceList(AnswerModel):
    """All appliances of the home."""

    appliances: tuple[ApplianceModel, ...]


class ReadingHappened(AnswerModel):
    """The data of a `reading` event."""

    appliance: str
    reading: InputModel
