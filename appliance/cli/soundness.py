"""Owns the refusal of a home that contradicts its own invariants, where the solver (extra [prove]) is there to show it.

What was let pass once is not proved again before it changes: a start must not wait for what is known. Never in here: proving.
"""

import hashlib
import importlib.util
import logging
from collections.abc import Iterable
from pathlib import Path

from appliance import __version__
from appliance.config import Loaded, profile_texts
from appliance.core.home import Home
from appliance.core.profile import Appliance
from appliance.daemon.identity import state_folder
from appliance.errors import ApplianceError, ConfigError

log = logging.getLogger(__name__)


def refuse(loaded: Loaded, home: Home) -> None:
    """Look whether the rules of `home` keep what its profiles claim. Does nothing where the solver is not installed.

    Raises:
        ConfigError: a claim is broken; with the readings that break it.
    """
    if not _installed():
        return
    known, print_ = state_folder(loaded) / "proved", fingerprint(loaded)
    if _read(known) == print_:
        return
    if not prove_claims(home.appliances.values()):
        return
    try:
        known.write_text(print_ + "\n", encoding="ascii")
    except OSError as broken:
        log.warning("that this config is proved can't be written down: %s", broken.strerror)


def prove_claims(specs: Iterable[Appliance]) -> bool:
    """Prove the claims of `specs`, where the solver is installed; return whether it looked at them. Raises ConfigError as `refuse`;
    a solver that fails is said, and refuses nothing.
    """
    if not _installed():
        return False
    from appliance.prove import Asked, insist

    try:
        insist(Asked(spec, spec.bound) for spec in specs)
    except ConfigError:
        raise
    except ApplianceError as failed:
        log.warning("the claims of the profiles are not proved: %s", failed)
        return False
    return True


def fingerprint(loaded: Loaded) -> str:
    """Return a digest of all that the rules come from: settings, profiles, and this version."""
    said = [__version__, loaded.settings.model_dump_json(), *profile_texts(loaded)]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


def _installed() -> bool:
    # Asked without importing the room of proofs: a start must not carry it.
    return importlib.util.find_spec("z3") is not None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
