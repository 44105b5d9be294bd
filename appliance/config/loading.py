"""Owns the way from a TOML file and APPLIANCE_* variables to settings that are checked, or to one clear error.

Never in here: which settings there are. Nothing is half applied.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from appliance.config.tables import Scalar, Settings
from appliance.errors import ConfigError

MAX_FILE_BYTES = 1 << 20
PREFIX = "APPLIANCE_"


class Loaded(BaseModel):
    """Settings, and where each value that is not a default comes from: dotted key -> file or variable.

    `profiles` are texts to take instead of files of `folder`, by their names in the config: those of a kept copy.
    """

    model_config = ConfigDict(frozen=True)
    settings: Settings
    origins: dict[str, str]
    folder: Path
    file: Path | None = None
    profiles: dict[str, str] = {}


def load_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> Loaded:
    """Return the settings of `path`, with APPLIANCE_SECTION__KEY variables over them.

    Raises:
        ConfigError: the file can't be read, is no TOML, or a setting is unknown or wrong; names file, key and remedy.
    """
    table: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        table = read_toml(path)
        origins = dict.fromkeys(_leaves(table), str(path))
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX) and "__" in name:
            path_in = name.removeprefix(PREFIX).lower().split("__")
            _put(table, path_in, _scalar(value), name)
            origins[".".join(path_in)] = f"${name}"
    try:
        settings = Settings.model_validate(_tuples(table))
    except ValidationError as broken:
        first = broken.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        where = _origin(key, origins) or str(path or "the defaults")
        message = first["msg"].removeprefix("Value error, ")
        unknown = first["type"] == "extra_forbidden"
        what = "there is no such setting" if unknown else message[:1].lower() + message[1:]
        raise ConfigError(
            f"{where}: {key}: {what}", hint=f"see docs/configuration.md, section [{first['loc'][0]!s}]"
        ) from None
    folder = (path.parent if path is not None else Path()).resolve()
    return Loaded(settings=settings, origins=origins, folder=folder, file=path)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in the TOML file at `path`.

    Raises:
        ConfigError: it can't be read, is larger than 1 MiB, or is no TOML.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(
                f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB",
                hint="a config is a page of text; is this the file?",
            )
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as broken:
        raise ConfigError(
            f"{path}: {broken.strerror or broken}", hint="give the path of a readable TOML file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise ConfigError(
            f"{path}: no TOML: {str(broken)[:200]}", hint="mend the line; strings need quotes"
        ) from None


def _leaves(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for name, value in table.items():
        key = f"{prefix}{name}"
        keys += _leaves(value, f"{key}.") if isinstance(value, dict) and value else [key]
    return keys


def _put(table: dict[str, Any], key: list[str], value: Scalar | list[Any], variable: str) -> None:
    for name in key[:-1]:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"${variable}: {name} is a value, not a section", hint="see docs/configuration.md"
            )
        table = inner
    table[key[-1]] = value


def _scalar(text: str) -> Scalar | list[Any]:
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, str | int | float | bool | list) else text


def _tuples(value: object) -> Any:
    """TOML has lists; frozen settings hold tuples."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _origin(key: str, origins: Mapping[str, str]) -> str | None:
    return next(
        (
            origin
            for known, origin in origins.items()
            if known == key or known.startswith(f"{key}.") or key.startswith(f"{known}.")
        ),
        None,
    )
