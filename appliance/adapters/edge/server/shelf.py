"""Owns which models of a folder are served, and in which versions: each is read once, when it is loaded, and as a whole or not at all.

Never in here: running a model, or the protocol. Loading takes long: it belongs into a thread.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.adapters.edge.server.models import Served, served_bundle, served_plain
from appliance.errors import ModelError

MAX_MODELS, MAX_VERSIONS = 100, 16
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)
VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

logger = logging.getLogger(__name__)


class NotThere(ModelError):
    """There is no folder of this name on the shelf."""


class IndexEntry(msgspec.Struct, frozen=True):
    """What the repository index tells of one model."""

    name: str
    version: str
    state: str
    reason: str


class Shelf:
    """The models under `folder`: NAME/ holds a bundle or a model.onnx, or such folders by version, NAME/VERSION/."""

    def __init__(self, folder: Path, max_batch: int) -> None:
        self._folder = folder
        self._max_batch = max_batch
        self._loaded: dict[str, dict[str, Served]] = {}
        self._reasons: dict[str, str] = {}

    def find(self, name: str, version: str | None = None) -> Served | None:
        """Return a model that is served, of no `version` the newest; None where there is none."""
        versions = self._loaded.get(name)
        if versions is None:
            return None
        return versions.get(version) if version is not None else next(iter(versions.values()))

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions of a model that are served, the newest first."""
        return tuple(self._loaded.get(name, ()))

    def __iter__(self) -> Iterator[Served]:
        return (one for versions in tuple(self._loaded.values()) for one in tuple(versions.values()))

    def load(self, name: str) -> None:
        """Serve what lies there now in place of what was loaded before, in one step.

        Raises:
            ModelError: there is nothing, or something of it is broken: then what was served before is served on.
        """
        try:
            found = self._read(name)
        except ModelError as broken:
            if NAME.fullmatch(name) and (name in self._reasons or len(self._reasons) < MAX_MODELS):
                self._reasons[name] = self.told(broken)
            raise
        self._reasons.pop(name, None)
        self._loaded[name] = found
        told = ", ".join(f"{one.version} ({one.digest[:12]})" for one in found.values())
        logger.info("serving %s %s", name, told)

    def told(self, broken: ModelError) -> str:
        """Return the words of `broken` for who asks: where the shelf lies on this machine is not theirs to know."""
        return broken.message.replace(f"{self._folder}/", "").replace(str(self._folder), "the shelf")

    def load_all(self) -> None:
        """Load what lies in the folder; what is broken is logged, and told in the index. Raises ModelError: the folder can't be read."""
        for name in self._names():
            try:
                self.load(name)
            except ModelError as broken:
                logger.warning("not served: %s", broken.message)

    def unload(self, name: str) -> bool:
        """Serve it no more; return whether it was served. Who asked before still gets an answer."""
        self._reasons.pop(name, None)
        return self._loaded.pop(name, None) is not None

    def index(self, *, ready: bool) -> list[IndexEntry]:
        """Return what is served and, unless only what is `ready` counts, what lies there besides. Raises ModelError as `load_all`."""
        told = [IndexEntry(one.name, one.version, "READY", self._reasons.get(one.name, "")) for one in self]
        if not ready:
            told += [
                IndexEntry(name, "", "UNAVAILABLE", self._reasons.get(name, "unloaded"))
                for name in self._names()
                if name not in self._loaded
            ]
        return sorted(told, key=lambda one: (one.name, one.version))

    def _names(self) -> list[str]:
        try:
            names = sorted(
                one.name for one in self._folder.iterdir() if one.is_dir() and NAME.fullmatch(one.name)
            )
        except OSError as broken:
            raise ModelError(
                f"{self._folder}: {broken.strerror or broken}", hint="give --models a folder of bundles"
            ) from None
        if len(names) > MAX_MODELS:
            logger.warning(
                "%s holds %d models: the first %d are served", self._folder, len(names), MAX_MODELS
            )
        return names[:MAX_MODELS]

    def _read(self, name: str) -> dict[str, Served]:
        folder = self._folder / name
        if not NAME.fullmatch(name) or not folder.is_dir():
            raise NotThere(f"there is no model {name[:100]!r} on the shelf", hint="look into its folder")
        if name not in self._loaded and len(self._loaded) >= MAX_MODELS:
            raise ModelError(f"{MAX_MODELS} models are served", hint="unload one")
        try:
            numbers = sorted(
                (int(one.name) for one in folder.iterdir() if VERSION.fullmatch(one.name) and one.is_dir()),
                reverse=True,
            )
        except OSError as broken:
            raise ModelError(
                f"{folder}: {broken.strerror or broken}", hint="look at its permissions"
            ) from None
        found = {}
        for number in numbers[:MAX_VERSIONS]:
            served = self._one(folder / str(number), name, str(number))
            found[served.version] = served
        if any((folder / file).exists() for file in ("manifest.json", "model.onnx")):
            served = self._one(folder, name, None)
            found.setdefault(served.version, served)
        if not found:
            raise ModelError(f"{folder} holds no model", hint="put a bundle or a model.onnx there")
        return dict(sorted(found.items(), key=lambda pair: int(pair[0]), reverse=True))

    def _one(self, folder: Path, name: str, version: str | None) -> Served:
        if any((folder / file).exists() for file in ("manifest.json", "card.json")):
            return served_bundle(folder, name, version, self._max_batch)
        return served_plain(folder / "model.onnx", name, version or "1")
