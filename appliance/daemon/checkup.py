"""Owns looking whether all that a home rests on is sound: `appliance doctor`, from outside, also while the daemon runs.

Never in here: mending anything, or how a finding is printed.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from appliance.adapters import runs
from appliance.adapters.clock import SystemClock
from appliance.adapters.mqtt import Address, Tls, reach
from appliance.adapters.store import holder
from appliance.config import Loaded, appliances, dialects, sayable
from appliance.daemon import identity
from appliance.daemon.models import OWN, load_models
from appliance.daemon.remembering import Finding, histories
from appliance.daemon.safe_mode import judge
from appliance.errors import ApplianceError, ConfigError

RELEASED_S = 1_767_225_600
"""2026-01-01: no clock that is right shows an earlier time to this version."""


def examine(load: Callable[[], Loaded], ask: Callable[[Loaded], Any]) -> Iterator[Finding]:
    """Yield what is found, part by part.

    `load` reads the config; `ask` gives the running daemon's word on its health. Both raise ApplianceError. Takes minutes at
    most, on a slow disk with a long history.
    """
    try:
        loaded = load()
        specs = appliances(loaded)
        sayable(specs, dialects(loaded.settings))
        if not specs:
            raise ConfigError("no appliance is configured", hint="add a section [appliances.NAME]")
    except ApplianceError as broken:
        yield Finding("config", "wrong", broken.message, broken.hint)
        return
    yield Finding("config", "ok", f"{len(specs)} {'appliance' if len(specs) == 1 else 'appliances'}")
    folder = identity.state_folder(loaded)
    there = folder.is_dir()
    yield _folder(folder)
    running, found = _running(folder) if there else (None, Finding("daemon", "ok", "does not run"))
    yield found
    if running is not None:
        yield from _daemon(loaded, ask)
    if there:
        yield _runs(folder)
        yield from histories(folder)
    if running is None:
        yield _broker(loaded)
    _, missing = load_models(specs, folder / OWN)
    wanted = sorted({model for spec in specs for model in spec.models.values()})
    if not missing:
        yield Finding("models", "ok", f"{', '.join(wanted)}: verified" if wanted else "none is used")
    for name, why in missing.items():
        yield Finding(
            "models", "wrong", f"{name}: {why}", "install this version anew; rules decide meanwhile"
        )
    if time.time() < RELEASED_S:
        yield Finding("clock", "wrong", time.strftime("it shows %Y-%m-%d"), "set it, or let NTP set it")
    else:
        yield Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))


def _folder(folder: Path) -> Finding:
    name, own = "folder", "run this as the daemon's user, or give the folder to it"
    try:
        if not folder.exists():
            return Finding(name, "ok", f"{folder} is made at the first start")
        if not folder.is_dir():
            return Finding(name, "wrong", f"{folder} is no folder", "move it away")
        is_open = folder.stat().st_mode & 0o077
        foreign = [one for one in folder.iterdir() if one.lstat().st_uid != folder.stat().st_uid]
    except OSError as broken:
        return Finding(name, "wrong", f"{folder}: {broken.strerror}", own)
    if is_open:
        return Finding(name, "wrong", f"others may look into {folder}", f"chmod 700 {folder}")
    if foreign:
        return Finding(
            name, "wrong", f"{foreign[0]} is another user's", f"chown -R --reference={folder} {folder}"
        )
    return Finding(name, "ok", str(folder))


def _running(folder: Path) -> tuple[int | None, Finding]:
    try:
        process = holder(folder)
    except OSError as broken:
        return None, Finding("daemon", "unknown", f"the kernel does not tell who holds it: {broken.strerror}")
    if process is None:
        return None, Finding("daemon", "ok", "does not run")
    return process, Finding("daemon", "ok", f"runs as process {process}")


def _runs(folder: Path) -> Finding:
    """Say how the runs before ended, and whether that leads to safe mode."""
    history = runs.read(folder)
    safe = judge(history, SystemClock()())
    if safe is not None:
        until = f"safe mode until {safe.until.isoformat()}"
        return Finding("runs", "wrong", f"{until}: {safe.why}", "mend that, then: appliance safe-mode --end")
    crashed = [run for run in history.runs if run.crashed]
    if not crashed:
        return Finding("runs", "ok", f"{len(history.runs)} are known, none crashed")
    told = f"{len(crashed)} of {len(history.runs)} crashed, the last: {crashed[-1].why}"
    return Finding("runs", "ok", told)


def _daemon(loaded: Loaded, ask: Callable[[Loaded], Any]) -> Iterator[Finding]:
    """Yield what the running daemon says of its parts that are not well."""
    try:
        health = ask(loaded)
        parts = [(str(part["name"]), str(part["state"]), part.get("detail")) for part in health["parts"]]
    except ApplianceError as broken:
        yield Finding("daemon", "wrong", broken.message, broken.hint)
        return
    except (KeyError, TypeError):
        yield Finding("daemon", "wrong", "its answer makes no sense", "is it of the same version?")
        return
    for name, state, detail in parts:
        if state != "ok":
            yield Finding(
                f"daemon: {name}", "wrong", f"{state}: {detail}", "see its log, and the other lines here"
            )


def _broker(loaded: Loaded) -> Finding:
    if loaded.settings.broker.embedded:
        return Finding("broker", "ok", "embedded: it starts with the daemon")
    mqtt = loaded.settings.mqtt
    try:
        tls = None if mqtt.tls is None else Tls(**mqtt.tls.model_dump())
        # Under a name of its own: the daemon's would throw the daemon out.
        address = Address(
            mqtt.host, mqtt.port, f"appliance-doctor-{secrets.token_hex(4)}", mqtt.username,
            identity.password(loaded), tls, mqtt.keepalive_s,
        )  # fmt: skip
        asyncio.run(reach(address, f"{mqtt.prefix}/doctor", SystemClock()))
    except ApplianceError as broken:
        return Finding("broker", "wrong", broken.message, broken.hint)
    return Finding("broker", "ok", f"{mqtt.host}:{mqtt.port} lets us in")
