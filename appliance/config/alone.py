"""Owns a profile without a home: the appliance that it makes when everything that it can hear is there.

Never in here: what is done with it.
"""

import tomllib
from pathlib import Path
from typing import Any

from appliance.config.household import shipped_profiles
from appliance.config.loading import read_toml
from appliance.core import guards
from appliance.core.assembly import assemble
from appliance.core.profile import Appliance, Binding, SpellingTable, read_profile
from appliance.core.registry import discover
from appliance.errors import ConfigError


def shipped(name: str) -> tuple[Appliance, dict[str, Any]]:
    """Return the appliance of the shipped profile `name`, and the profile's table.

    Raises:
        ConfigError: there is no such profile.
    """
    there = shipped_profiles()
    if name not in there:
        raise ConfigError(
            f"there is no profile {name!r}",
            hint=f"choose one of {', '.join(sorted(there))}, or name a .toml file",
        )
    table = tomllib.loads(there[name].read_text(encoding="utf-8"))
    return alone(table, where=f"profile {name}"), table


def is_profile(path: Path) -> bool:
    """Return whether the TOML file at `path` is a profile; else it is a config. Raises ConfigError where it is no TOML."""
    return "actions" in read_toml(path)


def alone(table: dict[str, Any], *, where: str) -> Appliance:
    """Return the appliance of the profile in `table`, on a device that can be told every action and mode.

    Raises:
        ProfileError: the profile contradicts itself.
    """
    profile = read_profile(table, where=where)
    spellings = {name: SpellingTable({"action": name}) for name in (*profile.actions, *profile.modes)}
    plugs = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
    binding = Binding(profile.name, f"plain/{profile.name}", commands=spellings, without_lease=True)
    return assemble(profile, binding, plugs, where=where)
