"""A9: the power is cut while a model or the last good config is put in another's place. Promise: the old or the new one, whole, at any call.

What a real program tells the kernel while it swaps is recorded with strace, and cut after each call: of names and contents that were not synced
then nothing, a beginning, any part, or a part with a torn write reached the disk.
"""

import random
import shutil

from appliance.bundle import Shelf
from appliance.daemon.last_good import digest, kept_digest
from appliance.daemon.models import OWN
from appliance.errors import ModelError
from tests.faults import swaps, tree_cut
from tests.faults.lab import Lab
from tests.faults.power_cut import STYLES
from tests.faults.row import Figure, Row, Size, Unavailable, at_least, exactly

ROW = Row(
    "A9",
    "the power is cut while a model or config is swapped",
    "old or new at 100 % of the calls",
    minutes=2,
)


def run(lab: Lab, size: Size) -> list[Figure]:
    if shutil.which("strace") is None:
        raise Unavailable("strace is not installed")
    state, after = lab.folder / "state", lab.folder / "after"
    state.mkdir()
    steps = tree_cut.record(state, "tests.faults.swaps")
    known = {digest(swaps.loaded(state, number)): number for number in range(3)} | {None: None}
    chance, cuts, models, configs = random.Random(1), 0, [], []
    for until in range(len(steps) + 1):
        done = [step.name for step in steps[:until]].count("ack")
        for style in STYLES * size.of(5, 1):
            tree_cut.write(tree_cut.cut(steps[:until], style, chance), after)
            cuts += 1
            deciding, watched_well = decides(Shelf(after / OWN, swaps.MODEL))
            if deciding not in swaps.DECIDES[done : done + 2] or not watched_well:
                models.append(f"{style}, after {str(steps[until - 1])[:80]}: {deciding}")
            if known.get(kept_digest(after), "broken") not in swaps.CONFIGS[done : done + 2]:
                configs.append(f"{style}, after {str(steps[until - 1])[:80]}")
            shutil.rmtree(after)
    return [
        at_least("calls", len(steps), "", 50),
        exactly("swaps that the program was done with", done, "", len(swaps.DECIDES) - 1),
        exactly(
            f"neither the old model nor the new{f': {models[0]}' if models else ''}",
            len(models),
            f"of {cuts} cuts",
            0,
        ),
        exactly(
            f"neither the old config nor the new{f': {configs[0]}' if configs else ''}",
            len(configs),
            f"of {cuts} cuts",
            0,
        ),
    ]


def decides(shelf: Shelf) -> tuple[int | str, bool]:
    """Return which version decides, or why none does, and whether the watched one, if any, is whole."""
    try:
        standing = shelf.standing()
        shelf.bundle(standing.current)
        if standing.shadow is not None:
            shelf.bundle(standing.shadow)
    except ModelError as broken:
        return broken.message, False
    return standing.current, True
