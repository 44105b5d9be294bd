"""Owns the versions of a model that a home made for itself: which is in force, which is only watched, and the way back.

One folder a model; the shipped bundle is number 0 and lies elsewhere. Never in here: making a version (refit), or running one.
"""

import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from appliance.bundle.checking import Bundle, Card, load_bundle, shipped, write_bundle
from appliance.errors import ModelError

STANDING = "standing.json"
KEPT = 8
"""So many versions are kept, those that are named besides."""


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers of versions: `current` decides, `shadow` is only watched, `before` are what decided earlier, the newest last."""

    current: int = 0
    shadow: int | None = None
    before: tuple[int, ...] = ()


class Shelf:
    """The versions of the model `name` under `folder`, which need not exist."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._folder = folder / name

    def standing(self) -> Standing:
        """Return which version does what. Raises ModelError where that can't be read."""
        path = self._folder / STANDING
        try:
            return msgspec.json.decode(path.read_bytes(), type=Standing)
        except FileNotFoundError:
            return Standing()
        except (OSError, msgspec.MsgspecError) as broken:
            raise ModelError(
                f"{path}: {broken}", hint="remove the file: the shipped model decides then"
            ) from None

    def bundle(self, number: int) -> Bundle:
        """Return one version, checked.

        Raises:
            ModelError: it is missing or broken, or was made of another model, or in the place of another, than the one that is shipped now.
        """
        base = load_bundle(shipped(self.name))
        if number == 0:
            return base
        found = load_bundle(self._folder / str(number))
        if not _stands_in_for(base, found):
            how = "models refit" if found.card.refit else "learn run --from-store"
            raise ModelError(
                f"{self._folder / str(number)} was made of another {self.name} than this release ships",
                hint=f"make it anew: appliance {how} {self.name}",
            )
        return found

    def put(self, base: Bundle, card: Card) -> int:
        """Keep a refit of the shipped `base` with `card`, to be watched; return its number. Raises OSError."""
        assert card.refit is not None
        return self._put(base, card, base.model, card.refit.head.apply(base.golden_probabilities))

    def put_retrained(self, base: Bundle, card: Card, model: bytes, golden: NDArray[np.floating]) -> int:
        """Keep a `model` (ONNX) that was trained in the place of the shipped `base`, to be watched; return its number. `golden` (G, L) is what it
        says of the golden rows of `base`, computed without onnxruntime. Raises OSError.
        """
        assert card.retrained is not None
        return self._put(base, card, model, golden)

    def _put(self, base: Bundle, card: Card, model: bytes, golden: NDArray[np.floating]) -> int:
        standing = self.standing()
        number = 1 + max([0, *self._numbers()])
        unfinished = self._folder / f"{number}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_bundle(unfinished, model, card, base.golden_rows, golden.astype(np.float32), base.golden_labels)
        # Whole on the disk before anything names it, and so is the way to it: else a loss of power leaves a name with nothing behind it.
        for path in (*unfinished.iterdir(), unfinished):
            _sync(path)
        unfinished.rename(self._folder / str(number))
        for path in (self._folder, self._folder.parent, self._folder.parent.parent):
            _sync(path)
        self._stand(replace(standing, shadow=number))
        return number

    def promote(self) -> Standing:
        """Let the watched version decide. Raises ModelError where there is none, or it is broken; OSError."""
        standing = self.standing()
        if standing.shadow is None:
            raise ModelError(
                f"no version of {self.name} is watched", hint=f"make one: appliance models refit {self.name}"
            )
        self.bundle(standing.shadow)
        before = (*standing.before, standing.current)[-KEPT:]
        return self._stand(Standing(standing.shadow, None, before))

    def rollback(self) -> Standing:
        """Let what decided before decide again; where nothing did, only stop to watch. Raises ModelError; OSError."""
        standing = self.standing()
        if not standing.before:
            if standing.shadow is None:
                raise ModelError(
                    f"the shipped {self.name} decides, and nothing is watched",
                    hint="there is no way further back",
                )
            return self._stand(replace(standing, shadow=None))
        return self._stand(Standing(standing.before[-1], None, standing.before[:-1]))

    def _numbers(self) -> list[int]:
        if not self._folder.is_dir():
            return []
        return sorted(int(one.name) for one in self._folder.iterdir() if one.name.isdigit())

    def _stand(self, standing: Standing) -> Standing:
        """Write it so that a loss of power leaves the old one or the new one, and forget versions that nobody needs."""
        path = self._folder / STANDING
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(standing))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(self._folder)
        named = {standing.current, standing.shadow, *standing.before}
        for number in [one for one in self._numbers() if one not in named][:-KEPT]:
            shutil.rmtree(self._folder / str(number), ignore_errors=True)
        return standing


def _stands_in_for(base: Bundle, found: Bundle) -> bool:
    """Whether a home's own version may take the place of `base`: a refit has its bytes, what was trained anew its name, features and labels, so
    that both see the same rows and can be compared.
    """
    card = found.card
    if card.made_here is None or card.made_here.base != base.digest:
        return False
    if card.refit is not None:
        return found.model == base.model
    return (card.name, card.labels, card.features) == (base.card.name, base.card.labels, base.card.features)


def _sync(path: Path) -> None:
    """Let a file's content, or a folder's names, be on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
