"""Owns looking whether what is remembered is whole, part by part, for `appliance doctor`.

Never in here: how a file is read (the store), or what else a home rests on (checkup).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from appliance.adapters.store import Queries, inspection
from appliance.adapters.store.journal import RESERVE_BYTES
from appliance.adapters.store.writer import TOLD_NS
from appliance.errors import StoreError

LONGEST_S = 60.0
"""So long is each file looked through at most."""
DAY_NS = 86_400 * 1_000_000_000
RESTORE = (
    "stop the daemon and take the decisions file of a backup that reaches further, or go on without them"
)


class Finding(msgspec.Struct, frozen=True):
    """One part: "ok", "wrong", or "unknown" where it could not be looked at. `todo` is said where something is wrong."""

    name: str
    state: Literal["ok", "wrong", "unknown"]
    what: str
    todo: str = ""


def histories(folder: Path) -> Iterator[Finding]:
    """Yield what is found about the history in `folder`, and about the room that it has. Takes minutes at most."""
    looks: list[tuple[str, Callable[[Path, str], Finding]]] = [(name, _shape) for name in inspection.FILES]
    if (folder / inspection.FILES["decisions"]).exists():
        looks += [("chain", _chain), ("high-water", _high_water), ("losses", _losses), ("dates", _dates)]
    looks += [("set aside", _aside), ("disk", _disk)]
    for name, look in looks:
        try:
            yield look(folder, name)
        except StoreError as broken:
            yield Finding(name, "wrong", broken.message, broken.hint)
        except OSError as broken:
            yield Finding(
                name, "wrong", f"{folder}: {broken.strerror}", "look at the state folder and its disk"
            )


def _shape(folder: Path, name: str) -> Finding:
    file = inspection.FILES[name]
    if not (folder / file).exists():
        return Finding(name, "ok", f"{file} is made at the first start")
    found = inspection.complaints(folder, file, LONGEST_S)
    if found is None:
        return Finding(name, "unknown", f"{file} is too large to look through in {LONGEST_S:g} s")
    if found:
        what = f"{file} is damaged: {found[0]}"
        return Finding(
            name, "wrong", what, f"stop the daemon, move {file} away or run: sqlite3 {file} .recover"
        )
    return Finding(name, "ok", f"{file} has the right shape")


def _chain(folder: Path, name: str) -> Finding:
    found = inspection.chain(folder, LONGEST_S)
    if found is None:
        return Finding(name, "unknown", f"the history is too long to go along in {LONGEST_S:g} s")
    if found.faults:
        more = f", and {len(found.faults) - 1} more" if len(found.faults) > 1 else ""
        return Finding(
            name, "wrong", f"{found.faults[0]}{more}", "trust no account of these; see docs/durability.md"
        )
    return Finding(name, "ok", f"{found.rows} decisions, each continues the one before")


def _high_water(folder: Path, name: str) -> Finding:
    head, queries = inspection.high_water(folder), Queries(folder)
    lost = queries.cut_off()
    known = next((loss for loss in queries.losses() if lost and loss.first <= lost.last <= loss.last), None)
    if lost is not None and known is None:
        return Finding(name, "wrong", str(lost), RESTORE)
    if head is None:
        return Finding(name, "ok", "no mark yet: it is made with the next decision")
    return Finding(
        name, "ok", f"decision {head.id}" if lost is None else f"decision {head.id}: lost, as said below"
    )


def _losses(folder: Path, name: str) -> Finding:
    losses = Queries(folder).losses()
    if not losses:
        return Finding(name, "ok", "none is known")
    last = losses[-1]
    told = time.strftime("%Y-%m-%d", time.gmtime(last.noticed_ns // 1_000_000_000))
    what = f"{last}, noticed {told}" + (f"; {len(losses) - 1} earlier" if len(losses) > 1 else "")
    return Finding(name, "wrong" if time.time_ns() - last.noticed_ns < TOLD_NS else "ok", what, RESTORE)


def _dates(folder: Path, name: str) -> Finding:
    newest = Queries(folder).decisions(limit=1)
    ahead = newest[0].decision.at.wall_ns - time.time_ns() if newest else 0
    if ahead > DAY_NS:
        what = f"the newest decision is dated {ahead // DAY_NS} days from now"
        return Finding(name, "wrong", what, "set the clock, or let NTP set it")
    return Finding(name, "ok", "no decision is dated later than today")


def _aside(folder: Path, name: str) -> Finding:
    found = inspection.set_aside(folder)
    if not found:
        return Finding(name, "ok", "no broken file lies there")
    return Finding(name, "ok", f"{', '.join(found)}: salvage by sqlite3 FILE .recover, or remove")


def _disk(folder: Path, name: str) -> Finding:
    found = inspection.disk(folder)
    said = f"{found.free >> 20} MB free"
    if found.free < RESERVE_BYTES:
        return Finding(name, "wrong", f"{said}: readings are not kept any more", "make room on the disk")
    return Finding(name, "ok", said + (", and a reserve held for decisions" if found.held else ""))
