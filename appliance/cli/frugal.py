"""Owns what libraries must be told before they are imported, so that the daemon starts soon and stays small.

Never in here: importing any of them.
"""

import gc
import os

LESS = {
    # numpy's linear algebra, of which nothing is used here, else starts a thread a core, each with a buffer of its own.
    "OPENBLAS_NUM_THREADS": "1",
    # pydantic else reads the metadata of every distribution that is installed, and runs what calls itself its plugin.
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}
"""Variables that the environment may set otherwise."""


def start_lean() -> None:
    """Ask for less, and let no garbage be looked for until the daemon is all up: what is imported and built until then stays."""
    for name, value in LESS.items():
        os.environ.setdefault(name, value)
    gc.disable()
