"""Owns what can be set: every section and key, its default, its bounds, and one line on it.

Never in here: where a value comes from, or what it does.
"""

from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

MAX_APPLIANCES = 1024

Scalar = str | int | float | bool


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class HomeTable(_Table):
    """`[home]`: where it is."""

    timezone: str = Field(default="UTC", description="the zone of times of day in rules, as Europe/Berlin")

    @field_validator("timezone")
    @classmethod
    def _exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"there is no time zone {name!r}; write one as Europe/Berlin") from None
        return name


class TlsTable(_Table):
    """`[mqtt.tls]`, `[edge.tls]`: an encrypted link."""

    ca_file: str | None = Field(default=None, description="certificates to trust instead of the system's")
    cert_file: str | None = Field(default=None, description="this client's certificate")
    key_file: str | None = Field(default=None, description="this client's key")
    insecure: bool = Field(default=False, description="accept any certificate; shown as a weakness")


class MqttTable(_Table):
    """`[mqtt]`: the broker."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=253, description="where the broker is")
    port: int = Field(default=1883, ge=1, le=65535, description="its port")
    username: str | None = Field(default=None, description="who we are there")
    password_file: str | None = Field(
        default=None, description="a file (mode 0600) whose first line is the password"
    )
    client_id: str | None = Field(
        default=None, max_length=64, description="our name there; by default made once and kept"
    )
    prefix: str = Field(
        default="appliance", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="our own topics begin with it"
    )
    keepalive_s: int = Field(default=10, ge=2, le=10, description="seconds between signs of life")
    tls: TlsTable | None = Field(default=None, description="present: the link is encrypted")


class BrokerTable(_Table):
    """`[broker]`: for a home without one."""

    embedded: bool = Field(default=False, description="start a small broker of our own (extra [broker])")


class EdgeTable(_Table):
    """`[edge]`: a bigger machine nearby that is offered the hard cases; without this section none is."""

    url: str = Field(
        pattern=r"^https?://[^\s/?#@]{1,253}(/[^\s?#]{0,200})?$",
        description="where it is, as http://nas.local:8478",
    )
    token_file: str | None = Field(
        default=None, description="a file (mode 0600) whose first line is the token it asks for"
    )
    tls: TlsTable | None = Field(default=None, description="whom to believe, and who we are there")
    deadline_ms: int = Field(
        default=300,
        ge=20,
        le=10_000,
        description="an answer later than this is none; rules have acted already",
    )
    cases_percent: float = Field(
        default=5.0, ge=0.0, le=100.0, description="at most this share of cases is offered"
    )
    mb_a_day: float = Field(
        default=1.0, ge=0.0, le=10_000.0, description="at most this much is sent and received in a day"
    )
    audits_a_day: int = Field(
        default=48,
        ge=0,
        le=1440,
        description="so many easy cases a day are offered too, to measure the local model",
    )
    cache_entries: int = Field(
        default=10_000, ge=0, le=1_000_000, description="so many answers are kept; 0: none is"
    )
    cache_days: float = Field(default=30.0, gt=0.0, le=400.0, description="an answer is kept so long")
    recheck_percent: float = Field(
        default=2.0,
        ge=0.0,
        le=100.0,
        description="this share of cached answers is asked again, to measure them",
    )
    wrong_hit_percent: float = Field(
        default=5.0,
        gt=0.0,
        le=100.0,
        description="above this share of wrong ones the cache narrows, or stops",
    )
    models: dict[str, str] = Field(
        default={},
        max_length=16,
        description="model -> the bigger one that is asked, by default NAME-teacher",
    )


class StoreTable(_Table):
    """`[store]`: what is remembered on disk."""

    folder: str | None = Field(
        default=None, description="by default $STATE_DIRECTORY, else ~/.local/state/appliance"
    )
    decisions_days: int = Field(default=400, ge=1, le=4000, description="decisions are kept so long")
    readings_days: int = Field(default=90, ge=1, le=4000, description="readings are kept so long")
    max_mb: int = Field(default=1024, ge=16, le=1_000_000, description="readings never take more than this")


class HttpTable(_Table):
    """`[http]`: the local API and page."""

    enabled: bool = Field(default=True, description="whether it is served at all")
    host: str = Field(default="127.0.0.1", description="the address to listen at")
    port: int = Field(default=8321, ge=0, le=65535, description="the port; 0 lets the system choose")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), max_length=16, description="further names that it may be called by"
    )


class LogTable(_Table):
    """`[log]`: what is said on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="from which level on"
    )


class Zigbee2mqttTable(_Table):
    """`[zigbee2mqtt]`."""

    enabled: bool = Field(default=True, description="whether to listen for it")
    base: str = Field(default="zigbee2mqtt", pattern=r"^[^+#\x00-\x1f]{1,128}$", description="its base topic")


class TasmotaTable(_Table):
    """`[tasmota]`."""

    enabled: bool = Field(default=True, description="whether to listen for it")


class PlainFieldTable(_Table):
    """One thing that a plain message says."""

    path: str = Field(
        default="", max_length=200, description="where it lies in the JSON, as air.pm; empty: a bare number"
    )
    unit: str | None = Field(default=None, max_length=16, description="the unit it is sent in")


class PlainTable(_Table):
    """`[plain.NAME]`: devices that speak no dialect: a topic, and where the numbers lie."""

    topic: str | None = Field(
        default=None, max_length=256, description="the topic heard; one + stands for the device's name"
    )
    fields: dict[str, PlainFieldTable] = Field(
        default={}, max_length=32, description="metric -> where it lies, in which unit"
    )
    states: dict[str, str] = Field(default={}, max_length=32, description="metric -> JSON path of a word")
    command_topic: str | None = Field(
        default=None, max_length=256, description="the topic of commands; {device} is filled in"
    )
    command_payload: str = Field(
        default="{value}", max_length=1024, description="what is sent; {property names} are filled in"
    )


class SpellingTable(_Table):
    """`[appliances.ID.commands.ACTION]`: how this device is told an action, and how its reports look."""

    set: dict[str, Scalar] = Field(min_length=1, max_length=16, description="property -> value")
    seen: dict[str, Scalar | tuple[Scalar, ...]] = Field(
        default={}, max_length=16, description="metric -> value(s)"
    )
    lease: dict[str, str] = Field(
        default={},
        max_length=4,
        description="property that tells it when to end this by itself -> seconds, or pulsetime",
    )


class ApplianceTable(_Table):
    """`[appliances.ID]`: one machine that is decided for."""

    profile: str = Field(
        description="a shipped profile's name, or the path of a file of one's own, relative to this one"
    )
    device: str = Field(
        pattern=r"^[a-z0-9]+/[^+#\x00-\x1f]{1,200}$", description="dialect/name, as zigbee2mqtt/purifier"
    )
    title: str | None = Field(default=None, max_length=64, description="what people call it")
    hold: str | None = Field(default=None, description='how long a hand at the device is obeyed, as "1 h"')
    channels: dict[str, str | tuple[str, ...]] = Field(
        default={}, max_length=32, description="channel -> device, or device:metric; several give the median"
    )
    rules: dict[str, dict[str, Any]] = Field(
        default={}, max_length=64, description="rules changed by id, or added"
    )
    commands: dict[str, SpellingTable] = Field(
        default={}, max_length=32, description="action -> how this device is told"
    )
    voices: dict[str, Literal["act", "recommend", "off"]] = Field(
        default={}, max_length=4, description="how far the rules, or the model, may go here"
    )
    without_lease: bool = Field(
        default=False, description="accept that the device goes on by itself if this computer stops"
    )


class ExclusionTable(_Table):
    """`[exclusions.NAME]`: appliances of which only one may run at a time."""

    appliances: tuple[str, ...] = Field(
        min_length=2, max_length=16, description="their names, the one that goes first foremost"
    )


class Settings(_Table):
    """Everything that can be set."""

    home: HomeTable = HomeTable()
    mqtt: MqttTable = MqttTable()
    broker: BrokerTable = BrokerTable()
    store: StoreTable = StoreTable()
    edge: EdgeTable | None = None
    http: HttpTable = HttpTable()
    log: LogTable = LogTable()
    zigbee2mqtt: Zigbee2mqttTable = Zigbee2mqttTable()
    tasmota: TasmotaTable = TasmotaTable()
    plain: dict[str, PlainTable] = Field(default={}, max_length=64)
    appliances: dict[str, ApplianceTable] = Field(default={}, max_length=MAX_APPLIANCES)
    exclusions: dict[str, ExclusionTable] = Field(default={}, max_length=32)

    @field_validator("appliances", "plain", "exclusions")
    @classmethod
    def _names(cls, tables: dict[str, Any]) -> dict[str, Any]:
        for name in tables:
            if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii() or len(name) > 64:
                raise ValueError(f"{name[:64]!r} is no name: use letters, digits, _ and -, 64 at most")
        return tables
