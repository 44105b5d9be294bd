"""Owns disks that fail: small ones that fill up, and calls that strace refuses, delays or dies in. Never in here: what is promised then."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.adapters.conftest import until_sync
from tests.adapters.store.conftest import Disk
from tests.faults.row import Unavailable


@contextlib.contextmanager
def small(path: Path, options: str = "size=24m") -> Iterator[Disk]:
    """Mount a disk of its own, in memory, at `path` until the end."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() != 0:
        raise Unavailable("only root may mount a small disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tmpfs", str(path)],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        raise Unavailable(f"no small disk can be mounted: {done.stderr.decode().strip()}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextlib.contextmanager
def refusing(pid: int, calls: str, fault: str) -> Iterator[None]:
    """Let `calls` of a running process suffer `fault` until the end."""
    watch = subprocess.Popen([*strace(calls, fault), "-p", str(pid)], stderr=subprocess.PIPE)
    try:
        traced = Path(f"/proc/{pid}/status")
        until_sync(lambda: "TracerPid:\t0\n" not in traced.read_text() or watch.poll() is not None)
        if watch.poll() is not None:
            raise Unavailable("strace may not attach to a process here")
        yield
    finally:
        watch.terminate()
        watch.communicate()


def strace(calls: str, fault: str, *paths: Path) -> tuple[str, ...]:
    """Return what to put before a command so that `calls` on `paths` (or on any) suffer `fault`, in strace's words."""
    found = shutil.which("strace")
    if found is None:
        raise Unavailable("strace is not installed")
    only = [word for path in paths for word in ("-P", str(path))]
    return (
        found,
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        *only,
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:{fault}",
    )
