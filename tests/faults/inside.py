"""Owns a daemon that says how much memory it has in use, not only how much it holds: `python -m tests.faults.inside ... appliance run ...`.

What a process holds rises with the largest burst of its life and hardly falls again, and room that is free within hides a leak; what is in use tells
it. The product has no hook for this. Never in here: what is done to the daemon.
"""

import ctypes
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

EVERY_S = 5.0
BLOCK = 96
"""Bytes of a block of Python's own allocator, on average: 327,000 of them held 31.4 MB in such a daemon (sys._debugmallocstats)."""


class _Mallinfo(ctypes.Structure):
    """mallinfo2(3)."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


def tells(daemon: Any) -> Path:
    """Let `daemon`, from its next start on, write into the file that this returns how many MiB it has in use."""
    file = daemon.folder / "in_use"
    daemon.prefix = (sys.executable, "-m", "tests.faults.inside")
    daemon.environment["IN_USE"] = str(file)
    return file


def in_use_mib() -> float:
    """Return what malloc and Python's own allocator have handed out. Garbage is let go first: it is not in use."""
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Mallinfo
    malloc = mallinfo()
    return (malloc.uordblks + malloc.hblkhd + BLOCK * sys.getallocatedblocks()) / (1 << 20)


def _tell(file: Path) -> None:
    new = file.with_suffix(".new")
    while True:
        time.sleep(EVERY_S)
        new.write_text(str(in_use_mib()))
        new.rename(file)


if __name__ == "__main__":
    from appliance.cli import main

    threading.Thread(target=_tell, args=(Path(os.environ["IN_USE"]),), name="inside", daemon=True).start()
    sys.argv = sys.argv[sys.argv.index("appliance") :]
    main()
