"""Owns the way from settings to what the core works on: appliances from profiles, dialects from sections.

Never in here: models, the network, or the disk beyond reading profile files.
"""

import tomllib
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any

from appliance.config.loading import Loaded, read_toml
from appliance.config.pointing import pointed
from appliance.config.tables import ApplianceTable, PlainTable, Settings
from appliance.core import guards
from appliance.core.assembly import assemble
from appliance.core.payloads.message import Dialect
from appliance.core.payloads.plain import Plain, PlainField, PlainSource, PlainTarget
from appliance.core.payloads.tasmota import Tasmota
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt
from appliance.core.profile import Appliance, Binding, ProfileTable, SpellingTable, read_profile
from appliance.core.registry import discover
from appliance.errors import ConfigError, ProfileError


def shipped_profiles() -> dict[str, Traversable]:
    """Return the profiles in this package, by name."""
    folder = files("appliance") / "profiles"
    return {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}


def appliances(loaded: Loaded) -> tuple[Appliance, ...]:
    """Return the appliances of this home.

    Raises:
        ConfigError: a profile is missing or wrong, or the binding does not fit it; names the file and the place.
    """
    plugs = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
    profiles: dict[str, tuple[ProfileTable, str]] = {}
    tables = loaded.settings.appliances
    for name, table in tables.items():
        if table.profile not in profiles:
            profiles[table.profile] = _profile(table.profile, loaded, name)
    does = {
        name: (*profile.actions, *profile.modes)
        for name, table in tables.items()
        for profile in (profiles[table.profile][0],)
    }
    excludes = _excludes(loaded.settings)
    built = []
    for name, table in tables.items():
        profile, where = profiles[table.profile]
        binding = _binding(name, table, excludes.get(name, ()))
        others = {other: actions for other, actions in does.items() if other != name}
        try:
            built.append(
                assemble(profile, binding, plugs, where=f"[appliances.{name}] with {where}", others=others)
            )
        except ProfileError as wrong:
            raise pointed(wrong, _texts(loaded, table.profile)) from None
    return tuple(built)


def _excludes(settings: Settings) -> dict[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]]:
    """Return for each appliance the groups of which only one may run: (name, who goes first, who comes after)."""
    found: dict[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = {}
    for title, table in settings.exclusions.items():
        ranked = table.appliances
        for place, name in enumerate(ranked):
            if name not in settings.appliances or name in ranked[:place]:
                raise ConfigError(
                    f"[exclusions.{title}] appliances: {name!r} is no appliance, or is named twice",
                    hint=f"choose from {', '.join(settings.appliances)}",
                )
            found[name] = (*found.get(name, ()), (title, ranked[:place], ranked[place + 1 :]))
    _ranked(settings)
    return found


def _ranked(settings: Settings) -> None:
    """Look whether all groups together rank the appliances. Raises ConfigError where one would wait for itself."""
    before: dict[str, set[str]] = {}
    for table in settings.exclusions.values():
        for first, after in pairwise(table.appliances):
            before.setdefault(after, set()).add(first)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as circle:
        names = list(dict.fromkeys(circle.args[1]))
        titles = [
            title for title, table in settings.exclusions.items() if len({*names} & {*table.appliances}) > 1
        ]
        raise ConfigError(
            f"[exclusions] {', '.join(titles)}: each of {', '.join(names)} would go before itself, and none would ever run",
            hint="name them in the same order in every group",
        ) from None


def dialects(settings: Settings) -> tuple[Dialect, ...]:
    """Return the dialects that are listened to, in the order in which they are asked."""
    spoken: list[Dialect] = []
    if settings.plain:
        spoken.append(_plain(settings.plain))
    if settings.zigbee2mqtt.enabled:
        spoken.append(Zigbee2mqtt(base=settings.zigbee2mqtt.base))
    if settings.tasmota.enabled:
        spoken.append(Tasmota())
    return tuple(spoken)


def sayable(specs: Iterable[Appliance], spoken: Iterable[Dialect]) -> None:
    """Look whether every appliance can be told all of its actions.

    Raises:
        ConfigError: a device's dialect is not spoken, a command can't be said in it, or two appliances would command the same
            property of one device.
    """
    by_name = {dialect.name: dialect for dialect in spoken}
    commanded: dict[tuple[str, str], str] = {}
    for spec in specs:
        device = spec.actuator.device
        dialect = by_name.get(device.partition("/")[0])
        if dialect is None:
            raise ConfigError(
                f"[appliances.{spec.id}] device: nobody speaks {device.partition('/')[0]!r}",
                hint="the dialects are zigbee2mqtt, tasmota and plain, each unless it is switched off",
            )
        for spelling in spec.actuator.spellings:
            dialect.encode(device, spelling.set)
        for name in spec.actuator.asks:
            other = commanded.setdefault((device, name), spec.id)
            if other != spec.id:
                # Each would take the other's command for a hand.
                raise ConfigError(
                    f"[appliances.{spec.id}] device: {device} is commanded by {other!r} already",
                    hint="one device has one appliance; give it the rules of both",
                )


def profile_texts(loaded: Loaded) -> tuple[str, ...]:
    """Return the text of each profile that this home uses, in the order of their names.

    Raises:
        ConfigError: one of its own can't be read.
    """
    shipped = shipped_profiles()
    own = own_profiles(loaded)
    names = {table.profile for table in loaded.settings.appliances.values()}
    return tuple(own[name] if name in own else shipped[name].read_text("utf-8") for name in sorted(names))


def own_profiles(loaded: Loaded) -> dict[str, str]:
    """Return the texts of the profiles that are not of this package, by the names that the config gives them.

    Raises:
        ConfigError: one can't be read.
    """
    shipped = shipped_profiles()
    names = {table.profile for table in loaded.settings.appliances.values()} - shipped.keys()
    try:
        return {
            name: loaded.profiles[name]
            if name in loaded.profiles
            else (loaded.folder / name).read_text(encoding="utf-8")
            for name in sorted(names)
        }
    except (OSError, UnicodeDecodeError) as broken:
        raise ConfigError(f"a profile can't be read: {broken}", hint="is the file still there?") from None


def _profile(name: str, loaded: Loaded, appliance: str) -> tuple[ProfileTable, str]:
    shipped = shipped_profiles()
    table: dict[str, Any]
    if name in shipped:
        where = f"profile {name}"
        table = tomllib.loads(shipped[name].read_text(encoding="utf-8"))
    elif name.endswith(".toml"):
        where = str(loaded.folder / name)
        kept = loaded.profiles.get(name)
        table = read_toml(loaded.folder / name) if kept is None else tomllib.loads(kept)
    else:
        raise ConfigError(
            f"[appliances.{appliance}] profile: there is no profile {name!r}",
            hint=f"choose one of {', '.join(sorted(shipped))}, or name a .toml file of your own",
        )
    try:
        return read_profile(table, where=where), where
    except ProfileError as wrong:
        raise pointed(wrong, _texts(loaded, name)) from None


def _texts(loaded: Loaded, profile: str) -> list[tuple[str, str]]:
    """Return the texts in which a rule may stand, each with its name: its profile's, then the config's."""
    shipped = shipped_profiles()
    found = []
    try:
        if profile in shipped:
            found.append((f"profile {profile}", shipped[profile].read_text(encoding="utf-8")))
        else:
            found.append((profile, (loaded.folder / profile).read_text(encoding="utf-8")))
        if loaded.file is not None:
            found.append((loaded.file.name, loaded.file.read_text(encoding="utf-8")))
    except OSError:
        # It was there a moment ago; then the place is not told, and the rest of the message is.
        return found
    return found


def _binding(
    name: str,
    table: ApplianceTable,
    excludes: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (),
) -> Binding:
    channels = {}
    for channel, given in table.channels.items():
        sources = (given,) if isinstance(given, str) else given
        channels[channel] = tuple(_source(source, name, channel) for source in sources)
    commands = {
        action: SpellingTable(spelling.set, spelling.seen, spelling.lease)
        for action, spelling in table.commands.items()
    }
    return Binding(
        name,
        table.device,
        table.title,
        table.hold,
        channels,
        table.rules,
        commands,
        dict(table.voices),
        table.without_lease,
        excludes,
    )


def _source(text: str, appliance: str, channel: str) -> tuple[str, str | None]:
    device, colon, metric = text.partition(":")
    if "/" not in device or (colon and not metric):
        raise ConfigError(
            f"[appliances.{appliance}.channels] {channel}: {text!r} names no device",
            hint="write dialect/name, as zigbee2mqtt/living_air, with :metric behind it where the metric has another name",
        )
    return device, metric or None


def _plain(tables: dict[str, PlainTable]) -> Plain:
    sources, targets = [], []
    for name, table in tables.items():
        if table.topic is not None:
            fields = tuple(
                PlainField(metric, field.path, field.unit) for metric, field in table.fields.items()
            )
            sources.append(PlainSource(name, table.topic, fields, tuple(table.states.items())))
        if table.command_topic is not None:
            targets.append(PlainTarget(name, table.command_topic, table.command_payload))
    return Plain(tuple(sources), tuple(targets))
