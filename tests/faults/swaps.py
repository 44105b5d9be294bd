"""Owns a program that puts models and configs in each other's place, and says so after each: `python -m tests.faults.swaps FOLDER`.

Never in here: what is left of that after a power cut (row A9).
"""

import os
import sys
from pathlib import Path

from msgspec.structs import replace

from appliance.bundle import Card, Head, Refitted, Shelf, load_bundle, shipped
from appliance.config import Loaded, load_settings
from appliance.core.clock import Instant
from appliance.daemon.last_good import keep
from appliance.daemon.models import OWN

MODEL = "presence"
DECIDES = (0, 0, 0, 1, 1, 2, 1, 1, 1)
"""Which version decides at first, and after each of the program's steps."""
CONFIGS = (None, 0, 0, 0, 0, 0, 0, 1, 2)
"""Which config is the last good one at first, and after each of them."""


def loaded(folder: Path, number: int) -> Loaded:
    """Return the config number `number`: each has another broker."""
    file = folder.with_name("config.toml")
    file.write_text(f'[mqtt]\nhost = "broker{number}"\n', "utf-8")
    return load_settings(file)


def refitted(number: int) -> Card:
    """Return the card of this home's version `number`."""
    base = load_bundle(shipped(MODEL))
    head = Head(0.9, (0.0, float(number)))
    return replace(base.card, refit=Refitted(number, base.digest, "2026-11-24T12:00:00+00:00", 5, 500, head))


def main(folder: Path) -> None:
    """Do it. A config first, then a model's versions, then more configs."""
    base, shelf = load_bundle(shipped(MODEL)), Shelf(folder / OWN, MODEL)
    configs = [loaded(folder, number) for number in range(3)]
    keep(folder, configs[0], Instant("boot", 0, 0))
    say()
    for step in (
        lambda: shelf.put(base, refitted(1)),
        shelf.promote,
        lambda: shelf.put(base, refitted(2)),
        shelf.promote,
        shelf.rollback,
    ):
        step()
        say()
    for config in configs[1:]:
        keep(folder, config, Instant("boot", 0, 0))
        say()


def say() -> None:
    os.write(1, b"done\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
