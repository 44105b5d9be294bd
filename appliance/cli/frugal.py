"""Owns what libraries must be told before they are imported, so that the daemon starts soon and stays small, and what the kernel is told
of who may be ended where memory runs out.

Never in here: importing any of them.
"""

import contextlib
import gc
import os
import sys
from pathlib import Path

LESS = {
    # numpy's linear algebra, of which nothing is used here, else starts a thread a core, each with a buffer of its own.
    "OPENBLAS_NUM_THREADS": "1",
    # pydantic else reads the metadata of every distribution that is installed, and runs what calls itself its plugin.
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}
"""Variables that the environment may set otherwise."""
MALLOC = {
    # One arena for all threads: else each keeps what it once needed, and the store's thread packs snapshots now and then.
    -8: 1,  # M_ARENA_MAX
    # What is large is mapped by itself and given back at once, also after large pieces were freed before: else it stays.
    -3: 256 << 10,  # M_MMAP_THRESHOLD
    -1: 256 << 10,  # M_TRIM_THRESHOLD
}
"""mallopt(3)'s parameters and values, as <malloc.h> numbers them."""

ENDED_FIRST = 500
"""In thousandths of all memory, as if so much more were in use: proc(5), oom_score_adj."""


def yield_memory() -> None:
    """Let the kernel end this process before the daemon where memory runs out: a command can be given again, and a home needs its control."""
    with contextlib.suppress(OSError, ValueError):
        mine = Path("/proc/self/oom_score_adj")
        mine.write_text(str(max(int(mine.read_text("ascii")), ENDED_FIRST)), "ascii")


def start_lean() -> None:
    """Ask for less, and let no garbage be looked for until the daemon is all up: what is imported and built until then stays."""
    for name, value in LESS.items():
        os.environ.setdefault(name, value)
    gc.disable()
    _allocate_less()


def _allocate_less() -> None:
    """Let glibc's malloc keep less than it would; elsewhere nothing. What the environment says of it holds."""
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    import ctypes  # it is loaded at every start anyway, by the broker's child

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in MALLOC.items():
            mallopt(parameter, value)
