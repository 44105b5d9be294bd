"""Owns what a folder holds after the power was cut at any call of a program that made, wrote, renamed and synced files in it.

Never in here: what the program is for, or one file's own pages (power_cut). The model is the weakest that a file system promises: a file's content
is on the disk once the file was synced, its name once its folder was; of what was not, nothing, a beginning, or any part is.
"""

import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.adapters.conftest import ROOT
from tests.faults.power_cut import Call, apply, kept, unescaped

CALLS = "?open,openat,?mkdir,mkdirat,?rename,renameat,renameat2,?unlink,unlinkat,?rmdir,write,pwrite64,ftruncate,fsync,fdatasync"
_NAMED = re.compile(
    r'(open|mkdir|rename|unlink|rmdir)(?:at2?)?\((?:\w+<[^>]*>, )?"([^"]*)"(?:, (?:\w+<[^>]*>, )?"([^"]*)")?(.*) = \d'
)
_OPEN = re.compile(r'(write|pwrite64|ftruncate|fsync|fdatasync)\((\d+)<([^>]*)>(?:, "([^"]*)")?[^=]*= (\d+)')


class Step(NamedTuple):
    """One call, below the folder: what was done to `path`; "ack" tells that the program said that it is done with something."""

    name: str
    path: str
    data: bytes = b""
    to: str = ""


@dataclass
class File:
    """A file: what of it is on the disk, and what waits to be synced."""

    content: bytearray = field(default_factory=bytearray)
    waiting: list[Call] = field(default_factory=list)
    written: int = 0
    """Up to where its writer has come: it writes in order."""


@dataclass
class Folder:
    """A folder: what the kernel shows, what of its names is on the disk, and what was done to them since."""

    shown: "dict[str, File | Folder]" = field(default_factory=dict)
    names: "dict[str, File | Folder]" = field(default_factory=dict)
    waiting: "list[tuple[str, str, File | Folder | None]]" = field(default_factory=list)

    def do(self, gone: str, come: str, what: "File | Folder | None") -> None:
        """Let the name `gone` go, and the name `come` stand for `what`; either may be empty."""
        self.waiting.append((gone, come, what))
        _do(self.shown, gone, come, what)


def _do(names: "dict[str, File | Folder]", gone: str, come: str, what: "File | Folder | None") -> None:
    names.pop(gone, None)
    if what is not None:
        names[come] = what


def record(folder: Path, module: str) -> list[Step]:
    """Run `python -m module FOLDER`, and return what it told the kernel of what lies below `folder`, in order.

    Each line that it prints counts as "ack".
    """
    log = folder.with_name(f"{folder.name}.strace")
    subprocess.run(
        ["strace", "-qq", "-y", "-xx", "-s", "9000000", "-o", str(log), "-e", f"trace={CALLS}", sys.executable, "-m", module, str(folder)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return [step for line in log.read_text("ascii").splitlines() for step in _steps(line, f"{folder}/")]


def _steps(line: str, below: str) -> Iterator[Step]:
    if (named := _NAMED.match(line)) is not None:
        name, path, to, rest = named.groups()
        if name == "open" and "O_CREAT" not in rest:
            return
        steps = [Step("truncate" if "O_TRUNC" in rest else name, unescaped(path), to=unescaped(to or ""))]
    elif (opened := _OPEN.match(line)) is not None:
        name, descriptor, path, data, count = opened.groups()
        if name == "write" and descriptor == "1":
            yield Step("ack", "")
            return
        content = bytes.fromhex((data or "").replace("\\x", ""))[: int(count)]
        steps = [Step("sync" if name.endswith("sync") else name, unescaped(path), content)]
    else:
        return
    for step in steps:
        if f"{step.path}/".startswith(below):
            yield step._replace(
                path=step.path.removeprefix(below).removeprefix(below[:-1]), to=step.to.removeprefix(below)
            )


def cut(steps: Sequence[Step], style: str, chance: random.Random) -> Folder:
    """Return the folder as it is after the power was cut after `steps`. `style` is one of power_cut's, for names and contents alike."""
    top = Folder()
    for step in steps:
        _take(top, step)
    _lose(top, style, chance)
    return top


def write(folder: Folder, path: Path) -> None:
    """Put it at `path`."""
    path.mkdir(parents=True)
    for name, what in folder.names.items():
        if isinstance(what, Folder):
            write(what, path / name)
        else:
            (path / name).write_bytes(what.content)


def _take(top: Folder, step: Step) -> None:
    if step.name == "ack":
        return
    holder, name = _find(top, step.path)
    found = holder.shown.get(name) if name else top
    if step.name in ("open", "truncate") and found is None:
        holder.do("", name, File())
    elif step.name == "mkdir":
        holder.do("", name, Folder())
    elif step.name in ("unlink", "rmdir"):
        holder.do(name, "", None)
    elif step.name == "rename":
        beside, to = _find(top, step.to)
        assert beside is holder, "a file is moved to another folder: that is not modelled"
        holder.do(name, to, found)
    elif isinstance(found, File):
        _change(found, step)
    elif step.name == "sync" and found is not None:
        for done in found.waiting:
            _do(found.names, *done)
        found.waiting.clear()


def _change(file: File, step: Step) -> None:
    if step.name == "truncate":
        file.written = 0
        file.waiting.append(Call("ftruncate", "", b"", 0))
    elif step.name == "write":
        file.waiting.append(Call("write", "", step.data, file.written))
        file.written += len(step.data)
    elif step.name == "sync":
        for done in file.waiting:
            apply(file.content, done)
        file.waiting.clear()
    else:
        raise AssertionError(f"{step.name} is not modelled")


def _find(top: Folder, path: str) -> tuple[Folder, str]:
    *above, name = path.split("/")
    for one in above:
        inner = top.shown[one]
        assert isinstance(inner, Folder)
        top = inner
    return top, name


def _lose(folder: Folder, style: str, chance: random.Random) -> None:
    """Decide what of what waits reached the disk."""
    if style != "none":
        whole = len(folder.waiting)
        most = chance.randint(0, whole) if style == "prefix" else whole
        for done in folder.waiting[:most]:
            if style == "prefix" or chance.random() < 0.5:
                _do(folder.names, *done)
    for what in folder.names.values():
        if isinstance(what, Folder):
            _lose(what, style, chance)
        else:
            for done in kept(what.waiting, style, chance):
                apply(what.content, done)
            what.waiting.clear()
