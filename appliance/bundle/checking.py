"""Owns what a model bundle is, and whether to believe it: card, manifest, golden rows, and bytes that nobody altered.

Bytes in, values out. Never in here: running a model.
"""

import hashlib
import io
import stat
import zipfile
import zlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.bundle.against import Against
from appliance.bundle.head import Refitted, Retrained
from appliance.bundle.walk import operators
from appliance.core.clock import SECOND
from appliance.core.features import FeatureSpec
from appliance.core.quantities import QUANTITIES
from appliance.core.trust import Region, Sets, Trust
from appliance.core.windows import COARSE_BINS, COARSE_NS
from appliance.errors import ModelError

MAX_FILE = 8 << 20
MAX_FEATURES = 256
MAX_LABELS = 64
REFITS = 1_000_000
"""Between two versions of a model lie so many that a home made of one."""
MAX_SPAN_S = COARSE_BINS * COARSE_NS // SECOND
"""What windows remember: a day."""
FILES = ("model.onnx", "card.json", "golden.npz")
ALLOWED = frozenset(
    {
        "Gemm",
        "MatMul",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Relu",
        "Sigmoid",
        "Tanh",
        "Softmax",
        "Identity",
        "Clip",
        # Of small trees and convolutions: comparing, picking columns by a kept list, laying out anew what is there.
        "Greater",
        "Cast",
        "Gather",
        "Reshape",
    }
)
"""Operators that a small classifier needs: no loops, no branches, no custom code, nothing that makes tensors much larger than what the file holds."""

TEACHER_OPERATORS = ALLOWED | {"ai.onnx.ml.TreeEnsembleClassifier", "Log"}
"""What the model of a teacher may use besides: it runs on the edge server, never on the device."""
TEACHER = "-teacher"
"""What the name of a teacher ends with; before it stands the name of the model that asks it."""

T = TypeVar("T")

_HINT = "install the release again, or train anew: appliance learn run"


class Score(msgspec.Struct, frozen=True):
    """How good it was on one set of `rows`; the rest are shares in [0, 1]. What it does not know counts as its first label."""

    accuracy: float
    macro_f1: float
    rows: int
    known: float
    """The share of rows whose features were known."""
    sure: float
    """The share of rows on which it was sure enough to act."""
    sure_right: float
    """Of these, the share on which it was right."""


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model is. It is sure where its prediction set, from `sets`, holds one label, and `novelty` does not find the features unlike
    all that it was trained on. A card without sets is of before there were any: `threshold` is the calibrated top probability from
    which on a prediction counts as GOOD. `guarantees` says what is promised, and what that assumes; `refit` what a home made of it, `retrained`
    what a home trained in its place; `against`, on a teacher's, what it is worth beside the local model.
    """

    name: str
    version: int
    title: str
    labels: tuple[str, ...]
    features: FeatureSpec
    threshold: float
    data: str
    licence: str
    citation: str
    split: str
    architecture: str
    calibration: str
    held_out: dict[str, Score]
    worst: str
    intended_use: str
    not_for: str
    seed: int
    sets: Sets | None = None
    novelty: Region | None = None
    guarantees: str = ""
    steps: tuple[float, ...] = ()
    """By how much each feature may differ and still be a like case, in its unit: for caching; none where nobody said."""
    disagreement: float | None = None
    """The share of held-out rows on which its teacher says otherwise: the budget of audits."""
    sizes: dict[str, int] = {}
    """Bytes of ONNX, parameters, and multiplications or comparisons an answer."""
    refit: Refitted | None = None
    retrained: Retrained | None = None
    against: Against | None = None

    @property
    def made_here(self) -> Refitted | Retrained | None:
        """How a home made it; None where it is the shipped one."""
        return self.refit or self.retrained

    @property
    def trust(self) -> Trust:
        """When to believe it."""
        names = tuple(feature.name for feature in self.features.features)
        version = self.version * REFITS + (0 if self.made_here is None else self.made_here.number)
        return Trust(self.labels, self.threshold, self.sets, self.novelty, names, version)


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a bundle."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bundle consists of."""

    name: str
    version: int
    operators: tuple[str, ...]
    files: dict[str, FileEntry]


class Bundle(msgspec.Struct, frozen=True):
    """A bundle that was checked. `golden_rows` (G, F) float32 must give `golden_probabilities` (G, L); `golden_labels` (G,) are their truths,
    as numbers, where the bundle has them.
    """

    model: bytes
    card: Card
    manifest: Manifest
    golden_rows: NDArray[np.float32]
    golden_probabilities: NDArray[np.float32]
    golden_labels: NDArray[np.int64] | None = None

    @property
    def is_teacher(self) -> bool:
        """Whether it is a teacher: for an edge server to run, and for a device only to read its card."""
        return self.card.name.endswith(TEACHER)

    @property
    def digest(self) -> str:
        """What identifies the model: the sha256 of its bytes; of a refit, of these and of its head."""
        model = self.manifest.files["model.onnx"].sha256
        if self.card.refit is None:
            return model
        return hashlib.sha256(model.encode() + msgspec.json.encode(self.card.refit.head)).hexdigest()


def shipped(name: str) -> Traversable:
    """Return the folder of a bundle of this release: in the package where it was installed, else in the checkout.

    Raises:
        ModelError: there is none of this name.
    """
    for root in (files("appliance") / "_models", Path(__file__).resolve().parents[2] / "models"):
        folder = root / name
        if folder.is_dir():
            return folder
    raise ModelError(f"there is no model {name!r}", hint=_HINT)


def load_bundle(folder: Traversable, *, allowed: frozenset[str] = ALLOWED) -> Bundle:
    """Return the bundle in `folder`, whose model uses none but the operators `allowed`.

    A teacher is refused but with `allowed=TEACHER_OPERATORS`, whatever its operators are: so no device runs one by mistake.

    Raises:
        ModelError: a file is missing, linked, too large or altered; the model holds what is not allowed; it is a teacher where none
            was asked for; or it wants features that can't be computed.
    """
    manifest = _decoded(_file(folder, "manifest.json"), Manifest, folder)
    if set(manifest.files) != set(FILES):
        raise ModelError(
            f"{folder}: the manifest lists {sorted(manifest.files)}, not {sorted(FILES)}", hint=_HINT
        )
    contents = {}
    for name, entry in manifest.files.items():
        contents[name] = _file(folder, name)
        if len(contents[name]) != entry.size or hashlib.sha256(contents[name]).hexdigest() != entry.sha256:
            raise ModelError(f"{folder}/{name}: not the file that the manifest describes", hint=_HINT)
    card = _decoded(contents["card.json"], Card, folder)
    if (card.name, card.version) != (manifest.name, manifest.version):
        raise ModelError(f"{folder}: card and manifest are of different models", hint=_HINT)
    if card.name.endswith(TEACHER) and not allowed >= TEACHER_OPERATORS:
        raise ModelError(
            f"{folder}: {card.name} is a teacher, which no device runs",
            hint=f"name {card.name.removesuffix(TEACHER)}, which may ask it: an edge server runs the teacher",
        )
    used = operators(contents["model.onnx"])
    if forbidden := used - allowed:
        raise ModelError(
            f"{folder}: the model uses {', '.join(sorted(forbidden))}",
            hint=f"allowed are {', '.join(sorted(allowed))}",
        )
    if used != set(manifest.operators):
        raise ModelError(f"{folder}: the model uses other operators than its manifest says", hint=_HINT)
    _computable(card, folder)
    return Bundle(contents["model.onnx"], card, manifest, *_golden(contents["golden.npz"], card, folder))


def write_bundle(
    folder: Path,
    model: bytes,
    card: Card,
    rows: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64] | None = None,
) -> Manifest:
    """Write a bundle into `folder`, and return its manifest. The same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    golden = io.BytesIO()
    if labels is None:
        np.savez(golden, rows=rows, probabilities=probabilities)
    else:
        np.savez(golden, rows=rows, probabilities=probabilities, labels=labels)
    contents = {
        "model.onnx": model,
        "card.json": msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n",
        "golden.npz": golden.getvalue(),
    }
    entries = {
        name: FileEntry(hashlib.sha256(content).hexdigest(), len(content))
        for name, content in contents.items()
    }
    manifest = Manifest(card.name, card.version, tuple(sorted(operators(model))), entries)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "manifest.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    )
    return manifest


def card_schema() -> dict[str, object]:
    """Return the JSON schema of a card, as other tools may check it."""
    return msgspec.json.schema(Card)


def _file(folder: Traversable, name: str) -> bytes:
    file = folder / name
    try:
        if isinstance(file, Path):
            found = file.lstat()
            # A symbolic link leads out of the bundle, and a pipe or device never ends. (Hard links are how some
            # installers put every file in place.)
            if not stat.S_ISREG(found.st_mode):
                raise ModelError(f"{file}: not a plain file", hint="copy the file itself")
            if found.st_size > MAX_FILE:
                raise ModelError(f"{file}: larger than {MAX_FILE >> 20} MiB", hint=_HINT)
        return file.read_bytes()
    except OSError as broken:
        raise ModelError(f"{file}: {broken.strerror or broken}", hint=_HINT) from None


def _decoded(text: bytes, kind: type[T], folder: Traversable) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as broken:
        raise ModelError(f"{folder}: {kind.__name__.lower()}: {broken}", hint=_HINT) from None


def _computable(card: Card, folder: Traversable) -> None:
    features = card.features.features
    if not 0 < len(features) <= MAX_FEATURES or not 2 <= len(card.labels) <= MAX_LABELS:
        raise ModelError(f"{folder}: {len(features)} features, {len(card.labels)} labels", hint=_HINT)
    if not 0 < card.threshold <= 1:
        raise ModelError(f"{folder}: the threshold {card.threshold} is no probability", hint=_HINT)
    for broken in (
        card.sets and card.sets.broken(len(card.labels)),
        card.novelty and card.novelty.broken(len(features)),
        card.refit and card.refit.head.broken(len(card.labels)),
        "it is both refitted and trained anew" if card.refit and card.retrained else None,
    ):
        if broken is not None:
            raise ModelError(f"{folder}: card: {broken}", hint=_HINT)
    for feature in features:
        if feature.kind in ("day_sin", "day_cos"):
            continue
        if feature.channel not in QUANTITIES:
            raise ModelError(
                f"{folder}: the feature {feature.name!r} wants {feature.channel!r}, which nobody measures",
                hint="it needs a newer release",
            )
        if not 0 < feature.span_s <= MAX_SPAN_S:
            raise ModelError(
                f"{folder}: the feature {feature.name!r} spans {feature.span_s} s, windows 1 to {MAX_SPAN_S}",
                hint="it needs a newer release",
            )


def _golden(
    content: bytes, card: Card, folder: Traversable
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64] | None]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE:
                raise ModelError(
                    f"{folder}: golden.npz: unpacks to more than {MAX_FILE >> 20} MiB", hint=_HINT
                )
            rows, probabilities = (
                np.lib.format.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in ("rows", "probabilities")
            )
            labels = None
            if "labels.npy" in archive.namelist():
                labels = np.lib.format.read_array(io.BytesIO(archive.read("labels.npy")), allow_pickle=False)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as broken:
        raise ModelError(f"{folder}: golden.npz: {broken}", hint=_HINT) from None
    if (
        rows.ndim != 2
        or not len(rows)
        or rows.shape[1] != len(card.features.features)
        or probabilities.shape != (len(rows), len(card.labels))
        or not {rows.dtype.kind, probabilities.dtype.kind} <= {"f"}
        or (labels is not None and (labels.shape != (len(rows),) or labels.dtype.kind != "i"))
    ):
        raise ModelError(
            f"{folder}: golden rows {rows.shape} and {probabilities.shape} do not fit the card", hint=_HINT
        )
    return (
        rows.astype(np.float32),
        probabilities.astype(np.float32),
        None if labels is None else labels.astype(np.int64),
    )
