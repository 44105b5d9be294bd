"""Owns where an installation keeps its state, and its two small secrets: its name at the broker, and the token for writing.

Never in here: checking a token (the HTTP adapter does). Files are made once, with mode 0600.
"""

import contextlib
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from appliance.config import Loaded
from appliance.errors import ConfigError

log = logging.getLogger(__name__)


def state_folder(loaded: Loaded) -> Path:
    """Return where this home's state lies: as configured, else systemd's StateDirectory, else under ~/.local/state."""
    chosen = loaded.settings.store.folder
    if chosen is not None:
        return loaded.folder / Path(chosen).expanduser()
    systemd = os.environ.get("STATE_DIRECTORY")
    return Path(systemd) if systemd else Path("~/.local/state/appliance").expanduser()


def token(folder: Path) -> str:
    """Return the bearer token of this installation: 128 random bits, made at the first start."""
    return _kept(folder / "token", lambda: secrets.token_urlsafe(16))


def client_id(folder: Path, chosen: str | None) -> str:
    """Return our name at the broker: the chosen one, else a random one that stays."""
    return chosen or _kept(folder / "client_id", lambda: f"appliance-{secrets.token_hex(4)}")


def secret(file: str | None, folder: Path, *, key: str, what: str) -> str | None:
    """Return the first line of the file of a secret (`what`, which the setting `key` names), which may lie in `folder`; None: there is none.

    Raises:
        ConfigError: it can't be read, or others may read it.
    """
    if file is None:
        return None
    path = folder / file
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: others may read this {what}", hint=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except UnicodeDecodeError:
        raise ConfigError(
            f"{key}: {path}: no UTF-8 text", hint=f"write the {what} into it, mode 0600"
        ) from None
    except OSError as broken:
        raise ConfigError(
            f"{key}: {path}: {broken.strerror}", hint=f"write the {what} into it, mode 0600"
        ) from None


def password(loaded: Loaded) -> str | None:
    """Return the password for the broker, or None. Raises ConfigError as `secret`."""
    return secret(
        loaded.settings.mqtt.password_file, loaded.folder, key="mqtt.password_file", what="password"
    )


def tell_url(folder: Path, url: str) -> None:
    """Write down where the page is, whole or not at all: on a full disk half of it would lead nowhere. Raises OSError."""
    path = folder / "url"
    new = path.with_suffix(".new")
    try:
        new.write_text(url + "\n", encoding="ascii")
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def _kept(path: Path, make: Callable[[], str]) -> str:
    """Return what the file holds; make it where it is missing. Two starts at once agree, since creation is exclusive.

    Where the disk takes nothing, what was made holds until the end of the process: control goes on without a disk.
    """
    made = make()
    try:
        for _ in range(2):
            try:
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(made + "\n")
            except FileExistsError:
                kept = path.read_text(encoding="ascii", errors="replace").strip()
                if kept:
                    return kept
                path.unlink()  # left by a start that died, or by a full disk
            else:
                return made
    except OSError as broken:
        log.warning("%s can't be kept: %s; another one after the next start", path.name, broken.strerror)
    return made
