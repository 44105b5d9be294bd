"""Owns what can happen to a home and what can follow from it.

Never in here: how either is found out or carried out. Events go into `Controller.handle`, effects come out of it;
`daemon.perform` is the only place that turns an effect into the world.
"""

from collections.abc import Mapping

import msgspec

from appliance.core.arbitration import Authority, Voice
from appliance.core.clock import Instant
from appliance.core.payloads.message import Declaration, Scalar
from appliance.core.readings import Quality, Reading
from appliance.core.trust import Adapted
from appliance.core.trust.audits import Audits

# ---------------------------------------------------------------- events: what can happen


class ReadingArrived(msgspec.Struct, frozen=True, gc=False, tag=True):
    """One message of one device with numbers in it. A retained one has no known age.

    `resent`: whether a bridge only repeated its cache, where that is known already, being history; None: to be found out.
    """

    device: str
    readings: tuple[Reading, ...]
    retained: bool = False
    last_seen: str | None = None
    resent: bool | None = None


class StateReported(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A device said what it is doing."""

    device: str
    states: tuple[Reading, ...]
    retained: bool = False


class AvailabilityChanged(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A device, or the bridge on its behalf, said that it can or cannot be reached."""

    device: str
    available: bool
    retained: bool = False


class Declared(msgspec.Struct, frozen=True, tag=True):
    """Devices told their units or actions."""

    declarations: tuple[Declaration, ...]


class PersonSpoke(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A person set an override (`action` given) or ended it (`action` None), through `by`: "http", "cli", "page", "mqtt".

    It ends after `for_ns`, or at `until`: a time of day as "07:00", or a condition in words; or, `open_ended`, when they say
    so. Without any of these the appliance's own default holds.
    """

    appliance: str
    action: str | None
    by: str
    for_ns: int | None = None
    until: str | None = None
    open_ended: bool = False


class AdviceAnswered(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A person accepted, or dismissed, what the voice `source` recommends; with `source` None, all that is recommended."""

    appliance: str
    source: str | None
    accepted: bool
    by: str


class AlarmAcknowledged(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A person saw the alarm of the rule `rule`; with None, all alarms of the appliance."""

    appliance: str
    rule: str | None
    by: str


class Labelled(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Somebody, or something that knows, said what a model's `channel` should have read from `since_ns` to `until_ns`, both included
    (Unix time), through `by`.
    """

    appliance: str
    channel: str
    label: str
    since_ns: int
    until_ns: int
    by: str


class LinkChanged(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The link to the broker came up or went down."""

    connected: bool


class EdgeAnswered(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The model `edge`, of a bigger machine, said of the case `bucket` of a model's `channel`: `probabilities` (L), in the order of its card's
    labels, finite and summing to one. `cached`: it had said so of a like case. `audit`: the label that the local model was sure of, where
    this measures that model and is no voice.
    """

    appliance: str
    channel: str
    edge: str
    version: int
    bucket: tuple[int, ...]
    probabilities: tuple[float, ...]
    cached: bool = False
    audit: str | None = None


class Tick(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Time passed, and somebody wanted to know."""


Event = (
    ReadingArrived
    | StateReported
    | AvailabilityChanged
    | Declared
    | PersonSpoke
    | AdviceAnswered
    | AlarmAcknowledged
    | Labelled
    | EdgeAnswered
    | LinkChanged
    | Tick
)

# ---------------------------------------------------------------- what is decided and remembered


class Input(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one channel was, when a decision was made. `age_s` is seconds since it was last heard well; None: never.
    `by`: the bigger model that said it, where the local one could not.
    """

    channel: str
    value: float | str | None
    unit: str | None
    age_s: float | None
    quality: str
    reason: str | None = None
    by: str | None = None


class Decision(msgspec.Struct, frozen=True):
    """What one appliance should do, who settled that, and everything that was looked at.

    `id` counts up over the whole history. `action` is None where nobody may act. `commanded` tells whether a command
    follows from it (False where only recommended, or where the appliance does it already).
    """

    id: int
    at: Instant
    appliance: str
    action: str | None
    because: str
    authority: Authority
    source: str
    voices: tuple[Voice, ...]
    inputs: tuple[Input, ...]
    commanded: bool


class Override(msgspec.Struct, frozen=True):
    """A person's word: `action` (of the ladder, or a mode) from `since`, given through `by`.

    It ends at `until`: by boot time, or, where `by_wall`, by the clock on the wall; earlier where the condition `ends` is
    true. `until` None: only a person ends it.
    """

    action: str
    by: str
    since: Instant
    until: Instant | None
    by_wall: bool = False
    ends: str | None = None


class Advice(msgspec.Struct, frozen=True):
    """What the voice `source` recommends and may not do: a person accepts or dismisses `action` until `until`.

    `answered`: dismissed, or expired; it is not said again before its voice has been silent.
    """

    source: str
    action: str
    because: str
    since: Instant
    until: Instant
    answered: bool = False


class Memory(msgspec.Struct, frozen=True):
    """What one appliance must remember across a restart; everything else is heard again or rebuilt.

    `switches` are the instants of the last hour at which it was switched between actions by us; `started` and `stopped`
    are when it last left, and last went to, the lowest action. `true_since` is keyed by rule. `advice` is what a person
    may still answer; `acknowledged` are the held rules whose alarm a person saw; `trust` is how careful labels have made the model of
    a channel, `audits` how often a bigger model contradicted it.
    """

    override: Override | None = None
    commanded: str | None = None
    commanded_at: Instant | None = None
    reported: str | None = None
    reported_at: Instant | None = None
    started: Instant | None = None
    stopped: Instant | None = None
    switches: tuple[Instant, ...] = ()
    holds: tuple[str, ...] = ()
    true_since: Mapping[str, Instant] = {}
    advice: tuple[Advice, ...] = ()
    acknowledged: tuple[str, ...] = ()
    trust: Mapping[str, Adapted] = {}
    audits: Mapping[str, Audits] = {}

    def changed(self, now: Instant) -> int | None:
        """Return the nanoseconds since it last changed: since the later of the last command and the last change that it
        reported; None where neither happened in this boot.
        """
        ages = [
            age
            for at in (self.commanded_at, self.reported_at)
            if at is not None and (age := now.since(at)) is not None
        ]
        return min(ages, default=None)


# ---------------------------------------------------------------- effects: what can follow


class SendCommand(msgspec.Struct, frozen=True):
    """Tell `device` to do `command` (property -> value, in its dialect's words)."""

    appliance: str
    device: str
    action: str
    command: Mapping[str, Scalar]


class AskState(msgspec.Struct, frozen=True):
    """Ask `device` to report itself."""

    device: str
    properties: tuple[str, ...]


class AskEdge(msgspec.Struct, frozen=True):
    """Offer a case of the local `model`'s `channel` to the model `edge` in `version`, on a bigger machine. Nothing waits for the answer.

    `row` (F,) are the edge model's own features, in its card's order and units; `bucket` (F,) which like cases it stands for. `audit`:
    the label that the local model is sure of, where this measures that model; else it is a hard case, `because`.
    """

    appliance: str
    channel: str
    model: str
    edge: str
    version: int
    row: tuple[float, ...]
    bucket: tuple[int, ...]
    because: str
    audit: str | None = None


class Recommend(msgspec.Struct, frozen=True):
    """Show `advice` to people, who may accept or dismiss it: all that is open for `appliance`, perhaps nothing any more."""

    appliance: str
    advice: tuple[Advice, ...]


class Record(msgspec.Struct, frozen=True):
    """Keep `decision`: it differs from the one before in action, deciding voice, or quality of what it rests on."""

    decision: Decision


class Repeat(msgspec.Struct, frozen=True, gc=False):
    """The decision `decision_id` was made once more, unchanged."""

    appliance: str
    decision_id: int


class Remember(msgspec.Struct, frozen=True):
    """Journal `memory` for `appliance`: it changed."""

    appliance: str
    memory: Memory


class Keep(msgspec.Struct, frozen=True, gc=False):
    """Keep in the history what `event` measured, with what each reading is worth: only readings that feed a channel are kept.

    `resent`: a bridge only repeated its cache. `older`: a newer message had overtaken it.
    """

    event: ReadingArrived
    worth: tuple[tuple[Reading, Quality, str | None], ...]
    resent: bool = False
    older: bool = False


class Notify(msgspec.Struct, frozen=True):
    """Tell people `text`. `level` is "info", "warning" or "error"."""

    appliance: str
    level: str
    text: str


Effect = SendCommand | AskState | AskEdge | Recommend | Record | Repeat | Remember | Keep | Notify
