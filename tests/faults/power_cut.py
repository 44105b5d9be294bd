"""The power is cut: what was not synced is lost, in any part and order; what was acknowledged is there.

A real store runs under strace. What it wrote is replayed up to a random call: what was synced is on the disk, and of what was not
a prefix, any part, or a part with its last write torn. A store is then opened on that. As a script: `python -m
tests.faults.power_cut [CUTS] [SEED]`.
"""

import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from appliance.adapters.store import highwater, inspection
from tests.adapters.store.conftest import Keeper, decision
from tests.adapters.store.test_kill import child

DECISIONS = 120
STYLES = ("none", "prefix", "any", "torn")
_CALL = re.compile(r'^\d+ +(\w+)\((\d+)<([^>]*)>(?:, (?:"((?:\\x..)*)"\.*, )?([\d, ]*))?\) += (-?\d+)')
_UNLINK = re.compile(r'^\d+ +unlink\("((?:\\x..)*)"\) += 0')


class Call(NamedTuple):
    name: str
    file: str
    data: bytes
    at: int
    refused: bool = False


class Result(NamedTuple):
    """`unnoticed`: of the `lost`, those that nothing tells of, though the mark that tells of them must be on the disk."""

    cuts: int
    acknowledged: int
    lost: int
    corrupt: int
    unnoticed: int
    false_alarms: int
    refused: int = 0


def record(folder: Path, refuse: tuple[str, str] | None = None) -> list[Call]:
    """Run a store on `folder`, and return what it told the kernel, in order; "ack" tells a decision that was acknowledged.

    `refuse`: which calls strace refuses, and how, in its own words. What the store does when it closes is left out where nothing is.
    """
    log = folder.with_name("strace")
    calls = "pwrite64,write,ftruncate,fsync,fdatasync,unlink"
    faults = ("-e", f"inject={refuse[0]}:{refuse[1]}") if refuse else ()
    process = child(
        folder,
        DECISIONS,
        ("strace", "-f", "-qq", "-y", "-xx", "-s", "70000", "-o", str(log), "-e", f"trace={calls}", *faults),
    )
    process.stdout.read()
    process.stdout.close()
    process.wait()
    found, begun = [], {}
    for line in log.read_text("ascii").splitlines():
        who = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[who] = line.removesuffix(" <unfinished ...>")
            continue
        if " resumed>" in line:
            line = begun.pop(who) + line.split(" resumed>", 1)[1]  # noqa: PLW2901  the two halves of one call
        refused = "INJECTED" in line
        if "unlink(" in line and not refuse:
            break  # it closes
        gone = _UNLINK.match(line)
        match = _CALL.match(line)
        if gone is not None:
            path = unescaped(gone[1])
            if Path(path).parent == folder:
                # As if it became empty: what is written there next is another file's beginning.
                found.append(Call("ftruncate", Path(path).name, b"", 0))
            continue
        if match is None:
            found += [Call("refused", "", b"", 0, refused)] if refused else []
            continue
        name, descriptor, path, data, rest, _ = match.groups()
        path, given = unescaped(path), bytes.fromhex((data or "").replace("\\x", ""))
        if name == "write" and descriptor == "1":
            found.append(Call("ack", "", b"", int(given)))
        elif Path(path).parent == folder and not path.endswith(("-shm", "lock")):
            number = int(rest.split(",")[-1]) if rest else 0
            found.append(Call(name, Path(path).name, given, number, refused))
    return found


def unescaped(path: str) -> str:
    """Return a path as it was before strace wrote it down."""
    return bytes.fromhex(path.replace("\\x", "")).decode() if "\\x" in path else path


def apply(content: bytearray, call: Call) -> None:
    """Do to `content` what a call did to the file."""
    if call.name == "ftruncate":
        del content[call.at :]
        content.extend(bytes(call.at - len(content)))
        return
    content.extend(bytes(max(0, call.at + len(call.data) - len(content))))
    content[call.at : call.at + len(call.data)] = call.data


def kept(waiting: list[Call], style: str, chance: random.Random) -> list[Call]:
    """Return which of the calls that were not synced reached the disk."""
    if style == "none" or not waiting:
        return []
    if style == "prefix":
        return waiting[: chance.randint(0, len(waiting))]
    some = [call for call in waiting if chance.random() < 0.5]
    if style == "torn" and some and some[-1].data:
        last = some[-1]
        some[-1] = last._replace(data=last.data[: chance.randrange(len(last.data)) // 512 * 512])
    return some


def cut(
    base: dict[str, bytes], calls: list[Call], style: str, chance: random.Random, lies: str
) -> dict[str, bytes]:
    """Return the files as they are after the power was cut after `calls`; the disk only says that it syncs the file `lies`.

    What waited when a sync was refused never reaches the disk: the kernel holds it for written, and gives it to readers.
    """
    disk = {name: bytearray(content) for name, content in base.items()}
    waiting: dict[str, list[Call]] = {}
    for call in calls:
        if call.name in ("fsync", "fdatasync"):
            for done in [] if call.file == lies else waiting.pop(call.file, []):
                if not call.refused:
                    apply(disk.setdefault(call.file, bytearray()), done)
        elif call.name not in ("ack", "refused") and not call.refused:
            waiting.setdefault(call.file, []).append(call)
    for name, rest in waiting.items():
        for done in kept(rest, style, chance):
            apply(disk.setdefault(name, bytearray()), done)
    return {name: bytes(content) for name, content in disk.items()}


def run(folder: Path, cuts: int, seed: int, lies: str = "", refuse: tuple[str, str] | None = None) -> Result:
    """Cut the power `cuts` times in `folder`, and return what was found.

    The disk lies about having synced the file `lies`; calls are refused as `record` says.
    """
    chance = random.Random(seed)
    state = folder / "state"
    keeper = Keeper()
    keeper.open(state).close()
    base = {path.name: path.read_bytes() for path in state.iterdir() if path.name != "lock"}
    calls = record(state, refuse)
    acks = [index for index, call in enumerate(calls) if call.name == "ack"]
    assert len(acks) == DECISIONS, "the recording is not whole"
    told = lost = corrupt = unnoticed = alarms = 0
    for number in range(cuts):
        until = chance.randrange(len(calls) + 1)
        after = folder / "after"
        after.mkdir()
        for name, content in cut(base, calls[:until], STYLES[number % len(STYLES)], chance, lies).items():
            (after / name).write_bytes(content)
        expected = [call.at for call in calls[:until] if call.name == "ack"]
        store = keeper.open(after)
        told += len(expected)
        found = {one.decision.id: one.decision for one in store.queries.decisions(limit=500)}
        missing = [one for one in expected if found.get(one) != decision(one)]
        lost += len(missing)
        loss = store.restored.loss
        told_of = [one for one in missing if one <= len(expected) - highwater.SYNC_MOST]
        unnoticed += len([one for one in told_of if loss is None or not loss.first <= one <= loss.last])
        corrupt += store.health().state != "ok" or (store.queries.verify() is not None and not missing)
        corrupt += any(inspection.complaints(after, name, 10) for name in inspection.FILES.values())
        alarms += store.health().history != () and not missing
        keeper.stores.clear()
        store.close()
        shutil.rmtree(after)
    return Result(cuts, told, lost, corrupt, unnoticed, alarms, sum(call.refused for call in calls))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]] + [200, 1][len(sys.argv) - 1 :]
    with tempfile.TemporaryDirectory() as where:
        outcome = run(Path(where), *given)
    print(
        f"SQLite {sqlite3.sqlite_version}, {subprocess.check_output(['uname', '-m'], text=True).strip()}: {outcome}"
    )
    sys.exit(bool(outcome.lost or outcome.corrupt or outcome.false_alarms))
