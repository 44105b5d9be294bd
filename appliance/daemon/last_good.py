"""Owns the copy of the config that last ran well: settings and profiles of one's own, under their digest, in the state folder.

Never in here: when a config has run well, or when the copy is put in force (supervising). Secrets are not copied: they lie in
files that a config names.
"""

import hashlib
import logging
from pathlib import Path

import msgspec
from pydantic import ValidationError

from appliance.adapters.runs import replace
from appliance.config import Loaded, Settings, appliances, own_profiles
from appliance.core.clock import Instant
from appliance.errors import ApplianceError

log = logging.getLogger(__name__)

FILE = "last_good.json"
MAX_BYTES = 4 << 20


class Kept(msgspec.Struct, frozen=True):
    """The copy. `digest` is that of `settings` (JSON) and `profiles` (name -> TOML); `folder` is where names of files begin."""

    digest: str
    at: Instant
    folder: str
    settings: str
    profiles: dict[str, str]


def digest(loaded: Loaded) -> str:
    """Return what a config is known by: the settings and the texts of its own profiles.

    Raises:
        ConfigError: a profile can't be read.
    """
    return _digest(loaded.settings.model_dump_json(), own_profiles(loaded))


def keep(folder: Path, loaded: Loaded, now: Instant) -> None:
    """Keep `loaded` as the last good config. Raises OSError where the disk does not take it, ConfigError as `digest`."""
    settings, profiles = loaded.settings.model_dump_json(), own_profiles(loaded)
    kept = Kept(_digest(settings, profiles), now, str(loaded.folder), settings, profiles)
    replace(folder / FILE, msgspec.json.encode(kept))


def kept_digest(folder: Path) -> str | None:
    """Return by what the last good config is known, or None where none is kept."""
    kept = _read(folder)
    return None if kept is None else kept.digest


def last_good(folder: Path, present: Loaded) -> Loaded | None:
    """Return the last good config, with the store of the `present` one; None where none is kept, whole, and still understood."""
    kept = _read(folder)
    if kept is None:
        return None
    try:
        settings = Settings.model_validate_json(kept.settings)
        loaded = Loaded(
            settings=settings.model_copy(update={"store": present.settings.store}),
            origins={},
            folder=Path(kept.folder),
            profiles=kept.profiles,
        )
        appliances(loaded)
    except (ValidationError, ApplianceError) as broken:
        log.warning("the last good config is understood no more: %s", broken)
        return None
    return loaded


def _read(folder: Path) -> Kept | None:
    try:
        with (folder / FILE).open("rb") as file:
            kept = msgspec.json.decode(file.read(MAX_BYTES), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as broken:
        log.warning("the last good config can't be read: %s", broken)
        return None
    if kept.digest != _digest(kept.settings, kept.profiles):
        log.warning("the last good config was altered, and is not used")
        return None
    return kept


def _digest(settings: str, profiles: dict[str, str]) -> str:
    said = [settings, *(part for name in sorted(profiles) for part in (name, profiles[name]))]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()
